//! Readers that are not ours: the kernel, `fsck.erofs`, the crate `erofs-rs`, QEMU and the crate `imago`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use erofs_rs::EroFS;
use erofs_rs::backend::SliceImage;
use sandbox_images::disk::extents::{Extent, Part, stitch};
use sandbox_images::disk::vmdk::Vmdk;
use sandbox_images::oci::digest::Digest;

use super::listing::{self, Listing};
use super::sample::{Stack, everything};
use crate::support::fsck::{Depth, fsck};
use crate::support::mount::Mount;
use crate::support::needs::needs;
use crate::support::process::run_program;

pub(super) fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

pub(super) fn put_devices(folder: &Path, stack: &Stack) -> Vec<PathBuf> {
    (0..)
        .zip(stack.devices())
        .map(|(index, bytes): (u32, _)| put(folder, &format!("device{index}"), &bytes))
        .collect()
}

#[test]
fn the_kernel_shows_a_layer_as_it_was() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (tree, image, _) = everything(1).layer_image();
    let mount = Mount::erofs(&put(folder.path(), "layer", &image));
    let shown = listing::of_mount(mount.path());
    listing::assert_equal(&shown, &listing::of_tree(&tree, &[image]));
}

#[test]
fn the_kernel_shows_a_stack_as_it_was_stitched_and_with_devices() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stack = everything(3).stack();
    let expected = listing::of_tree(&stack.tree, &stack.images);

    let mount = Mount::erofs(&put(folder.path(), "disk", &stack.disk()));
    listing::assert_equal(&listing::of_mount(mount.path()), &expected);

    let devices = put_devices(folder.path(), &stack);
    let fsmeta = put(folder.path(), "fsmeta", &stack.fsmeta);
    let mount = Mount::erofs_with_devices(&fsmeta, &devices);
    listing::assert_equal(&listing::of_mount(mount.path()), &expected);
}

