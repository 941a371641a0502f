//! What is in the way, and what a run leaves that ends before its time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sandbox_images::disk::erofs::reader::Image;
use serde_json::Value;

use super::cache::{cache_of, files, locked, publish, safe, synced, target, two_layers};
use crate::support::needs::needs;
use crate::support::project::Ran;

/// Demands that all that a reader could find in a cache is whole: a document only with all of its files, and
/// no EROFS image that is cut.
#[track_caller]
fn assert_whole(cache: &Path, during: &str) {
    for path in files(cache).into_keys().filter(|path| !path.contains(".part")) {
        let bytes = fs::read(cache.join(&path)).unwrap();
        if path.contains(".erofs") {
            let image =
                Image::open(&bytes).unwrap_or_else(|error| panic!("{during}: {path}: {error}"));
            image.tree(0).unwrap_or_else(|error| panic!("{during}: {path}: {error}"));
        }
        if !path.contains(".json") {
            continue;
        }
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let manifest = safe(document["manifest_digest"].as_str().unwrap());
        let layers = document["layers"].as_array().unwrap();
        let layers = layers.iter().map(|layer| safe(layer["diff_id"].as_str().unwrap()));
        let needed = layers
            .map(|layer| format!("layers/{layer}.erofs"))
            .chain([format!("fsmeta/{manifest}.erofs"), format!("vmdk/{manifest}.vmdk")]);
        for file in needed {
            assert!(cache.join(&file).is_file(), "{during}: {path} is there without {file}");
        }
    }
}

#[test]
fn a_run_that_is_killed_at_any_step_leaves_nothing_that_is_taken_for_whole() {
    if !needs(&["strace"]) {
        return;
    }
    let acl = "xattr:system.posix_acl_access=\\x02\\x00\\x00\\x00";
    let base =
        crate::support::image::Layer::new(&format!("/etc/ 0755 {acl}\n/lib 0644 random=9000"));
    let [_, app] = two_layers();
    let (_registry, project) = synced(&[&base, &app]);
    let (cache, target) = (cache_of(&project), target(&project));
    publish(&project, &[]).exits(0);
    let golden = files(&cache);
    for call in ["linkat", "renameat", "renameat2", "fsync", "mkdirat"] {
        for count in 1.. {
            fs::remove_dir_all(&cache).unwrap();
            fs::remove_dir_all(project.store().join("v1/publications")).unwrap();
            let inject = format!("inject={call}:signal=KILL:when={count}");
            let tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
            let ran = Ran::of(&mut project.command_under(&tracer, &["publish", &target]));
            let during = format!("{call} {count}");
            assert_whole(&cache, &during);
            publish(&project, &[]).exits(0);
            assert_eq!(files(&cache), golden, "after {during}");
            if ran.code == 0 {
                break;
            }
        }
    }
}

#[test]
fn what_microsandbox_put_there_itself_stays_and_is_told() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let (cache, image) = (cache_of(&project), locked(&project));
    let theirs = cache.join(format!("layers/{}.erofs", safe(&image.diff_ids[0])));
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let ran = publish(&project, &[]).exits(1);
    assert!(ran.stderr.contains("error[publish-conflict]"), "{}", ran.stderr);
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
    assert_eq!(files(&cache).len(), 1);
}

#[test]
fn an_image_that_microsandbox_has_pulled_itself_is_left_to_it() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let (cache, image) = (cache_of(&project), locked(&project));
    let manifest = safe(&image.manifest);
    let layers = image.diff_ids.iter().map(|id| format!("layers/{}.erofs", safe(id)));
    let all: Vec<String> = layers
        .chain([format!("fsmeta/{manifest}.erofs"), format!("vmdk/{manifest}.vmdk")])
        .collect();
    for file in &all {
        fs::create_dir_all(cache.join(file).parent().unwrap()).unwrap();
        fs::write(cache.join(file), "theirs").unwrap();
    }
    publish(&project, &[]).exits(0);
    for file in &all {
        assert_eq!(fs::read(cache.join(file)).unwrap(), b"theirs", "{file}");
    }
    assert_eq!(files(&cache).len(), all.len() + 4, "it can be asked for by each reference");
}

#[test]
fn a_file_of_ours_that_was_cut_is_published_again() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let (cache, image) = (cache_of(&project), locked(&project));
    publish(&project, &[]).exits(0);
    let golden = files(&cache);
    for file in [
        format!("layers/{}.erofs", safe(&image.diff_ids[0])),
        format!("fsmeta/{}.erofs", safe(&image.manifest)),
        format!("vmdk/{}.vmdk", safe(&image.manifest)),
    ] {
        fs::remove_file(cache.join(&file)).unwrap();
        fs::write(cache.join(&file), "cut").unwrap();
        publish(&project, &[]).exits(0);
        assert_eq!(files(&cache), golden, "{file}");
    }
}

#[test]
fn a_symbolic_link_in_the_cache_is_not_followed() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let cache = cache_of(&project);
    let elsewhere = project.files().join("elsewhere");
    fs::create_dir_all(&cache).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    for name in ["layers", "manifests", "fsmeta", "vmdk"] {
        symlink(&elsewhere, cache.join(name)).unwrap();
        let ran = publish(&project, &[]).exits(1);
        assert!(ran.stderr.contains("error[publish-foreign]"), "{}", ran.stderr);
        fs::remove_file(cache.join(name)).unwrap();
    }
    assert_eq!(elsewhere.read_dir().unwrap().count(), 0);
    fs::create_dir_all(cache.join("layers")).unwrap();
    symlink(&elsewhere, cache.join("layers/.msb-leases")).unwrap();
    publish(&project, &[]).exits(1);
    assert_eq!(elsewhere.read_dir().unwrap().count(), 0);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if !needs(&["root"]) {
        return;
    }
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let cache = cache_of(&project);
    fs::create_dir(&cache).unwrap();
    let mounted = crate::support::tmpfs::Tmpfs::mount(&cache, "size=16k");
    let ran = publish(&project, &[]).exits(1);
    assert!(ran.stderr.contains("error[publish-io]"), "{}", ran.stderr);
    assert_whole(&cache, "a full disk");
    assert!(!files(&cache).keys().any(|path| path.contains(".part")));
    mounted.remount("size=8m");
    publish(&project, &[]).exits(0);
    assert_whole(&cache, "room");
}
