//! What is hard for a reader, shown to the kernel in each way that a disk can be mounted.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use sandbox_images::layer::tree::{Metadata, Timestamp};

use super::listing::{self, Listing};
use super::oracles::{put, put_devices};
use super::round_trip::{Entry, build, entries};
use super::sample::{Sample, Stack, everything, meta};
use crate::support::mount::Mount;
use crate::support::needs::needs;

/// Random trees that are mounted, each as a layer and as a disk.
const RANDOM_TREES: u32 = 16;

fn expected(stack: &Stack) -> Listing {
    listing::of_tree(&stack.tree, &stack.images)
}

/// Mounts the whole disk and compares all that it shows.
fn check_disk(folder: &Path, stack: &Stack) {
    let mount = Mount::quick(&put(folder, "disk", &stack.disk()));
    listing::assert_equal(&listing::of_mount(mount.path()), &expected(stack));
}

#[test]
fn a_disk_is_the_same_from_a_loop_device_and_from_files() {
    if !needs(&["root", "erofs from files"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stack = everything(3).stack();
    let disk = put(folder.path(), "disk", &stack.disk());
    let fsmeta = put(folder.path(), "fsmeta", &stack.fsmeta);
    let devices = put_devices(folder.path(), &stack);
    for mount in [
        Mount::erofs(&disk),
        Mount::erofs_with_devices(&fsmeta, &devices),
        Mount::erofs_from_files(&disk, &[]),
        Mount::erofs_from_files(&fsmeta, &devices),
    ] {
        listing::assert_equal(&listing::of_mount(mount.path()), &expected(&stack));
    }

    let (tree, image, _) = everything(1).layer_image();
    let mount = Mount::erofs_from_files(&put(folder.path(), "layer", &image), &[]);
    let shown = listing::of_mount(mount.path());
    listing::assert_equal(&shown, &listing::of_tree(&tree, &[image]));
}

#[test]
fn attributes_may_end_anywhere_in_a_unit_of_32_bytes() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let mut sample = Sample::new(1);
    let mut areas = Vec::new();
    for len in (0_usize..=64).step_by(4) {
        let mut metadata = meta(0o644, 5);
        metadata.xattrs.insert((*b"user.note").into(), vec![b'v'; len].into());
        sample.file(0, format!("f{len}").as_bytes(), metadata, b"x");
        areas.push((12 + 4 + 4 + len) % 32);
    }
    assert!((0..32).step_by(4).all(|area| areas.contains(&area)), "{areas:?}");
    check_disk(tempfile::tempdir().unwrap().path(), &sample.stack());
}

#[test]
fn numbers_beyond_16_and_below_0_are_shown() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let mut sample = Sample::new(2);
    for (index, seconds) in [i64::MIN, -1, 0, 1 << 31, 1 << 34, i64::MAX].into_iter().enumerate() {
        for (uid, gid) in [(0, 65_536), (70_000, 0), (u32::MAX - 1, u32::MAX - 1)] {
            let mtime = Timestamp { seconds, nanoseconds: 999_999_999 };
            let metadata = Metadata { uid, gid, mtime, ..meta(0o6755, 0) };
            sample.file(1, format!("{index}-{uid}").as_bytes(), metadata, b"x");
        }
    }
    check_disk(tempfile::tempdir().unwrap().path(), &sample.stack());
}

#[test]
fn more_layers_than_the_first_block_has_slots_for_are_mounted() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut sample = Sample::new(60);
    for layer in (0..60).filter(|layer| layer % 3 > 0) {
        let name = format!("file{layer}");
        sample.file(layer, name.as_bytes(), Metadata::implied(), name.as_bytes());
    }
    let stack = sample.stack();
    assert_eq!(stack.facts.devices.len(), 40);
    check_disk(folder.path(), &stack);
    if needs(&["erofs from files"]) {
        let fsmeta = put(folder.path(), "fsmeta", &stack.fsmeta);
        let mount = Mount::erofs_from_files(&fsmeta, &put_devices(folder.path(), &stack));
        listing::assert_equal(&listing::of_mount(mount.path()), &expected(&stack));
    }
}

#[test]
fn more_links_and_subdirectories_than_16_bits_count_are_shown() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let mut sample = Sample::new(1);
    sample.directory(b"d", Metadata::implied());
    sample.directory(b"l", Metadata::implied());
    sample.file(0, b"f", Metadata::implied(), b"x");
    for index in 0..66_000 {
        sample.link(format!("l/{index}").as_bytes(), b"f");
        sample.directory(format!("d/{index}").as_bytes(), Metadata::implied());
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = Mount::quick(&put(folder.path(), "disk", &sample.stack().disk()));
    let at = |path: &str| fs::metadata(mount.path().join(path)).unwrap();
    assert_eq!([at("f").nlink(), at("l/65999").nlink(), at("d").nlink()], [66_001, 66_001, 66_002]);
    assert_eq!(at("l/65999").ino(), at("f").ino());
    for directory in ["d", "l"] {
        assert_eq!(fs::read_dir(mount.path().join(directory)).unwrap().count(), 66_000);
    }
}

#[test]
fn random_trees_are_shown_as_they_were_written() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let config =
        ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(RANDOM_TREES) };
    let trees = prop::collection::vec(entries(), 0..120);
    let shown = TestRunner::new(config).run(&trees, |mut entries| {
        entries.iter_mut().for_each(Entry::keep_what_the_kernel_shows);
        let folder = tempfile::tempdir().unwrap();
        let (tree, image, _) = build(&entries, 1).layer_image();
        let mount = Mount::quick(&put(folder.path(), "layer", &image));
        let shown = listing::of_mount(mount.path());
        listing::assert_equal(&shown, &listing::of_tree(&tree, &[image]));
        check_disk(folder.path(), &build(&entries, 3).stack());
        Ok::<(), TestCaseError>(())
    });
    shown.unwrap();
}
