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
    insta::assert_snapshot!(dumped(&image), @r"
    Superblock { inos: 5, epoch: 0.000000000, blocks: 5, meta_blkaddr: 4, root_nid: 1, uuid: ace951b2cded8c7a9de9d095a0f1f7fb, extra_devices: 0 }
    / 040755 0:0 1.000000000 nlink=3 size=71 nid=1 ino=1 extended inline
    /- 120777 0:0 1.000000000 nlink=1 size=6 nid=6 ino=2 extended inline -> bin/sh
    /bin 040755 0:0 100.000000000 nlink=2 size=60 nid=9 ino=3 extended inline
    /motd 100644 0:0 200.000000000 nlink=1 size=5 nid=13 ino=4 extended block=3
    /bin/busybox 104755 0:0 100.000000000 nlink=2 size=5000 nid=15 ino=5 extended block=1
    /bin/sh 104755 0:0 100.000000000 nlink=2 size=5000 nid=15 ino=5 extended block=1
    ");
    insta::assert_snapshot!(Digest::of(image), @"sha256:2735b648495fe669f9d072ccd3f47a53ec8fd69daa3143f32bc3be5dcd2e3c8b");
}

#[test]
fn a_small_fsmeta() {
    let stack = small(2).stack();
    insta::assert_snapshot!(dumped(&stack.fsmeta), @r"
    Superblock { inos: 5, epoch: 100.000000000, blocks: 2, meta_blkaddr: 1, root_nid: 1, uuid: cd1fddf0706d878ba1d68a8a7187fd03, extra_devices: 2 }
    device 0: DeviceSlot { tag: sha256:3ef3bd6c80bd7c673acc76fde924749be5cb8c7553fd17c2c3979f37a754f75b, blocks: 4, uniaddr: 2 }
    device 1: DeviceSlot { tag: sha256:54db133a109fd7f0d6eb72da16df1af078f2bf86e917ae3c780a13d811d6aa6f, blocks: 3, uniaddr: 6 }
    / 040755 0:0 1.000000000 nlink=3 size=71 nid=1 ino=1 extended inline
    /- 120777 0:0 1.000000000 nlink=1 size=6 nid=6 ino=2 extended inline -> bin/sh
    /bin 040755 0:0 100.000000000 nlink=2 size=60 nid=9 ino=3 compact inline
    /motd 100644 0:0 200.000000000 nlink=1 size=5 nid=12 ino=4 extended block=7
    /bin/busybox 104755 0:0 100.000000000 nlink=2 size=5000 nid=14 ino=5 compact block=3
    /bin/sh 104755 0:0 100.000000000 nlink=2 size=5000 nid=14 ino=5 compact block=3
    ");
    insta::assert_snapshot!(Digest::of(stack.fsmeta), @"sha256:1b5d6d853d3dc7c4f4a485ea1795a524fc9d265f5e3f04783c0eef866b9fb285");
}

#[test]
fn one_of_everything() {
    let (_, image, _) = everything(1).layer_image();
    insta::assert_snapshot!(Digest::of(image), @"sha256:eddb9fb5f346d147961e802a411644ce330d141521adf25efd9f95e9f75eb5d4");
    insta::assert_snapshot!(Digest::of(everything(3).stack().fsmeta), @"sha256:2e50f237b540efba59e53c1e7993b2e45f01118d1bb80d8fc575fe37da69d217");
}

/// Writes files one after the other, in pieces of `step` bytes, and answers their blocks and the image.
fn written(files: &[Vec<u8>], step: usize) -> (Vec<u32>, Vec<u8>) {
    let mut writer = LayerWriter::new(Vec::new()).unwrap();
    let mut blocks = Vec::new();
    for file in files {
        for (index, piece) in file.chunks(step).enumerate() {
            // A piece of zeros may come as a hole: the bytes must not depend on it.
            if piece.iter().any(|&byte| byte != 0) || step.is_multiple_of(2) {
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
    let noise: Vec<u8> = (0..3 << 20_u32).map(|at: u32| (at / 7 % 255) as u8 + 1).collect();
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
        assert!(image[start..start + file.len()] == file[..], "block {block}");
    }
    for step in [1000, 1001, 4096, 4099, 5 << 20] {
        assert!(written(&files, step).1 == image, "in pieces of {step}");
    }
}

#[test]
fn a_file_that_did_not_end_leaves_no_trace() {
    let tree = Tree::new(Metadata::implied());
    let mut writer = LayerWriter::new(Vec::new()).unwrap();
    writer.write(0, &vec![1; 3 << 20]).unwrap();
    let (image, _) = writer.finish(&tree, diff_id(0)).unwrap();
    assert_eq!(image, written(&[], 1).1);
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
        let content = Content { size_bytes, layer, address };
        let kind = Kind::File(content);
        let id = tree.add_inode(Inode { metadata: Metadata::implied(), kind });
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
