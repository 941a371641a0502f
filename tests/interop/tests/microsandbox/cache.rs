//! A cache that only `sandbox-images` filled, asked for images with no network.

use std::collections::BTreeMap;
use std::fs::File;

use microsandbox_image::erofs::{ErofsEntryKind, ErofsReader};
use microsandbox_image::{GlobalCache, PullOptions, PullPolicy, Reference, Registry};
use serde_json::Value;

use crate::scene::Scene;

/// Layers of every kind of entry; the second one hides and replaces some of the first.
const LAYERS: [&str; 2] = ["base", "change"];

fn never() -> PullOptions {
    PullOptions { pull_policy: PullPolicy::Never, ..PullOptions::default() }
}

#[test]
fn an_image_is_found_by_each_of_its_references() {
    let scene = Scene::with_layers(&LAYERS);
    let published = scene.publish();
    let references = published["references"].as_array().unwrap();
    assert_eq!(references.len(), 4, "{published}");
    let cache = GlobalCache::new(&scene.cache()).unwrap();
    for reference in references {
        let reference: Reference = reference.as_str().unwrap().parse().unwrap();
        let (result, metadata) = Registry::pull_cached(&cache, &reference, &never())
            .unwrap()
            .unwrap_or_else(|| panic!("`{reference}` is not in the cache"));
        assert!(result.cached);
        assert_eq!(result.layer_diff_ids.len(), LAYERS.len());
        assert_eq!(metadata.layers.len(), LAYERS.len());
        assert_eq!(result.config.env, ["PATH=/bin", "NAME=value"]);
        assert_eq!(result.config.cmd.as_deref(), Some(&["run".to_owned()][..]));
        assert_eq!(result.config.user.as_deref(), Some("7:8"));
        assert_eq!(result.config.exposed_ports, ["80/tcp"]);
    }
}

#[test]
fn nothing_is_found_that_was_not_published() {
    let scene = Scene::with_layers(&LAYERS);
    scene.publish();
    let cache = GlobalCache::new(&scene.cache()).unwrap();
    let other: Reference = "docker.io/library/other:1".parse().unwrap();
    assert!(Registry::pull_cached(&cache, &other, &never()).unwrap().is_none());
}

#[tokio::test]
async fn a_pull_that_may_not_use_the_network_succeeds() {
    let scene = Scene::with_layers(&LAYERS);
    let published = scene.publish();
    let cache = GlobalCache::new(&scene.cache()).unwrap();
    let registry = Registry::new(microsandbox_image::Platform::host_linux(), cache).unwrap();
    for reference in published["references"].as_array().unwrap() {
        let reference: Reference = reference.as_str().unwrap().parse().unwrap();
        let result = registry.pull(&reference, &never()).await.unwrap();
        assert!(result.cached);
    }
}

/// An entry as both readers can tell of it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u64,
    owner: (u64, u64),
    mtime: (u64, u64),
    size: Option<u64>,
    xattrs: Vec<String>,
}

/// The tree that microsandbox's reader finds in a layer image.
fn theirs(path: &std::path::Path) -> BTreeMap<String, Entry> {
    let mut reader = ErofsReader::new(File::open(path).unwrap()).unwrap();
    let entries = reader.walk().unwrap().into_iter().map(|entry| {
        let kind = match entry.kind {
            ErofsEntryKind::RegularFile => "file",
            ErofsEntryKind::Directory => "dir",
            ErofsEntryKind::Symlink => "symlink",
            ErofsEntryKind::CharDevice => "char",
            ErofsEntryKind::BlockDevice => "block",
            ErofsEntryKind::Fifo => "fifo",
            ErofsEntryKind::Socket => "socket",
        };
        let metadata = entry.metadata;
        let mut xattrs: Vec<String> = entry
            .xattrs
            .iter()
            .map(|xattr| String::from_utf8(xattr.name.clone()).unwrap())
            .collect();
        xattrs.sort();
        let told = Entry {
            kind,
            mode: u64::from(metadata.mode & 0o7777),
            owner: (metadata.uid.into(), metadata.gid.into()),
            mtime: (metadata.mtime, metadata.mtime_nsec.into()),
            size: matches!(kind, "file").then_some(entry.size),
            xattrs,
        };
        (entry.path.to_str().unwrap().to_owned(), told)
    });
    entries.collect()
}

/// The tree that `inspect tree --erofs` finds in it.
fn ours(scene: &Scene, path: &std::path::Path) -> BTreeMap<String, Entry> {
    let document = scene.json(&["inspect", "tree", "--erofs", path.to_str().unwrap()]);
    let entries = document["entries"].as_array().unwrap().iter().filter_map(|entry| {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let path = entry["path"].as_str().unwrap().trim_matches('/');
        if path.is_empty() || path == "." {
            return None;
        }
        let kind = match entry["type"].as_str().unwrap() {
            "file" => "file",
            "dir" => "dir",
            "symlink" => "symlink",
            "char" => "char",
            "block" => "block",
            "fifo" => "fifo",
            other => panic!("what is {other}?"),
        };
        let mut xattrs: Vec<String> = entry["xattrs"]
            .as_object()
            .map(|xattrs| xattrs.keys().cloned().collect())
            .unwrap_or_default();
        xattrs.sort();
        let mode = match &entry["mode"] {
            Value::String(octal) => u64::from_str_radix(octal, 8).unwrap(),
            mode => number(mode),
        };
        let told = Entry {
            kind,
            mode,
            owner: (number(&entry["uid"]), number(&entry["gid"])),
            mtime: (number(&entry["mtime"][0]), number(&entry["mtime"][1])),
            size: (kind == "file").then(|| number(&entry["size"])),
            xattrs,
        };
        Some((path.to_owned(), told))
    });
    entries.collect()
}

#[test]
fn both_readers_find_the_same_in_each_layer() {
    let scene = Scene::with_layers(&LAYERS);
    scene.publish();
    let layers = scene.layer_images();
    assert_eq!(layers.len(), LAYERS.len());
    for layer in layers {
        let (theirs, ours) = (theirs(&layer), ours(&scene, &layer));
        assert!(theirs.len() > 2, "{theirs:?}");
        assert_eq!(theirs, ours, "{}", layer.display());
    }
}

#[test]
fn a_layer_that_it_would_take_for_damaged_is_read_too() {
    let scene = Scene::with_layers(&["acls"]);
    let published = scene.publish();
    assert_eq!(published["altered"], 1, "{published}");
    for layer in scene.layer_images() {
        assert_eq!(theirs(&layer), ours(&scene, &layer));
    }
    let cache = GlobalCache::new(&scene.cache()).unwrap();
    let reference: Reference = published["references"][0].as_str().unwrap().parse().unwrap();
    assert!(Registry::pull_cached(&cache, &reference, &never()).unwrap().is_some());
}
