//! What lies where, byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::layer::tree::{DirectoryId, Node};
use sandbox_images::oci::digest::Digest;
use serde_json::Value;

use super::cache::{
    cache_of, files, lease, locked, publish, published, safe, synced, target, two_layers,
};
use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Ran;
use crate::support::registry::TestRegistry;
use crate::support::store_tree::store_tree;

fn key(reference: &str) -> String {
    format!("manifests/{}.json", Digest::of(reference).hex())
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn an_image_lies_there_under_each_of_its_names() {
    let layers = two_layers();
    let (registry, project) = synced(&[&layers[0], &layers[1]]);
    publish(&project, &[]).exits(0);
    let (cache, image) = (cache_of(&project), locked(&project));
    let name = format!("{}/app", registry.host());
    let references = [
        format!("{name}:1"),
        format!("{name}:1@{}", image.index),
        format!("{name}@{}", image.index),
        format!("{name}@{}", image.manifest),
    ];
    let mut expected: BTreeSet<String> = references.iter().map(|text| key(text)).collect();
    expected.extend(image.diff_ids.iter().map(|id| format!("layers/{}.erofs", safe(id))));
    expected.insert(format!("fsmeta/{}.erofs", safe(&image.manifest)));
    expected.insert(format!("vmdk/{}.vmdk", safe(&image.manifest)));
    assert_eq!(files(&cache).into_keys().collect::<BTreeSet<_>>(), expected);
    for path in &expected {
        let lock = fs::metadata(lease(&cache, path)).unwrap();
        assert_eq!((lock.len(), lock.permissions().mode() & 0o7777), (0, 0o600), "{path}");
    }
}

#[test]
fn layers_and_metadata_are_the_stores_own_files() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    publish(&project, &[]).exits(0);
    let (cache, image) = (cache_of(&project), locked(&project));
    let stored = project.store().join("v1/f1");
    for diff_id in &image.diff_ids {
        let ours = format!("layers/sha256/{}.erofs", diff_id.strip_prefix("sha256:").unwrap());
        let theirs = cache.join(format!("layers/{}.erofs", safe(diff_id)));
        assert_eq!(
            fs::metadata(stored.join(ours)).unwrap().ino(),
            fs::metadata(theirs).unwrap().ino()
        );
    }
    let [fsmeta] = &project.stored("fsmeta")[..] else { panic!("one fsmeta") };
    let theirs = cache.join(format!("fsmeta/{}.erofs", safe(&image.manifest)));
    assert_eq!(
        fs::metadata(stored.join("fsmeta/sha256").join(fsmeta)).unwrap().ino(),
        fs::metadata(theirs).unwrap().ino()
    );
}

#[test]
fn a_document_has_the_exact_bytes_of_manifest_and_config() {
    let layer = Layer::packed(
        &crate::support::layer_text::layer_tar("/etc/motd 0644 hello"),
        crate::support::image::Compression::Plain,
    );
    let (registry, project) = synced(&[&layer]);
    publish(&project, &[]).exits(0);
    let image = locked(&project);
    let document = bytes(&cache_of(&project).join(key(&format!("{}/app:1", registry.host()))));
    let document: Value = serde_json::from_slice(&document).unwrap();
    let blob = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        String::from_utf8(bytes(&project.store().join("v1/blobs/sha256").join(hex))).unwrap()
    };
    assert_eq!(document["raw_manifest_json"], blob(&image.manifest));
    assert_eq!(document["raw_config_json"], blob(&image.config));
    assert_eq!(document["manifest_digest"], image.manifest);
    assert_eq!(document["config_digest"], image.config);
    assert_eq!(document["layers"][0]["diff_id"], image.diff_ids[0]);
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    let expected = [
        "config",
        "config_digest",
        "layers",
        "manifest_digest",
        "raw_config_json",
        "raw_manifest_json",
    ];
    assert_eq!(keys, expected);
    insta::assert_snapshot!(document["config"], @r#"{"cmd":["/bin/sh"],"entrypoint":null,"env":["PATH=/usr/local/bin:/usr/bin:/bin"],"exposed_ports":[],"labels":{},"stop_signal":null,"user":null,"volumes":[],"working_dir":"/"}"#);
}

#[test]
fn the_disk_names_its_parts_from_where_it_lies() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    publish(&project, &[]).exits(0);
    let (cache, image) = (cache_of(&project), locked(&project));
    let vmdk = cache.join(format!("vmdk/{}.vmdk", safe(&image.manifest)));
    let text = fs::read_to_string(&vmdk).unwrap();
    let parts: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("RW "))
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    let expected = [
        format!("../fsmeta/{}.erofs", safe(&image.manifest)),
        format!("../layers/{}.erofs", safe(&image.diff_ids[0])),
        format!("../layers/{}.erofs", safe(&image.diff_ids[1])),
    ];
    assert_eq!(parts, expected);
    for part in parts {
        assert!(cache.join("vmdk").join(part).is_file(), "{part}");
    }
}

#[test]
fn a_second_time_nothing_is_written() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let first = published(&project);
    assert_eq!((&first["changed"], &first["linked"]), (&Value::from(true), &Value::from(3)));
    let before = (store_tree(&project.store()), store_tree(&cache_of(&project)));
    let second = published(&project);
    assert_eq!((&second["changed"], &second["linked"]), (&Value::from(false), &Value::from(0)));
    assert_eq!((store_tree(&project.store()), store_tree(&cache_of(&project))), before);
}

