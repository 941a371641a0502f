//! `import`: a bundle fills an empty store with no network, or nothing happens.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sandbox_images::oci::digest::Digest;
use serde_json::Value;

use crate::support::archive::file;
use crate::support::archive_listing::read_entries;
use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::layer_tar::tar_of;
use crate::support::needs::needs;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

const BASE: &str = "/etc/ 0755\n/etc/motd 0644 hello\n/bin/busybox 0755 random=70001";
const APP: &str = "/app 0755 run\n/etc/motd whiteout\n/zeros 0644 zeros=20000";
const CONTENTS: [&str; 3] = ["artifacts", "oci", "both"];

/// Runs a program where there is no network interface.
const NO_NETWORK: [&str; 2] = ["unshare", "-n"];

type Entries = Vec<(String, Vec<u8>)>;

fn image() -> Image {
    two_platforms(&[&Layer::new(BASE), &Layer::new(APP)])
}

fn synced() -> (TestRegistry, Project) {
    let (registry, project) = registry_and_project(&image());
    project.run(&["sync", "--platform", "all"]).exits(0);
    (registry, project)
}

#[track_caller]
fn bundle(project: &Project, content: &str, arguments: &[&str]) -> PathBuf {
    let name = format!("{content}.tar");
    let words = ["export", "-o", &name, "--platform", "all", "--content", content];
    project.run(&[&words[..], arguments].concat()).exits(0);
    project.directory().join(name)
}

