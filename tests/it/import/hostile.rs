//! Bundles that were cut, moved or made to lie: refused, and nothing of them is kept.

use std::fs;
use std::path::{Path, PathBuf};

use sandbox_images::oci::digest::Digest;
use serde_json::Value;

use super::{CONTENTS, bundle, elsewhere, image, published, synced, text};
use crate::support::archive::{file, link};
use crate::support::archive_listing::read_entries;
use crate::support::file_tree::FileTree;
use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::layer_tar::{TarEntry, TarKind, tar_of};
use crate::support::project::Project;
use crate::support::store_tree::{assert_golden, store_tree};

/// The names and bytes of a bundle's files.
type Entries = Vec<(String, Vec<u8>)>;

/// Writes these entries, with a list that fits them unless `entries` has one of its own.
fn rewritten(project: &Project, entries: &Entries) -> PathBuf {
    let mut list: Value = serde_json::from_slice(&entries[0].1).unwrap();
    let files = entries[1..].iter().map(|(name, bytes)| {
        serde_json::json!({ "name": name, "size": bytes.len(), "digest": Digest::of(bytes).to_string() })
    });
    list["files"] = files.collect();
    let mut entries = entries.clone();
    entries[0].1 = list.to_string().into_bytes();
    write(project, &entries)
}

fn write(project: &Project, entries: &Entries) -> PathBuf {
    let files: Vec<_> = entries.iter().map(|(name, bytes)| file(name, bytes.clone())).collect();
    let path = project.directory().join("hostile.tar");
    fs::write(&path, tar_of(&files).unwrap()).unwrap();
    path
}

/// Demands that the bundle is refused, with `code` and these words, and that nothing of it is kept: neither by a
/// host that has nothing nor by one that has an older image.
#[track_caller]
fn refused(project: &Project, path: &Path, code: i32, words: &str) {
    let other = elsewhere(project);
    for more in [&["--verify-only"][..], &[]] {
        let ran = other.run(&[&["import", text(path)], more].concat());
        assert!(ran.code == code && ran.stderr.contains(words), "{words}\n{ran:?}");
        assert_eq!(published(&other), [""; 0], "{words}");
        assert!(!other.lock_path().exists());
    }
    let held = holding_another(project);
    let (files, store) = (FileTree::read(&held.directory()), store_tree(&held.store()));
    held.run(&["import", "--lockfile", "new.lock", text(path)]).exits(code);
    FileTree::read(&held.directory()).assert_equals(&files, "its files", "its files before");
    assert_golden(&held.store(), &store, words);
}

/// A host with an image of its own, that uses nothing of `project`.
fn holding_another(project: &Project) -> Project {
    let other = elsewhere(project);
    let image = two_platforms(&[&Layer::new("/app 0755 older")]);
    image.write_layout(&other.directory().join("layout"), "v1").unwrap();
    other.run(&["pull", "oci:./layout:v1"]).exits(0);
    other
}

fn place(entries: &Entries, part: &str) -> usize {
    entries.iter().position(|(name, _)| name.contains(part)).expect("the bundle has it")
}

#[test]
fn a_bundle_that_was_cut_or_moved_is_refused() {
    let (_registry, project) = synced();
    let path = bundle(&project, "both", &[]);
    let whole = fs::read(&path).unwrap();
    let cut = project.directory().join("cut.tar");
    for length in [whole.len() - 1, whole.len() - 512, whole.len() - 1024, whole.len() / 2, 4096] {
        fs::write(&cut, &whole[..length]).unwrap();
        refused(&project, &cut, 5, "error[bundle-damaged]");
    }
    let good = read_entries(&path);
    let mut swapped = good.clone();
    let last = swapped.len() - 1;
    swapped.swap(last, last - 1);
    refused(&project, &write(&project, &swapped), 5, "should be");
    let mut shorter = good.clone();
    shorter.pop();
    refused(&project, &write(&project, &shorter), 5, "ends before `blobs/sha256/");
    let mut longer = good.clone();
    longer.push(good[last].clone());
    refused(&project, &write(&project, &longer), 5, "which is not in its `bundle.json`");
    refused(&project, &rewritten(&project, &longer), 5, "twice");
    let mut spoiled = good;
    spoiled[last].1[20] ^= 1;
    refused(&project, &write(&project, &spoiled), 5, "has the digest");
}

