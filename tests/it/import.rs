//! `import`: a bundle fills an empty store with no network, or nothing happens.

mod hostile;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::needs::needs;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::tmpfs::Tmpfs;

const BASE: &str = "/etc/ 0755\n/etc/motd 0644 hello\n/bin/busybox 0755 random=70001";
const APP: &str = "/app 0755 run\n/etc/motd whiteout\n/zeros 0644 zeros=20000";
const CONTENTS: [&str; 3] = ["artifacts", "oci", "both"];

/// Runs a program where there is no network interface.
const NO_NETWORK: [&str; 2] = ["unshare", "-n"];

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
fn verify_only_needs_no_store_and_keeps_nothing() {
    let (_registry, project) = synced();
    for content in CONTENTS {
        let path = bundle(&project, content, &[]);
        let other = elsewhere(&project);
        let scratch = tempfile::tempdir().unwrap();
        let before = FileTree::read(other.files());
        let mut command = other.command(&["import", "--verify-only", text(&path)]);
        let told = Ran::of(command.env("TMPDIR", scratch.path())).exits(0).stderr;
        assert!(told.contains("Verified 1 image"), "{told}");
        FileTree::read(other.files()).assert_equals(&before, "the host", "the host before");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        let mut command = other.command(&["import", "--verify-only", text(&path)]);
        let told = Ran::of(command.env("TMPDIR", other.files().join("none"))).exits(1).stderr;
        assert!(told.contains("error[output]"), "{told}");
    }
}

#[test]
fn verify_only_reads_a_store_that_cannot_be_written() {
    if !needs(&["root", "mount"]) {
        return;
    }
    let (registry, project) = synced();
    let other = elsewhere(&project);
    let tmpfs = Tmpfs::mount(&other.store(), "size=8m");
    let path = bundle(&project, "artifacts", &[]);
    other.run(&["import", text(&path)]).exits(0);
    fs::copy(project.lock_path(), project.directory().join("old.lock")).unwrap();
    let newer = two_platforms(&[&Layer::new(BASE), &Layer::new("/app 0755 newer")]);
    serve(&registry, "app", "1", &newer);
    project.run(&["update"]).exits(0);
    project.run(&["sync", "--platform", "all"]).exits(0);
    let since = bundle(&project, "both", &["--since", "old.lock"]);
    fs::copy(project.lock_path(), other.lock_path()).unwrap();
    tmpfs.remount("ro");
    let before = FileTree::read(&other.store());
    other.run(&["import", "--verify-only", text(&since)]).exits(0);
    other.run(&["import", text(&since)]).exits(1);
    FileTree::read(&other.store()).assert_equals(&before, "the store", "the store before");
    // What it builds upon is missed where there is none.
    let empty = elsewhere(&project);
    let told = empty.run(&["import", "--verify-only", text(&since)]).exits(4).stderr;
    assert!(told.contains("error[not-in-sync]"), "{told}");
    assert!(!empty.store().exists());
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

#[test]
fn what_an_import_left_undone_the_next_one_does() {
    let (_registry, project) = synced();
    for content in CONTENTS {
        let path = bundle(&project, content, &[]);
        let other = elsewhere(&project);
        other.run(&["import", text(&path)]).exits(0);
        let whole = other.artifacts();
        let records = other.store().join("v1/f1/records");
        let lost = ["layer", "fsmeta", "disk"].map(|kind| {
            let mut names = fs::read_dir(records.join(kind)).unwrap();
            names.next().unwrap().unwrap().path()
        });
        for record in lost {
            fs::remove_file(record).unwrap();
        }
        let told = other.run(&["import", "--json", text(&path)]).exits(0).stdout;
        let told: Value = serde_json::from_str(&told).unwrap();
        let done = ["documents", "layers", "fsmetas", "disks"].map(|kind| &told["done"][kind]);
        assert_eq!(done, [0, 1, 1, 1], "{told}");
        assert_eq!(other.artifacts(), whole);
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
