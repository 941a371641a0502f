//! `export`: bundles, layouts and docker archives, and what others read of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sandbox_images::oci::digest::Digest;
use serde_json::Value;

use crate::support::archive_listing::{names, read_entries};
use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Compression, Family, Image, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::needs::needs;
use crate::support::process::{bounded, output};
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

const BASE: &str = "/etc/ 0755\n/etc/motd 0644 hello\n/bin/busybox 0755 random=70001";
const APP: &str = "/app 0755 run\n/etc/motd whiteout";
const ALL: [&str; 2] = ["--platform", "all"];

fn image() -> Image {
    two_platforms(&[&Layer::new(BASE), &Layer::new(APP)])
}

/// An image without an index, for one platform.
fn single() -> Image {
    let [base, app] = [BASE, APP].map(|lines| Layer::packed(&layer_tar(lines), Compression::Gzip));
    Image::single(Family::Oci, "linux/amd64", &[&base, &app])
}

/// A project whose image is locked and synced for all platforms, and the registry that it came from.
fn synced(image: &Image) -> (TestRegistry, Project) {
    let (registry, project) = registry_and_project(image);
    if image.platforms.len() == 1 {
        let path = project.directory().join("sandbox-images.toml");
        let text = fs::read_to_string(&path).unwrap();
        let text =
            text.replace("[images]", "[defaults]\nplatforms = [\"linux/amd64\"]\n\n[images]");
        fs::write(path, text).unwrap();
    }
    project.run(&["lock"]).exits(0);
    project.run(&["sync", "--platform", "all"]).exits(0);
    (registry, project)
}

/// Exports with these arguments too, and answers the path of what was written.
#[track_caller]
fn exported(project: &Project, name: &str, arguments: &[&str]) -> std::path::PathBuf {
    let arguments = [&["export", "-o", name][..], &ALL, arguments].concat();
    project.run(&arguments).exits(0);
    project.directory().join(name)
}

#[test]
fn the_same_lock_is_the_same_bytes() {
    let (registry, project) = synced(&image());
    let other = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    other.run(&["sync", "--platform", "all", "-j", "1"]).exits(0);
    for arguments in [
        &["--content", "artifacts"][..],
        &["--content", "oci"],
        &["--content", "both"],
        &["--format", "oci"],
    ] {
        let first = fs::read(exported(&project, "one", arguments)).unwrap();
        assert!(fs::read(exported(&project, "two", arguments)).unwrap() == first);
        let more = [arguments, &["-j", "1"]].concat();
        let words = [&["export", "-o", "three"][..], &ALL, &more].concat();
        let shell = ["sh", "-c", "umask 077; exec \"$@\"", "sh"];
        Ran::of(&mut other.command_under(&shell, &words)).exits(0);
        assert!(fs::read(other.directory().join("three")).unwrap() == first, "{arguments:?}");
        let words = [&["export", "-o", "-"][..], &ALL, arguments].concat();
        let streamed = output(&mut project.command(&words)).stdout;
        assert!(streamed == first, "{arguments:?} to standard output");
    }
}

#[test]
fn a_bundle_begins_with_the_list_of_all_that_it_holds() {
    let (_registry, project) = synced(&image());
    let entries = read_entries(&exported(&project, "b.tar", &["--content", "both"]));
    let list: Value = serde_json::from_slice(&entries[0].1).unwrap();
    let files = list["files"].as_array().unwrap();
    assert_eq!(files.len(), entries.len() - 1);
    for (file, (name, bytes)) in files.iter().zip(&entries[1..]) {
        assert_eq!(file["name"], Value::from(name.as_str()));
        assert_eq!(file["size"], Value::from(bytes.len()));
        assert_eq!(file["digest"], Value::from(Digest::of(bytes).to_string()));
    }
    let folders = |name: &String| name.rsplit_once('/').map_or(name.clone(), |it| it.0.to_owned());
    let mut kinds: Vec<String> = entries.iter().map(|(name, _)| folders(name)).collect();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "bundle.json",
            "oci-layout",
            "index.json",
            "sandbox-images.lock",
            "blobs/sha256",
            "f1/layers/sha256",
            "f1/fsmeta/sha256",
            "f1/disks/sha256",
            "blobs/sha256",
        ]
    );
    let lock = entries.iter().find(|(name, _)| name == "sandbox-images.lock");
    assert_eq!(lock.unwrap().1, project.lock_text().into_bytes());
    assert_eq!(list["images"]["app"], serde_json::json!(["linux/amd64", "linux/arm64"]));
}

