//! Pinned bytes: a change of any digest here is a new artifact format.

use sandbox_images::disk::erofs::dump::dump;
use sandbox_images::disk::erofs::fsmeta;
use sandbox_images::disk::erofs::layer::LayerWriter;
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::entry::DataSink;
use sandbox_images::layer::tree::{Content, Inode, Kind, Metadata, Node, Tree};
use sandbox_images::oci::digest::Digest;

use super::sample::{Sample, diff_id, everything, meta};

fn dumped(image: &[u8]) -> String {
    let mut text = Vec::new();
    dump(&Image::open(image).unwrap(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn small(layers: u16) -> Sample {
    let mut sample = Sample::new(usize::from(layers));
    sample.directory(b"bin", meta(0o755, 100));
    sample.file(0, b"bin/busybox", meta(0o4755, 100), &[b'b'; 5000]);
    sample.link(b"bin/sh", b"bin/busybox");
    sample.file(layers - 1, b"motd", meta(0o644, 200), b"hello");
    sample.symlink(b"-", b"bin/sh");
    sample
}

#[test]
fn a_small_layer() {
    let (_, image, _) = small(1).layer_image();
    insta::assert_snapshot!(dumped(&image), @"");
    insta::assert_snapshot!(Digest::of(image), @"");
}

#[test]
fn a_small_fsmeta() {
    let stack = small(2).stack();
    insta::assert_snapshot!(dumped(&stack.fsmeta), @"");
    insta::assert_snapshot!(Digest::of(stack.fsmeta), @"");
}

#[test]
fn one_of_everything() {
    let (_, image, _) = everything(1).layer_image();
    insta::assert_snapshot!(Digest::of(image), @"");
    insta::assert_snapshot!(Digest::of(everything(3).stack().fsmeta), @"");
}

/// Writes files one after the other, in pieces of `step` bytes, and answers their blocks and the image.
fn written(files: &[Vec<u8>], step: usize) -> (Vec<u32>, Vec<u8>) {
    let mut writer = LayerWriter::new(Vec::new()).unwrap();
    let mut blocks = Vec::new();
    for file in files {
        for (index, piece) in file.chunks(step).enumerate() {
            // A piece of zeros may come as a hole: the bytes must not depend on it.
            if piece.iter().any(|&byte| byte != 0) || step % 2 == 0 {
                writer.write((index * step) as u64, piece).unwrap();
            }
        }
        blocks.push(DataSink::finish(&mut writer, file.len() as u64).unwrap());
    }
    let tree = Tree::new(Metadata::implied());
    let (image, _) = writer.finish(&tree, diff_id(0)).unwrap();
    (blocks, image)
}

#[test]
fn equal_files_are_stored_once_and_what_was_dropped_leaves_no_trace() {
    let mut sparse = vec![0; 3 << 20];
    sparse[2 << 20] = 1;
    let noise: Vec<u8> = (0..3 << 20_u32)
        .map(|at: u32| (at / 7 % 255) as u8 + 1)
        .collect();
    let files = [
        noise.clone(),
        b"small".to_vec(),
        noise.clone(),
        sparse.clone(),
        b"small".to_vec(),
        b"other".to_vec(),
        vec![0; 8192],
        sparse.clone(),
        vec![0; 8193],
        vec![0; 8192],
    ];
    let (blocks, image) = written(&files, 1 << 16);
    assert_eq!(blocks, [1, 769, 1, 770, 769, 1538, 1539, 770, 1541, 1539]);
    for (file, block) in files.iter().zip(blocks) {
        let start = block as usize * 4096;
        assert!(
            image[start..start + file.len()] == file[..],
            "block {block}"
        );
    }
    for step in [1000, 1001, 4096, 4099, 5 << 20] {
        assert!(written(&files, step).1 == image, "in pieces of {step}");
    }
}

#[test]
fn what_cannot_be_addressed_is_refused() {
    let mut writer = LayerWriter::new(Vec::new()).unwrap();
    assert!(DataSink::finish(&mut writer, 1 << 44).is_err());
    assert!(writer.write(u64::MAX, b"x").is_err());
    assert!(DataSink::finish(&mut writer, u64::MAX).is_err());

    let mut sample = Sample::new(1);
    sample.file(0, b"f", Metadata::implied(), b"x");
    let stack = sample.stack();
    for (layer, address, size_bytes) in [(1, 1, 1), (0, 1, 1 << 30), (0, u32::MAX, 1)] {
        let mut tree = Tree::new(Metadata::implied());
        let content = Content {
            size_bytes,
            layer,
            address,
        };
        let kind = Kind::File(content);
        let id = tree.add_inode(Inode {
            metadata: Metadata::implied(),
            kind,
        });
        let root = sandbox_images::layer::tree::DirectoryId::ROOT;
        tree.insert(root, (*b"f").into(), Node::Inode(id));
        assert!(fsmeta::write(&tree, &stack.layers, &mut Vec::new()).is_err());
    }
}

#[test]
fn a_layer_without_surviving_files_is_not_on_the_disk() {
    let mut sample = Sample::new(3);
    sample.content(0, b"replaced above");
    sample.file(1, b"empty", Metadata::implied(), b"");
    sample.file(2, b"f", Metadata::implied(), b"f");
    let stack = sample.stack();
    assert_eq!(stack.facts.devices, [2]);
}
