//! Pins: who may move one, and what comes of a lock that somebody edited.

use std::fs;

use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::spec::lockfile::LockedPlatform;
use serde_json::Value;

use crate::support::fixture::{registry_and_project, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

fn image(text: &str) -> Image {
    let base = Layer::new("/lib 0644 base");
    two_platforms(&[&base, &Layer::new(&format!("/version 0644 {text}"))])
}

/// A project locked to an `app:1` that has moved since, and the image that it has moved to.
fn moved() -> (TestRegistry, Project, Image) {
    let (registry, project) = registry_and_project(&image("old"));
    project.run(&["sync"]).exits(0);
    let new = image("new");
    serve(&registry, "app", "1", &new);
    registry.clear_requests();
    (registry, project, new)
}

fn locked_root(project: &Project) -> String {
    let lock = project.lock();
    lock.image("app").expect("the image is locked").digest.to_string()
}

#[test]
fn a_tag_that_moved_is_followed_by_update_and_by_nothing_else() {
    let (registry, project, new) = moved();
    let (lock, artifacts) = (project.lock_text(), project.artifacts());

    for arguments in [&["sync"][..], &["sync", "--locked"], &["lock"], &["check"]] {
        project.run(arguments).exits(0);
    }
    assert_eq!(project.lock_text(), lock);
    assert_eq!(project.artifacts(), artifacts);
    assert!(registry.requests().is_empty(), "nobody asks where the tag is");

    let told = project.run(&["outdated", "--exit-code", "--json"]).exits(4).stdout;
    assert!(told.contains(&new.root.digest), "{told}");
    assert_eq!(project.lock_text(), lock);

    project.run(&["update", "app"]).exits(0);
    assert_eq!(locked_root(&project), new.root.digest);
}

#[test]
fn a_digest_edited_in_place_is_refused_until_lock_derives_the_rest() {
    let (registry, project, new) = moved();
    let old = locked_root(&project);
    let edited = project.lock_text().replacen(&old, &new.root.digest, 1);
    fs::write(project.lock_path(), &edited).expect("the lock is edited");
    // The digest counts, wherever the tag is by now.
    serve(&registry, "app", "1", &image("newer"));

    let locked: [&[&str]; 7] = [
        &["sync", "--locked"],
        &["sync", "--frozen"],
        &["sync", "--offline"],
        &["sync", "--check"],
        &["lock", "--check"],
        &["check"],
        &["check", "--in-sync"],
    ];
    for arguments in locked {
        let told = project.run(&[arguments, &["--json"]].concat()).exits(3);
        let value: Value = serde_json::from_str(&told.stdout).expect("JSON");
        assert_eq!(value["stale"][0]["reason"], "inconsistent-block", "{arguments:?}");
    }
    assert_eq!(project.lock_text(), edited);

    project.run(&["lock"]).exits(0);

    assert_eq!(locked_root(&project), new.root.digest);
    let (_registry, fresh) = registry_and_project(&new);
    fresh.run(&["lock"]).exits(0);
    let blocks = [&project, &fresh].map(|project| {
        let lock = project.lock();
        lock.image("app").expect("the image is locked").platforms.clone()
    });
    assert_eq!(blocks[0], blocks[1], "the rest is what a fresh lock of that digest says");
    project.run(&["sync", "--locked"]).exits(0);
}

/// One way to change a locked platform, and whether what it then states is nowhere to be found.
type Tamper = (&'static str, fn(&mut LockedPlatform));

const TAMPERS: [Tamper; 9] = [
    ("a layer's digest", |locked| locked.layers[1].digest = other()),
    ("a layer's size", |locked| locked.layers[1].size += 1),
    ("a layer's diff_id", |locked| locked.layers[1].diff_id = DiffId(other())),
    ("the order of layers", |locked| locked.layers.swap(0, 1)),
    ("a layer less", |locked| locked.layers.truncate(1)),
    ("the config's digest", |locked| locked.config.digest = other()),
    ("the config's size", |locked| locked.config.size += 1),
    ("the manifest's digest", |locked| locked.manifest.digest = other()),
    ("the manifest's size", |locked| locked.manifest.size += 1),
];

fn other() -> Digest {
    Digest::of("something else")
}

#[test]
fn a_block_that_was_tampered_with_is_refused_although_its_sum_fits() {
    for (what, tamper) in TAMPERS {
        for cold in [true, false] {
            let (_registry, project) = registry_and_project(&image("old"));
            project.run(if cold { &["lock"] } else { &["sync"] }).exits(0);
            project.tamper(|app| app.platforms.values_mut().for_each(tamper));
            project.run(&["lock", "--check"]).exits(0);
            let before = project.artifacts();

            let told = project.run(&["sync", "--locked"]);

            let said = format!("{what}, cold: {cold}\n{}", told.stderr);
            assert_eq!(told.code, 5, "{said}");
            assert_eq!(project.artifacts(), before, "{said}");
        }
    }
}
