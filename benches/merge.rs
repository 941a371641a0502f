//! The merge of 40 layers with 100,000 files in 2,000 directories, some of them whited out again.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sandbox_images::layer::builder::Builder;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::entry::{Entry, EntryKind};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;
use sandbox_images::layer::tree::{Device, Metadata};

fn entry(path: String, kind: EntryKind) -> Entry {
    Entry {
        path: path.into_bytes(),
        kind,
        link: Vec::new(),
        size_bytes: 1,
        device: Device::default(),
        metadata: Metadata::implied(),
        offset_bytes: 0,
    }
}

fn layer(index: usize) -> Changeset {
    let mut builder = Builder::new(&Limits::default(), 0);
    let mut add = |path, kind| {
        let added = builder.add(entry(path, kind), 1);
        added.expect("the entries of a benchmark are right");
    };
    for directory in index * 50..(index + 1) * 50 {
        add(format!("usr/lib/d{directory}"), EntryKind::Directory);
        for file in 0..40 {
            add(format!("usr/lib/d{directory}/f{file}"), EntryKind::File);
        }
    }
    for file in 0..500 {
        let directory = (file * 7) % ((index + 1) * 50);
        let path = format!("usr/lib/d{directory}/l{index}-{file}");
        add(path, EntryKind::File);
        if index > 0 && file < 50 {
            let directory = (index - 1) * 50 + file;
            add(format!("usr/lib/d{directory}/.wh.f7"), EntryKind::File);
        }
    }
    builder.finish()
}

fn forty_layers(criterion: &mut Criterion) {
    let layers: Vec<Changeset> = (0..40).map(layer).collect();
    criterion.bench_function("merge 40 layers, 100,000 files", |bencher| {
        bencher.iter_batched(|| layers.clone(), merge, BatchSize::LargeInput);
    });
}

criterion_group!(benches, forty_layers);
criterion_main!(benches);
