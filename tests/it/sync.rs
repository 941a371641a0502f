//! `sync`: what the lock says comes into the store, each layer once, and then nothing is left to do.

use std::collections::BTreeMap;
use std::fs;

use sandbox_images::oci::digest::Digest;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Compression, Family, Image, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::mount::{Mount, stitch, vmdk_parts};
use crate::support::needs::needs;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// What the disk of `image` shows when the kernel mounts it, without times.
fn mounted(project: &Project, image: &str) -> FileTree {
    let disk = project.run(&["path", image]).text();
    let stitched = project.directory().join("stitched");
    stitch(&vmdk_parts(disk.as_ref()), &stitched);
    FileTree::read(Mount::erofs(&stitched).path())
}

#[test]
fn a_second_sync_asks_nobody_and_changes_nothing() {
    let (base, app) = (Layer::new("/etc/motd 0644 hello"), Layer::new("/etc/motd whiteout"));
    let (registry, project) = registry_and_project(&two_platforms(&[&base, &app]));
    project.run(&["sync"]).exits(0);
    let before = FileTree::read(&project.store());
    registry.clear_requests();

    project.run(&["sync"]).exits(0);

    assert!(registry.requests().is_empty());
    FileTree::read(&project.store()).assert_equals(&before, "the store", "the store before");
    project.run(&["sync", "--check"]).exits(0);
    project.run(&["verify"]).exits(0);
}

#[test]
fn a_layer_of_two_images_is_fetched_once() {
    let (base, app) = (Layer::new("/lib 0644 random=9000"), Layer::new("/app 0755 run"));
    let registry = TestRegistry::start();
    serve(&registry, "base", "1", &two_platforms(&[&base]));
    serve(&registry, "app", "1", &two_platforms(&[&base, &app]));
    let at = |repository: &str| format!("{}/{repository}:1", registry.host());
    let project = project_naming(&[("base", &at("base")), ("app", &at("app"))]);

    project.run(&["sync"]).exits(0);

    assert_eq!(registry.requests_to(&base.digest).len(), 1);
    assert_eq!(registry.requests_to(&app.digest).len(), 1);
    assert_eq!(project.stored("layers").len(), 2);
    assert_eq!(project.stored("disks").len(), 2);
}

#[test]
fn every_packing_and_family_gives_the_same_artifacts() {
    let tar = layer_tar("/etc/ 0755\n/etc/motd 0644 hello\n/bin/sh -> busybox");
    let packings = [Compression::Plain, Compression::Gzip, Compression::Zstd];
    let stores: Vec<BTreeMap<String, Digest>> = packings
        .into_iter()
        .flat_map(|packing| [(packing, Family::Oci), (packing, Family::Docker)])
        .map(|(packing, family)| {
            let layer = Layer::packed(&tar, packing);
            let platforms = [("linux/amd64", vec![&layer]), ("linux/arm64", vec![&layer])];
            let image = Image::in_family(family, &platforms);
            let (_registry, project) = registry_and_project(&image);
            project.run(&["sync"]).exits(0);
            project.artifacts()
        })
        .collect();
    assert_eq!(stores[0].len(), 3, "a layer image, an fsmeta, a disk");
    assert!(stores.iter().all(|store| *store == stores[0]), "{stores:?}");
}

#[test]
fn an_image_of_a_layout_directory_needs_no_registry() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let project = project_naming(&[("app", "oci:./images/app:v1")]);
    two_platforms(&[&layer])
        .write_layout(&project.directory().join("images/app"), "v1")
        .expect("a layout is written");

    project.run(&["lock"]).exits(0);
    project.run(&["sync"]).exits(0);

    assert_eq!(project.stored("disks").len(), 1);
    project.run(&["verify"]).exits(0);
}

#[test]
fn the_kernel_shows_the_layers_merged() {
    if !needs(&["root", "erofs"]) {
        return;
    }
    let base = Layer::new(
        "/ 0755 mtime=1600000000
         /etc/ 0755 mtime=1600000001.5
         /etc/motd 0644 mtime=1600000002 uid=7 gid=70000 hello
         /etc/old 0644 gone
         /tmp/ 01777
         /var/log/ 0755
         /var/log/a 0644 hidden
         /bin/busybox 04755 random=70001 xattr:user.note=a\\sb
         /bin/sh => /bin/busybox",
    );
    let app = Layer::new(
        "/etc/old whiteout
         /var/log opaque
         /var/log/b 0644 shown
         /tmp/app.pipe fifo 0600
         /dev/null char 1:3 0666
         /bin/ash => /bin/busybox",
    );
    let (_registry, project) = registry_and_project(&two_platforms(&[&base, &app]));
    project.run(&["sync"]).exits(0);

    let shown = mounted(&project, "app").to_string();

    let has = |line: &str| shown.lines().any(|shown| shown.starts_with(line));
    assert!(has("/etc/motd gid=70000 mode=0644 mtime=1600000002.000000000 "), "{shown}");
    assert!(has("/etc gid=0 mode=0755 mtime=1600000001.500000000 "), "{shown}");
    assert!(has("/tmp gid=0 mode=1777 "), "an implied parent keeps what is below\n{shown}");
    assert!(!has("/etc/old") && !has("/var/log/a") && has("/var/log/b "), "{shown}");
    assert_eq!(shown.matches("same file as=bin/ash").count(), 3, "{shown}");
    assert!(shown.contains("xattr user.note=a b"), "{shown}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let (_registry, project) =
        registry_and_project(&two_platforms(&[&Layer::new("/etc/motd 0644 hello")]));
    project.run(&["sync", "--dry-run"]).exits(0);
    assert!(!project.lock_path().exists());
    assert!(!project.store().exists());

    project.run(&["lock"]).exits(0);
    project.run(&["sync", "--dry-run"]).exits(0);
    assert!(project.stored("layers").is_empty());
    project.run(&["sync", "--check"]).exits(4);
    assert!(project.stored("layers").is_empty());
}

#[test]
fn ci_locks_the_lock() {
    let (_registry, project) =
        registry_and_project(&two_platforms(&[&Layer::new("/etc/motd 0644 hello")]));
    let in_ci = |arguments: &[&str]| Ran::of(project.command(arguments).env("CI", "true"));
    in_ci(&["sync"]).exits(3);
    assert!(!project.lock_path().exists());
    in_ci(&["sync", "--no-locked"]).exits(0);
    in_ci(&["sync"]).exits(0);
    fs::remove_file(project.lock_path()).expect("the lock is removed");
    in_ci(&["lock"]).exits(0);
}