/// A project on another host: the same `sandbox-images.toml`, no lock, an empty store.
fn elsewhere(project: &Project) -> Project {
    let text = fs::read_to_string(project.directory().join("sandbox-images.toml")).unwrap();
    Project::new(&text)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// What stands where artifacts, blobs and records would.
fn published(project: &Project) -> Vec<String> {
    let kinds =
        ["blobs/sha256", "f1/layers/sha256", "f1/fsmeta/sha256", "f1/disks/sha256", "roots"];
    let names = kinds.map(|kind| fs::read_dir(project.store().join("v1").join(kind)));
    let names = names.into_iter().flatten().flatten();
    names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_bundle_on_an_empty_host_makes_a_frozen_sync_green() {
    if !needs(&["unshare", "root"]) {
        return;
    }
    let (registry, project) = synced();
    let bundles = CONTENTS.map(|content| bundle(&project, content, &[]));
    drop(registry);
    for path in bundles {
        let other = elsewhere(&project);
        let run = |arguments: &[&str]| Ran::of(&mut other.command_under(&NO_NETWORK, arguments));
        let told = run(&["import", text(&path)]).exits(0).stderr;
        assert!(told.contains("Imported 1 image: 2 layers and 1 disk new"), "{told}");
        assert_eq!(other.lock_text(), project.lock_text());
        run(&["sync", "--frozen", "--platform", "all"]).exits(0);
        run(&["verify"]).exits(0);
        assert_eq!(other.artifacts(), project.artifacts(), "{}", path.display());
        let told = run(&["import", "--locked", text(&path)]).exits(0).stderr;
        assert!(told.contains("1 image in the store already"), "{told}");
    }
}

#[test]
fn a_bundle_comes_through_a_pipe_packed_or_not() {
    let (_registry, project) = synced();
    let path = bundle(&project, "both", &[]);
    let packed = project.directory().join("both.tar.gz");
    let words = ["export", "-o", text(&packed), "--platform", "all", "--content", "both"];
    project.run(&words).exits(0);
    for path in [path, packed] {
        let other = elsewhere(&project);
        let mut command = other.command(&["import", "-", "--json"]);
        let ran = Ran::of(command.stdin(File::open(path).unwrap())).exits(0);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["schema"], "sandbox-images/import/1");
        assert_eq!(told["done"]["layers"], 2);
        assert_eq!(told["lock_written"], true);
        assert_eq!(other.artifacts(), project.artifacts());
    }
}

#[test]
fn verify_only_keeps_nothing() {
    let (_registry, project) = synced();
    for content in CONTENTS {
        let path = bundle(&project, content, &[]);
        let other = elsewhere(&project);
        let told = other.run(&["import", "--verify-only", text(&path)]).exits(0).stderr;
        assert!(told.contains("Verified 1 image"), "{told}");
        assert_eq!(published(&other), [""; 0]);
        assert!(!other.lock_path().exists());
        let left = fs::read_dir(other.store().join("v1/tmp")).unwrap();
        assert_eq!(left.count(), 0);
    }
}

#[test]
fn a_bundle_of_another_lock_is_refused() {
    let (registry, project) = synced();
    let path = bundle(&project, "artifacts", &[]);
    let other = elsewhere(&project);
    let told = other.run(&["import", "--locked", text(&path)]).exits(3).stderr;
    assert!(told.contains("error[missing-lock]"), "{told}");
    serve(&registry, "app", "1", &two_platforms(&[&Layer::new("/app 0755 other")]));
    other.run(&["lock"]).exits(0);
    let lock = other.lock_text();
    let told = other.run(&["import", text(&path)]).exits(3).stderr;
    assert!(told.contains("error[bundle-lock]"), "{told}");
    assert_eq!(other.lock_text(), lock);
    assert_eq!(published(&other), [""; 0]);
}

#[test]
fn what_a_bundle_leaves_out_must_be_there() {
    let (registry, project) = synced();
    let first = bundle(&project, "artifacts", &[]);
    let older = elsewhere(&project);
    older.run(&["import", text(&first)]).exits(0);
    fs::copy(project.lock_path(), project.directory().join("old.lock")).unwrap();
    let newer = two_platforms(&[&Layer::new(BASE), &Layer::new("/app 0755 newer")]);
    serve(&registry, "app", "1", &newer);
    project.run(&["update"]).exits(0);
    project.run(&["sync", "--platform", "all"]).exits(0);
    for content in CONTENTS {
        let path = bundle(&project, content, &["--since", "old.lock"]);
        let empty = elsewhere(&project);
        let told = empty.run(&["import", text(&path)]).exits(4).stderr;
        assert!(told.contains("error[not-in-sync]") && told.contains("--since"), "{told}");
        assert_eq!(published(&empty), [""; 0]);

        fs::copy(project.lock_path(), older.lock_path()).unwrap();
        older.run(&["import", text(&path)]).exits(0);
        older.run(&["sync", "--frozen", "--platform", "all"]).exits(0);
        for (artifact, digest) in project.artifacts() {
            assert_eq!(older.artifacts().get(&artifact), Some(&digest), "{artifact}");
        }
    }
}

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

/// Demands that the bundle is refused, with `code` and these words, and that nothing of it is stored.
#[track_caller]
fn refused(project: &Project, path: &Path, code: i32, words: &str) {
    let other = elsewhere(project);
    let ran = other.run(&["import", text(path)]);
    assert!(ran.code == code && ran.stderr.contains(words), "{words}\n{ran:?}");
    assert_eq!(published(&other), [""; 0], "{words}");
    assert!(!other.lock_path().exists());
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

#[test]
fn several_images_and_one_platform_travel_alone() {
    let registry = TestRegistry::start();
    serve(&registry, "one", "1", &two_platforms(&[&Layer::new(BASE)]));
    serve(&registry, "two", "1", &two_platforms(&[&Layer::new(BASE), &Layer::new(APP)]));
    let host = registry.host();
    let images = [("one", format!("{host}/one:1")), ("two", format!("{host}/two:1"))];
    let project = project_naming(&images.each_ref().map(|(name, source)| (*name, &source[..])));
    project.run(&["sync", "--platform", "all"]).exits(0);
    let words = ["export", "-o", "two.tar", "--image", "two", "--platform", "linux/arm64"];
    project.run(&words).exits(0);
    let other = elsewhere(&project);
    other.run(&["import", text(&project.directory().join("two.tar"))]).exits(0);
    other.run(&["sync", "--frozen", "--image", "two", "--platform", "linux/arm64"]).exits(0);
    let told = other.run(&["sync", "--frozen", "--image", "one"]).exits(4).stderr;
    assert!(told.contains("error[not-in-sync]"), "{told}");
}