#[test]
fn a_bundle_that_lies_about_itself_is_refused() {
    let (_registry, project) = synced();
    let good = read_entries(&bundle(&project, "both", &[]));
    let changed = |part: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut entries = good.clone();
        let place = place(&entries, part);
        change(&mut entries[place].1);
        rewritten(&project, &entries)
    };
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    refused(&project, &changed("f1/fsmeta", &flip), 5, "and of its layers comes");
    refused(&project, &changed("f1/disks", &flip), 5, "and of its layers comes");
    refused(&project, &changed("blobs/sha256", &flip), 5, "says that `blobs/sha256/");
    refused(&project, &changed("index.json", &flip), 5, "is not what its lock says");
    refused(&project, &changed("sandbox-images.lock", &flip), 5, "error[bundle-damaged]");
    // Data of a file, which no structure of the image speaks of.
    let forged = |bytes: &mut Vec<u8>| bytes[5000] ^= 1;
    refused(&project, &changed("f1/layers", &forged), 5, "and of its layers comes");

    let foreign = b"{}".to_vec();
    let name = format!("blobs/sha256/{}", Digest::of(&foreign).hex());
    let mut entries = good.clone();
    entries.push((name, foreign));
    refused(&project, &rewritten(&project, &entries), 5, "which is of none of its images");

    for name in ["../x", "/etc/passwd", "blobs/sha256/../../x", "f1/layers/sha256/x.erofs"] {
        let mut entries = good.clone();
        entries.push((name.to_owned(), b"x".to_vec()));
        refused(&project, &rewritten(&project, &entries), 5, "which no bundle holds");
    }
}

#[test]
fn a_bundle_with_something_else_than_files_is_refused() {
    let (_registry, project) = synced();
    let good = read_entries(&bundle(&project, "artifacts", &[]));
    let last = &good.last().unwrap().0;
    let other = |kind| TarEntry::new(last.as_str(), kind, 0o644);
    let hard_link = TarKind::HardLink(b"oci-layout".to_vec());
    let others = [link(last, "/etc/passwd"), other(hard_link), other(TarKind::Directory)];
    for other in others {
        let mut entries: Vec<_> =
            good.iter().map(|(name, bytes)| file(name, bytes.clone())).collect();
        *entries.last_mut().unwrap() = other;
        let path = project.directory().join("hostile.tar");
        fs::write(&path, tar_of(&entries).unwrap()).unwrap();
        refused(&project, &path, 5, "should be");
    }
}

#[test]
fn a_layer_image_without_its_layer_is_one_of_that_layer() {
    let (_registry, project) = synced();
    let good = read_entries(&bundle(&project, "artifacts", &[]));
    let one = place(&good, "f1/layers");
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut entries = good.clone();
        change(&mut entries[one].1);
        rewritten(&project, &entries)
    };
    // In the superblock, and in the middle.
    refused(&project, &changed(&|bytes| bytes[1100] ^= 1), 5, "cannot be read");
    refused(&project, &changed(&|bytes| bytes.truncate(4096)), 5, "cannot be read");
    let mut entries = good.clone();
    let bytes = entries[one].1.clone();
    entries[one].1 = std::mem::replace(&mut entries[one + 1].1, bytes);
    refused(&project, &rewritten(&project, &entries), 5, "is not the image of that layer");
}

#[test]
fn what_is_no_bundle_is_not_taken_for_one() {
    let (_registry, project) = synced();
    let words = ["export", "-o", "layout.tar", "--format", "oci", "--platform", "all"];
    project.run(&words).exits(0);
    let layout = project.directory().join("layout.tar");
    refused(&project, &layout, 1, "error[not-a-bundle]");
    let noise = project.directory().join("noise");
    for bytes in [vec![], vec![7; 4000], b"hello".to_vec()] {
        fs::write(&noise, bytes).unwrap();
        refused(&project, &noise, 1, "error[not-a-bundle]");
    }
    refused(&project, Path::new("missing.tar"), 1, "error[bundle-unreadable]");
}

#[test]
fn a_lock_with_digests_of_artifacts_holds_layer_images_to_them() {
    let (_registry, project) = registry_and_project(&image());
    project.run(&["lock", "--artifacts"]).exits(0);
    let good = read_entries(&bundle(&project, "artifacts", &[]));
    let mut entries = good.clone();
    let layer = place(&entries, "f1/layers");
    let last = entries[layer].1.len() - 1;
    entries[layer].1[last] ^= 1;
    refused(&project, &rewritten(&project, &entries), 5, "error[artifact-mismatch]");
    for content in CONTENTS {
        let other = elsewhere(&project);
        other.run(&["import", text(&bundle(&project, content, &[]))]).exits(0);
        other.run(&["sync", "--frozen", "--platform", "all"]).exits(0);
    }
}
