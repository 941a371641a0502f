//! What a sync decides before it touches anything: 200 images on two platforms, ten layers each, of which
//! five are shared by all.

use criterion::{Criterion, criterion_group, criterion_main};
use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::oci::document::kind::Kind;
use sandbox_images::oci::document::layer_type::LayerType;
use sandbox_images::plan::selection::Selection;
use sandbox_images::plan::{plan, wanted};
use sandbox_images::spec::freshness::{self, LockState};
use sandbox_images::spec::lockfile::{
    Lock, LockedDocument, LockedImage, LockedLayer, LockedPlatform,
};
use sandbox_images::spec::manifest_file::{ImageSet, default_platforms};

const IMAGES: usize = 200;
const LAYERS: usize = 10;
const SHARED_LAYERS: usize = 5;
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn document(name: &str) -> LockedDocument {
    LockedDocument { digest: Digest::of(name), size: 1000 }
}

fn platform(name: &str) -> LockedPlatform {
    let layer = |place: usize| {
        let owner = if place < SHARED_LAYERS { "all" } else { name };
        LockedLayer {
            digest: Digest::of(format!("{owner} layer {place}")),
            size: 1 << 20,
            diff_id: DiffId(Digest::of(format!("{owner} diff_id {place}"))),
            layer_type: LayerType::from_media_type(GZIP).expect("a layer's media type"),
            erofs: None,
        }
    };
    LockedPlatform {
        manifest: document(&format!("{name} manifest")),
        config: document(&format!("{name} config")),
        fsmeta: None,
        layers: (0..LAYERS).map(layer).collect(),
    }
}

/// The text of a project and its lock.
fn project() -> (String, Lock) {
    let lines = (0..IMAGES)
        .map(|image| format!("image-{image} = \"registry.example/team/image-{image}:1\"\n"));
    let text = format!("manifest-version = 1\n\n[images]\n{}", lines.collect::<String>());
    let set = ImageSet::parse(&text).expect("a good project");
    let mut lock = Lock::new();
    for (name, image) in &set.images {
        let platforms = default_platforms().into_iter().map(|wanted| {
            let locked = platform(&format!("{name} {wanted}"));
            (wanted, locked)
        });
        let locked = LockedImage {
            source: image.source.clone(),
            digest: Digest::of(format!("{name} index")),
            media_type: Kind::OciIndex,
            size: 2000,
            absent_platforms: [].into(),
            platforms: platforms.collect(),
        };
        lock.insert(name.clone(), locked);
    }
    (text, lock)
}

fn decisions(criterion: &mut Criterion) {
    let (manifest, lock) = project();
    let text = lock.render();
    let set = ImageSet::parse(&manifest).expect("a good project");
    let lock = Lock::parse(&text).expect("what was written is read");
    let selection = Selection::everything(&lock);
    let everything = wanted(&lock, &selection);
    let mut group = criterion.benchmark_group("200 images");
    group.bench_function("parse sandbox-images.toml", |bencher| {
        bencher.iter(|| ImageSet::parse(&manifest));
    });
    group.bench_function("parse the lock", |bencher| bencher.iter(|| Lock::parse(&text)));
    group.bench_function("render the lock", |bencher| bencher.iter(|| lock.render()));
    group.bench_function("freshness", |bencher| {
        bencher.iter(|| freshness::check(&set, LockState::Present(&lock)));
    });
    group.bench_function("plan for an empty store", |bencher| {
        bencher.iter(|| plan(&lock, &selection, &[].into()));
    });
    group.bench_function("plan for a full store", |bencher| {
        bencher.iter(|| plan(&lock, &selection, &everything));
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