#[test]
fn a_layout_is_the_image_byte_by_byte() {
    let image = image();
    let (registry, project) = synced(&image);
    // By digest: wherever the tag went.
    serve(&registry, "app", "1", &two_platforms(&[&Layer::new("/app 0755 moved")]));
    registry.clear_requests();
    let folder = exported(&project, "layout", &["--format", "oci-dir"]);
    let layers = registry.requests().len();
    assert_eq!(layers, 2, "each layer is fetched once, and no document");
    assert_eq!(registry.requests_to("/blobs/sha256:").len(), layers);
    for (digest, bytes) in &image.blobs {
        let name = digest.replacen("sha256:", "blobs/sha256/", 1);
        assert!(fs::read(folder.join(name)).unwrap() == *bytes, "{digest}");
    }
    let archive = exported(&project, "layout.tar.gz", &["--format", "oci"]);
    assert_eq!(fs::read(&archive).unwrap()[..2], [0x1f, 0x8b]);

    for source in [format!("oci:{}:app", folder.display()), format!("oci:{}", archive.display())] {
        let other = project_naming(&[("app", &source)]);
        other.run(&["lock"]).exits(0);
        let pins = |project: &Project| {
            let text = project.lock_text();
            let lines =
                text.lines().filter(|line| !line.contains("source") && !line.contains("sum"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(pins(&other), pins(&project), "{source}");
        other.run(&["sync", "--offline", "--platform", "all"]).exits(0);
        assert_eq!(other.artifacts(), project.artifacts());
    }
}

#[test]
fn a_docker_archive_has_the_image_under_its_name() {
    for image in [image(), single()] {
        let (registry, project) = synced(&image);
        for name in ["saved.tar", "saved.tar.gz"] {
            let arguments =
                ["export", "-o", name, "--format", "docker-archive", "--platform", "linux/amd64"];
            project.run(&arguments).exits(0);
            let path = project.directory().join(name);
            let source = format!("docker-archive:{}:{}/app:1", path.display(), registry.host());
            let other = project_naming(&[("app", &source)]);
            other.run(&["lock"]).exits(0);
            other.run(&["sync", "--offline", "--platform", "linux/amd64"]).exits(0);
            other.run(&["verify"]).exits(0);
            for (artifact, digest) in other.artifacts() {
                assert_eq!(project.artifacts().get(&artifact), Some(&digest), "{artifact}");
            }
        }
        let entries = read_entries(&project.directory().join("saved.tar"));
        let platform = &image.platforms["linux/amd64"];
        let config = entries
            .iter()
            .find(|(name, _)| *name == platform.config.digest.replacen("sha256:", "", 1) + ".json");
        assert!(config.unwrap().1 == image.blobs[&platform.config.digest]);
        for diff_id in &platform.diff_ids {
            let name = diff_id.replacen("sha256:", "", 1) + ".tar";
            let (_, tar) = entries.iter().find(|(entry, _)| *entry == name).unwrap();
            assert_eq!(Digest::of(tar).to_string(), *diff_id);
        }
    }
}

#[test]
fn a_bundle_since_an_older_lock_has_only_what_is_new() {
    let (registry, project) = synced(&image());
    fs::copy(project.lock_path(), project.directory().join("old.lock")).unwrap();
    let whole = names(&exported(&project, "whole.tar", &["--content", "both"]));
    let since = ["--content", "both", "--since", "old.lock"];
    let nothing = names(&exported(&project, "nothing.tar", &since));
    assert_eq!(nothing, whole[..4], "the list, the layout and the lock");

    let newer = two_platforms(&[&Layer::new(BASE), &Layer::new("/app 0755 newer")]);
    serve(&registry, "app", "1", &newer);
    project.run(&["update"]).exits(0);
    project.run(&["sync", "--platform", "all"]).exits(0);
    let since = names(&exported(&project, "since.tar", &since));
    let base = Layer::new(BASE);
    assert!(!since.iter().any(|name| name.contains(&base.diff_id[7..])));
    assert!(!since.iter().any(|name| name.contains(&base.digest[7..])));
    let app = Layer::new("/app 0755 newer");
    assert!(since.iter().any(|name| name.contains(&app.diff_id[7..])));
    assert!(since.iter().any(|name| name.contains(&app.digest[7..])));
}

#[test]
fn what_cannot_be_exported_is_told_before_anything_is_written() {
    let image = image();
    let (_registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    let told = project.run(&["export", "-o", "b.tar"]).exits(4).stderr;
    assert!(told.contains("error[not-in-sync]"), "{told}");
    project.run(&["sync", "--platform", "all"]).exits(0);

    let arguments = ["export", "-o", "b.tar", "--format", "oci", "--offline", "--platform", "all"];
    let told = project.run(&arguments).exits(4).stderr;
    let layers = &image.platforms["linux/amd64"].layers;
    let bytes: u64 = layers.iter().map(|layer| layer.size).sum();
    assert!(told.contains("error[export-offline]"), "{told}");
    assert!(told.contains(&format!("2 compressed layers to fetch, {bytes} bytes")), "{told}");
    for layer in layers {
        let line = format!("blob {} of app, {} bytes", layer.digest, layer.size);
        assert!(told.contains(&line), "{told}");
    }
    project.run(&["export", "-o", "offline.tar", "--offline"]).exits(0);

    for (arguments, told) in [
        (&["--format", "docker-archive", "--platform", "all"][..], "error[export-usage]"),
        (&["--format", "oci", "--content", "both"], "`--content` is for bundles alone"),
        (&["--format", "oci", "--since", "old.lock"], "`--since` is for bundles alone"),
        (&["--since", "missing.lock"], "error[export-since]"),
        (&["--image", "other"], "error[selection]"),
    ] {
        let ran = project.run(&[&["export", "-o", "b.tar"][..], arguments].concat()).exits(2);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    assert!(!project.directory().join("b.tar").exists());
    fs::create_dir_all(project.directory().join("full/of/files")).unwrap();
    let told = project.run(&["export", "-o", "full", "--format", "oci-dir"]).exits(2).stderr;
    assert!(told.contains("exists and is no empty directory"), "{told}");
}

#[test]
fn a_store_that_was_changed_is_not_exported() {
    let (_registry, project) = synced(&image());
    let [layer, ..] = &project.stored("layers")[..] else { panic!("the store has layers") };
    let path = project.store().join("v1/f1/layers/sha256").join(layer);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::write(project.directory().join("b.tar"), "old").unwrap();
    let told = project.run(&["export", "-o", "b.tar"]).exits(5).stderr;
    assert!(told.contains("error[artifact-damaged]"), "{told}");
    assert_eq!(fs::read(project.directory().join("b.tar")).unwrap(), b"old");
    let names = fs::read_dir(project.directory()).unwrap();
    assert_eq!(names.count(), 3, "nothing half done is left");
}

#[track_caller]
fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let ran = output(bounded(program).args(arguments).current_dir(folder));
    assert!(
        ran.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn skopeo_and_umoci_read_what_is_exported() {
    if !needs(&["skopeo", "umoci", "root"]) {
        return;
    }
    let image = single();
    let (registry, project) = synced(&image);
    exported(&project, "layout", &["--format", "oci-dir"]);
    exported(&project, "layout.tar", &["--format", "oci"]);
    exported(&project, "bundle.tar", &["--content", "both"]);
    exported(&project, "saved.tar", &["--format", "docker-archive"]);
    let folder = project.directory();
    let saved = format!("docker-archive:saved.tar:{}/app:1", registry.host());
    let sources = ["oci:layout:app", "oci-archive:layout.tar:app", "oci-archive:bundle.tar:app"];
    let diff_ids = &image.platforms["linux/amd64"].diff_ids;
    for (place, source) in sources.into_iter().chain([&saved[..]]).enumerate() {
        let told = run_in(&folder, "skopeo", &["inspect", "--config", source]);
        let config: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!(diff_ids), "{source}");
        let target = format!("oci:copy{place}:app");
        run_in(&folder, "skopeo", &["--insecure-policy", "copy", "--quiet", source, &target]);
        let unpacked = format!("unpacked{place}");
        let layout = format!("copy{place}:app");
        run_in(&folder, "umoci", &["unpack", "--image", &layout, &unpacked]);
        let root = folder.join(unpacked).join("rootfs");
        assert_eq!(fs::read(root.join("app")).unwrap(), b"run", "{source}");
        assert!(!root.join("etc/motd").exists() && root.join("bin/busybox").exists());
    }
    run_in(&folder, "umoci", &["unpack", "--image", "layout:app", "direct"]);
    assert!(folder.join("direct/rootfs/app").exists());
}

#[test]
fn skopeo_copies_every_platform_and_every_image_of_what_is_exported() {
    if !needs(&["skopeo"]) {
        return;
    }
    let image = image();
    let registry = TestRegistry::start();
    serve(&registry, "app", "1", &image);
    serve(
        &registry,
        "tool",
        "2",
        &two_platforms(&[&Layer::new(BASE), &Layer::new("/tool 0755 run")]),
    );
    let host = registry.host();
    let project =
        project_naming(&[("app", &format!("{host}/app:1")), ("tool", &format!("{host}/tool:2"))]);
    project.run(&["sync", "--platform", "all"]).exits(0);
    exported(&project, "layout", &["--format", "oci-dir"]);
    exported(&project, "layout.tar", &["--format", "oci"]);
    let folder = project.directory();
    for (place, source) in ["oci:layout:app", "oci-archive:layout.tar:app"].into_iter().enumerate()
    {
        let told = run_in(&folder, "skopeo", &["inspect", "--raw", source]);
        assert_eq!(Digest::of(told).to_string(), image.root.digest, "{source}");
        let copy = ["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", source];
        let target = format!("oci:all{place}:app");
        run_in(&folder, "skopeo", &[&copy[..], &[&target]].concat());
        for digest in image.blobs.keys() {
            let name = digest.replacen("sha256:", "blobs/sha256/", 1);
            assert!(folder.join(format!("all{place}")).join(name).exists(), "{digest}");
        }
    }
    // Packed, no archive is read by the skopeo of Debian 12, whoever packed it.
    let words = ["export", "-o", "saved.tar", "--format", "docker-archive"];
    project.run(&[&words[..], &["--platform", "linux/amd64"]].concat()).exits(0);
    let told = run_in(&folder, "skopeo", &["list-tags", "docker-archive:saved.tar"]);
    let listed: Value = serde_json::from_str(&told).unwrap();
    let tags = BTreeSet::from([format!("{host}/app:1"), format!("{host}/tool:2")]);
    let listed = listed["Tags"].as_array().unwrap().iter();
    let listed: BTreeSet<_> = listed.map(|tag| tag.as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, tags);
    for tag in tags {
        let told =
            run_in(&folder, "skopeo", &["inspect", &format!("docker-archive:saved.tar:{tag}")]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["Layers"].as_array().unwrap().len(), 2, "{tag}");
    }
}