#[test]
fn a_layer_with_acls_is_published_without_them_and_everything_stays_in_its_place() {
    let acl = "xattr:system.posix_acl_access=\\x02\\x00\\x00\\x00";
    let base =
        Layer::new(&format!("/etc/ 0755 {acl}\n/etc/motd 0644 {acl} hello\n/lib 0644 random=9000"));
    let (_registry, project) = synced(&[&base]);
    let line = published(&project);
    assert_eq!((&line["altered"], &line["linked"]), (&Value::from(1), &Value::from(1)));
    let (cache, image) = (cache_of(&project), locked(&project));
    let hex = image.diff_ids[0].strip_prefix("sha256:").unwrap();
    let ours = bytes(&project.store().join(format!("v1/f1/layers/sha256/{hex}.erofs")));
    let theirs = bytes(&cache.join(format!("layers/{}.erofs", safe(&image.diff_ids[0]))));
    assert_eq!(ours.len(), theirs.len());
    let metadata = Image::open(&ours).unwrap().superblock().meta_blkaddr as usize * 4096;
    assert!(metadata > 4096);
    assert_eq!(ours[..metadata], theirs[..metadata], "superblock and data blocks are the same");
    let xattrs = |image: &Vec<u8>| {
        let tree = Image::open(image).unwrap().tree(0).unwrap();
        let root = tree.directory(DirectoryId::ROOT);
        let Node::Directory(etc) = root.entries[&b"etc"[..]] else { panic!("a directory") };
        tree.directory(etc).metadata.xattrs.len()
    };
    assert_eq!((xattrs(&ours), xattrs(&theirs)), (1, 0));
    assert_eq!(published(&project)["changed"], Value::from(false));
}

#[test]
fn a_cache_on_another_file_system_gets_copies() {
    if !crate::support::needs::needs(&["root"]) {
        return;
    }
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    fs::create_dir(cache_of(&project)).unwrap();
    let _mounted = crate::support::tmpfs::Tmpfs::mount(&cache_of(&project), "size=8m");
    let line = published(&project);
    assert_eq!((&line["copied"], &line["linked"]), (&Value::from(3), &Value::from(0)));
    let parts = files(&cache_of(&project));
    assert!(!parts.keys().any(|path| path.contains(".part")), "{parts:?}");
    let stored = project.artifacts();
    let theirs = |folder: &str| {
        let of_folder = parts.iter().filter(move |(path, _)| path.starts_with(folder));
        of_folder.map(|(_, digest)| *digest).collect::<BTreeSet<_>>()
    };
    let ours = |folder: &str| {
        let of_folder = stored.iter().filter(move |(path, _)| path.starts_with(folder));
        of_folder.map(|(_, digest)| *digest).collect::<BTreeSet<_>>()
    };
    assert_eq!(theirs("layers/"), ours("layers/"));
    assert_eq!(theirs("fsmeta/"), ours("fsmeta/"));
}

#[test]
fn a_tag_names_what_it_moved_to() {
    let registry = TestRegistry::start();
    let [old, new] = ["/a 0644 old", "/a 0644 new"].map(Layer::new);
    serve(&registry, "app", "1", &two_platforms(&[&old]));
    let name = format!("{}/app:1", registry.host());
    let project = project_naming(&[("app", &name)]);
    let manifest_of_tag = || {
        let document = bytes(&cache_of(&project).join(key(&name)));
        let document: Value = serde_json::from_slice(&document).unwrap();
        document["manifest_digest"].as_str().unwrap().to_owned()
    };
    project.run(&["sync", "--publish", &target(&project)]).exits(0);
    let first = locked(&project).manifest;
    assert_eq!(manifest_of_tag(), first);
    serve(&registry, "app", "1", &two_platforms(&[&new]));
    project.run(&["update"]).exits(0);
    project.run(&["sync", "--publish", &target(&project)]).exits(0);
    assert_ne!(locked(&project).manifest, first);
    assert_eq!(manifest_of_tag(), locked(&project).manifest);
    let fsmetas = files(&cache_of(&project));
    let count = fsmetas.keys().filter(|path| path.starts_with("fsmeta/")).count();
    assert_eq!(count, 2, "the old image can still be asked for by digest");
}

#[test]
fn sync_publishes_where_it_is_told_to() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let target = target(&project);
    let planned = project.run(&["sync", "--dry-run", "--publish", &target, "--json"]);
    let document: Value = serde_json::from_str(&planned.text()).unwrap();
    assert_eq!(document["published"][0]["image"], "app");
    assert!(!cache_of(&project).exists(), "a dry run writes nothing");
    let done = project.run(&["sync", "--publish", &target, "--json"]).text();
    let document: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(document["published"][0]["changed"], true);
    let planned = project.run(&["sync", "--dry-run", "--publish", &target, "--json"]);
    let document: Value = serde_json::from_str(&planned.text()).unwrap();
    assert_eq!(document["published"], Value::Array(vec![]));
}

#[test]
fn the_cache_is_found_as_microsandbox_finds_it() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let at = |folder: &str| project.files().join(folder).join("cache/manifests");
    project.run(&["publish", "microsandbox"]).exits(0);
    assert!(at("home/.microsandbox").is_dir());
    let home = project.files().join("msb");
    let mut command = project.command(&["publish", "microsandbox"]);
    Ran::of(command.env("MSB_HOME", &home)).exits(0);
    assert!(at("msb").is_dir());
    project.write_config("publish = [\"microsandbox=elsewhere/cache\"]\n");
    project.run(&["sync"]).exits(0);
    assert!(at("home/.config/sandbox-images/elsewhere").is_dir(), "relative to the file");
}
