//! The metadata of a merged tree, 100,000 files in 2,000 directories of 40 layers: written as fsmeta and
//! read back.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sandbox_images::disk::erofs::fsmeta;
use sandbox_images::disk::erofs::layer::LayerImage;
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::tree::{Content, DirectoryId, Inode, Kind, Metadata, Node, Tree};
use sandbox_images::oci::digest::{DiffId, Digest};

const LAYERS: u16 = 40;
const DIRECTORIES: u32 = 2_000;
const FILES_PER_DIRECTORY: u32 = 50;
const FILES: u32 = DIRECTORIES * FILES_PER_DIRECTORY;

/// A tree whose files lie in `layers` layers, one block each, from block 1 on.
fn tree(layers: u16) -> Tree {
    let mut tree = Tree::new(Metadata::implied());
    for number in 0..DIRECTORIES {
        let directory = tree.add_directory(Metadata::implied());
        let name = format!("package-{number}").into_bytes();
        tree.insert(DirectoryId::ROOT, name.into(), Node::Directory(directory));
        for file in 0..FILES_PER_DIRECTORY {
            let serial = number * FILES_PER_DIRECTORY + file;
            let layer = u16::try_from(serial % u32::from(layers)).expect("less than it");
            let address = 1 + serial / u32::from(layers);
            let content = Content { size_bytes: u64::from(serial % 4096) + 1, layer, address };
            let kind = Kind::File(content);
            let inode = tree.add_inode(Inode { metadata: Metadata::implied(), kind });
            let name = format!("module-{file}.js").into_bytes();
            tree.insert(directory, name.into(), Node::Inode(inode));
        }
    }
    tree
}

fn diff_id(layer: u16) -> DiffId {
    DiffId(Digest::of(layer.to_le_bytes()))
}

fn metadata(criterion: &mut Criterion) {
    let merged = tree(LAYERS);
    let blocks = FILES / u32::from(LAYERS) + 1;
    let layers: Vec<LayerImage> =
        (0..LAYERS).map(|layer| LayerImage { diff_id: diff_id(layer), blocks }).collect();
    let mut group = criterion.benchmark_group("100,000 files");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(FILES)));
    let mut image = Vec::new();
    fsmeta::write(&merged, &layers, &mut image).expect("it fits");
    group.bench_function("write fsmeta", |bencher| {
        bencher.iter_batched(
            || Vec::with_capacity(image.len()),
            |mut out| fsmeta::write(&merged, &layers, &mut out),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("read fsmeta", |bencher| {
        bencher.iter(|| Image::open(image.as_slice()).and_then(|image| image.tree(0)));
    });
    group.finish();
}

criterion_group!(benches, metadata);
criterion_main!(benches);