#[test]
fn fsck_has_no_complaint() {
    if !needs(&["fsck.erofs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, layer, _) = everything(1).layer_image();
    let stack = everything(3).stack();
    let layer = put(folder.path(), "layer", &layer);
    fsck(&layer, &[], Depth::Contents);
    let disk = put(folder.path(), "disk", &stack.disk());
    let devices = put_devices(folder.path(), &stack);
    fsck(&disk, &devices, Depth::Contents);
}

/// What `erofs-rs` shows of an image: all but the names of hard links and the root's attributes.
pub(crate) fn of_erofs_rs(image: &[u8], devices: &[Vec<u8>]) -> Listing {
    let devices = devices.iter().map(|bytes| SliceImage::new(bytes)).collect();
    let fs = EroFS::new_with_devices(SliceImage::new(image), devices).unwrap();
    let mut nids: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut listing = Listing::new();
    for entry in fs.walk_dir("/").unwrap() {
        let entry = entry.unwrap();
        let inode = entry.inode;
        let path = entry.dir_entry.path().as_bytes().to_vec();
        let mut content = None;
        if inode.is_file() {
            let mut bytes = Vec::new();
            let mut file = fs.open_inode_file(inode).unwrap();
            Read::read_to_end(&mut file, &mut bytes).unwrap();
            content = Some((inode.data_size(), Digest::of(bytes)));
        }
        let target = inode.is_symlink().then(|| fs.read_link_inode(inode).unwrap());
        let (seconds, nanoseconds) = inode.modified_unix();
        let first = nids.entry(inode.id()).or_insert_with(|| path.clone());
        if path < *first {
            first.clone_from(&path);
        }
        let shown = listing::Shown {
            mode: std::os::unix::fs::PermissionsExt::mode(&inode.permissions()),
            owner: (inode.uid(), inode.gid()),
            mtime: (seconds, i64::from(nanoseconds)),
            nlink: u64::from(inode.nlink()),
            first: Vec::new(),
            device: inode.device().unwrap_or_default(),
            target: target.map_or_else(Vec::new, |target| target.as_bytes().to_vec()),
            content,
            xattrs: fs.xattrs_inode(inode).unwrap(),
        };
        listing.insert(path, shown);
    }
    listing
}

/// Leaves out what [`of_erofs_rs`] does not show.
pub(crate) fn comparable(mut listing: Listing) -> Listing {
    listing.remove(&b""[..]);
    for shown in listing.values_mut() {
        shown.first.clear();
        shown.mode &= 0o7777;
    }
    listing
}

#[test]
fn erofs_rs_reads_every_image() {
    let (tree, image, _) = everything(1).layer_image();
    let read = comparable(of_erofs_rs(&image, &[]));
    listing::assert_equal(&read, &comparable(listing::of_tree(&tree, &[image])));

    let stack = everything(3).stack();
    let read = comparable(of_erofs_rs(&stack.fsmeta, &stack.devices()));
    let expected = listing::of_tree(&stack.tree, &stack.images);
    listing::assert_equal(&read, &comparable(expected));
}

/// Writes the files of a disk and its descriptor as a store lays them out, and answers the latter.
fn write_disk(folder: &Path, stack: &Stack) -> PathBuf {
    let [parts, disks] = ["parts", "disks"].map(|name| folder.join(name));
    fs::create_dir(&parts).unwrap();
    fs::create_dir(&disks).unwrap();
    let devices = stack.facts.devices.iter().map(|&index| stack.layers[index]);
    let extents = stitch(stack.facts.blocks, devices)
        .unwrap()
        .into_iter()
        .map(|extent| {
            let (name, bytes) = match extent.file {
                Part::Fsmeta => ("fsmeta".to_owned(), &stack.fsmeta),
                Part::Layer(diff_id) => {
                    let same = |layer: &_| *layer == diff_id;
                    let ids = stack.layers.iter().map(|layer| layer.diff_id);
                    let index = ids.collect::<Vec<_>>().iter().position(same).unwrap();
                    (diff_id.hex(), &stack.images[index])
                }
            };
            put(&parts, &name, bytes);
            let file = format!("../parts/{name}");
            Extent { file, sectors: extent.sectors }
        })
        .collect();
    let vmdk = Vmdk::new(&Digest::of(&stack.fsmeta), extents);
    put(&disks, "disk.vmdk", vmdk.render().unwrap().as_bytes())
}

#[test]
fn qemu_reads_the_disk_as_the_concatenation_of_its_parts() {
    if !needs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stack = everything(3).stack();
    let vmdk = write_disk(folder.path(), &stack);
    let raw = folder.path().join("raw");
    let formats = ["convert", "-f", "vmdk", "-O", "raw"].map(Path::new);
    run_program("qemu-img", formats.into_iter().chain([&*vmdk, &*raw]));
    assert!(fs::read(raw).unwrap() == stack.disk());
}

/// What imago shows of the disk from `start` to its end, and how long it is.
fn read_by_imago(vmdk: &Path, start: u64) -> (Vec<u8>, u64) {
    use imago::file::File;
    use imago::{FormatAccess, FormatDriverBuilder, PermissiveImplicitOpenGate};

    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let disk = imago::vmdk::Vmdk::<File>::builder_path(vmdk)
            .open(PermissiveImplicitOpenGate::default())
            .await
            .unwrap();
        let disk = FormatAccess::new(disk);
        let mut bytes = vec![0; usize::try_from(disk.size() - start).unwrap()];
        disk.read(&mut bytes[..], start).await.unwrap();
        (bytes, disk.size())
    })
}

#[test]
fn imago_reads_the_disk_as_the_concatenation_of_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let stack = everything(3).stack();
    let vmdk = write_disk(folder.path(), &stack);
    assert!(read_by_imago(&vmdk, 0).0 == stack.disk());
}

#[test]
fn a_layer_beyond_4_gib_is_read_to_its_end() {
    const HOLE_BYTES: u64 = 5 << 30;
    if !needs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let extent = |name: &str, size_bytes: u64| {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        file.set_len(size_bytes).unwrap();
        file.write_all_at(name.as_bytes(), size_bytes - 512).unwrap();
        let file = name.to_owned();
        Extent { file, sectors: size_bytes / 512 }
    };
    let extents = vec![extent("fsmeta", 4096), extent("large", HOLE_BYTES), extent("last", 4096)];
    let text = Vmdk::new(&Digest::of(""), extents).render().unwrap();
    let vmdk = put(folder.path(), "disk.vmdk", text.as_bytes());
    let raw = folder.path().join("raw");
    let formats = ["convert", "-f", "vmdk", "-O", "raw"].map(Path::new);
    run_program("qemu-img", formats.into_iter().chain([&*vmdk, &*raw]));

    let mut expected = vec![0; 4096 + 512];
    expected[..5].copy_from_slice(b"large");
    expected[4096..4100].copy_from_slice(b"last");
    let start = HOLE_BYTES + 4096 - 512;
    let mut by_qemu = vec![0; expected.len()];
    let converted = fs::File::open(raw).unwrap();
    converted.read_exact_at(&mut by_qemu, start).unwrap();
    let (by_imago, size_bytes) = read_by_imago(&vmdk, start);
    assert!(by_qemu == expected && by_imago == expected);
    assert_eq!([converted.metadata().unwrap().len(), size_bytes], [HOLE_BYTES + 8192; 2]);
}
