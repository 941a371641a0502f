//! A store of 10,000 artifacts and 200 projects: everything is looked at and judged, and a tenth of it deleted.

#![expect(
    clippy::disallowed_methods,
    reason = "the store is filled without the durability that takes its time"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sandbox_images::engine::collect::{Request, collect, preview};
use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::oci::document::kind::Kind;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::selection::Selection;
use sandbox_images::plan::sweep::Limits;
use sandbox_images::plan::wanted;
use sandbox_images::spec::lockfile::{
    Lock, LockedDocument, LockedImage, LockedLayer, LockedPlatform,
};
use sandbox_images::spec::source::ImageSource;
use sandbox_images::store::Store;
use sandbox_images::store::guard::Caller;
use tempfile::TempDir;

const PROJECTS: usize = 200;
const IMAGES: usize = 530;
const IMAGES_OF_A_PROJECT: usize = 12;
const UNWANTED: usize = 1000;

/// An image for two platforms, of six layers each, two of which all images have.
fn image(number: usize) -> LockedImage {
    let document = |of: String| LockedDocument { size: of.len() as u64, digest: Digest::of(of) };
    let layer = |of: String| LockedLayer {
        digest: Digest::of(format!("{of} packed")),
        size: 1000,
        diff_id: DiffId(Digest::of(of)),
        layer_type: "tar+gzip".parse().expect("a type of layer"),
        erofs: None,
    };
    let platforms = ["linux/amd64", "linux/arm64"].map(|platform| {
        let own = (0..4).map(|nth| format!("{number} {platform} {nth}"));
        let shared = (0..2).map(|nth| format!("base {platform} {nth}"));
        let locked = LockedPlatform {
            manifest: document(format!("{number} {platform} manifest")),
            config: document(format!("{number} {platform} config")),
            fsmeta: None,
            layers: shared.chain(own).map(layer).collect(),
        };
        (platform.parse().expect("a platform"), locked)
    });
    let index = document(format!("{number} index"));
    LockedImage {
        source: ImageSource::parse(&format!("i{number}"), "docker.io").expect("a reference"),
        digest: index.digest,
        media_type: Kind::OciIndex,
        size: index.size,
        absent_platforms: BTreeSet::new(),
        platforms: BTreeMap::from(platforms),
    }
}

fn lock(project: usize) -> Lock {
    let mut lock = Lock::new();
    for nth in 0..IMAGES_OF_A_PROJECT {
        let number = (project * 5 + nth * 41) % IMAGES;
        lock.insert(format!("i{number}").parse().expect("a name"), image(number));
    }
    lock
}

fn put(store: &Store, artifact: Artifact) {
    let path = store.path_of(artifact);
    let record = store.path().join(format!("v1/f1/records/{}", artifact.kind()));
    for folder in [path.parent().expect("a folder"), &record] {
        fs::create_dir_all(folder).expect("a folder is made");
    }
    fs::write(path, b"content").expect("a file is written");
    let digest = Digest::of(b"content");
    let json = format!(r#"{{"version":1,"size":7,"digest":"{digest}","builder":"0.1.0"}}"#);
    let record = record.join(format!("{}.json", artifact.digest().hex()));
    fs::write(record, json).expect("a record is written");
}

/// A folder with the store and the locks, and how many artifacts are stored.
fn filled() -> (TempDir, Store, usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::at(folder.path().join("store"));
    let mut stored: BTreeSet<Artifact> =
        (0..UNWANTED).map(|nth| Artifact::Blob(Digest::of(format!("unwanted {nth}")))).collect();
    for project in 0..PROJECTS {
        let lock = lock(project);
        let path = folder.path().join(format!("{project}.lock"));
        fs::write(&path, lock.render()).expect("a lock is written");
        let wanted = wanted(&lock, &Selection::everything(&lock));
        root(&store, &path, &wanted);
        stored.extend(wanted);
    }
    for artifact in &stored {
        put(&store, *artifact);
    }
    (folder, store, stored.len())
}

fn root(store: &Store, lock: &Path, wanted: &BTreeSet<Artifact>) {
    store.put_root(lock, wanted, SystemTime::now(), caller()).expect("a root is written");
}

fn caller() -> Caller {
    Caller::quiet("benchmark", Duration::from_secs(10))
}

fn large_store(criterion: &mut Criterion) {
    let request = Request::Everything(Limits::default());
    let (_folder, store, stored) = filled();
    let name = format!("look at {stored} artifacts and {PROJECTS} roots");
    criterion.bench_function(&name, |bencher| {
        bencher.iter(|| {
            preview(&store, &request, SystemTime::now(), &|_| Vec::new())
                .expect("nothing is in the way")
        });
    });
    let mut group = criterion.benchmark_group("delete");
    group.sample_size(10);
    group.bench_function(format!("{UNWANTED} of {stored} artifacts"), |bencher| {
        let deleted = |(folder, store, _): (TempDir, Store, usize)| {
            let collection =
                collect(&store, &request, SystemTime::now(), caller(), &|_, _| Vec::new());
            assert_eq!(collection.expect("nothing is in the way").removed().count(), UNWANTED);
            folder
        };
        bencher.iter_batched(filled, deleted, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, large_store);
criterion_main!(benches);
