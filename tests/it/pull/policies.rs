//! Each policy against a registry that counts requests.

use std::fs;

use super::{image, names_in, pulled, scene};
use crate::support::fixture::{serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

/// Requests for `team/app` since there were `seen`, as `GET blobs` and the like, counted by what they ask for.
fn asked(registry: &TestRegistry, seen: usize) -> [usize; 3] {
    let requests = &registry.requests()[seen..];
    let count = |part: &str| requests.iter().filter(|one| one.path.contains(part)).count();
    [count("/manifests/1"), count("/manifests/sha256:"), count("/blobs/")]
}

fn pull(user: &Project, reference: &str, policy: &str) -> serde_json::Value {
    pulled(user.run(&["pull", reference, "--policy", policy, "--json"]))
}

#[test]
fn a_cold_pull_asks_for_each_thing_once() {
    let (registry, user, reference) = scene();
    assert_eq!(pull(&user, &reference, "if-missing")["cached"], false);
    assert_eq!(asked(&registry, 0), [1, 1, 3], "index, manifest, config and two layers");
}

#[test]
fn if_missing_asks_nothing_once_the_image_is_there() {
    let (registry, user, reference) = scene();
    pull(&user, &reference, "if-missing");
    let seen = registry.requests().len();
    assert_eq!(pull(&user, &reference, "if-missing")["cached"], true);
    assert_eq!(registry.requests().len(), seen);
}

#[test]
fn always_asks_for_the_tag_and_fetches_no_layer_again() {
    let (registry, user, reference) = scene();
    pull(&user, &reference, "always");
    let seen = registry.requests().len();
    assert_eq!(pull(&user, &reference, "always")["cached"], true);
    assert_eq!(asked(&registry, seen), [1, 1, 1], "index, manifest and config");
}

#[test]
fn never_asks_nothing_and_says_what_was_not_pulled() {
    let (registry, user, reference) = scene();
    let ran = user.run(&["pull", &reference, "--policy", "never"]).exits(4);
    assert!(ran.stderr.contains("error[not-pulled]"), "{ran:?}");
    assert!(registry.requests().is_empty() && !user.store().exists());

    pull(&user, &reference, "if-missing");
    let seen = registry.requests().len();
    assert_eq!(pull(&user, &reference, "never")["cached"], true);
    user.run(&["pull", &reference, "--policy", "never", "--platform", "linux/riscv64"]).exits(4);
    assert_eq!(registry.requests().len(), seen);
}

#[test]
fn a_tag_that_moved_is_followed_by_always_alone() {
    let (registry, user, reference) = scene();
    let old = pull(&user, &reference, "if-missing");
    let base = Layer::new("/etc/motd 0644 hello\n/lib 0644 random=20000");
    let moved = two_platforms(&[&base, &Layer::new("/app 0755 newer")]);
    serve(&registry, "team/app", "1", &moved);
    for policy in ["if-missing", "never"] {
        assert_eq!(pull(&user, &reference, policy)["digest"], old["digest"], "{policy}");
    }
    let seen = registry.requests().len();
    let new = pull(&user, &reference, "always");
    assert_eq!((&new["digest"], &new["cached"]), (&moved.root.digest.into(), &false.into()));
    assert_eq!(new["layers"][0]["path"], old["layers"][0]["path"]);
    assert_eq!(asked(&registry, seen), [1, 1, 2], "config and the one layer that is new");
    assert_eq!(pull(&user, &reference, "never")["digest"], new["digest"]);
    assert_eq!(names_in(&user, "refs").len(), 1);
}

#[test]
fn what_was_lost_of_a_pulled_image_is_fetched_by_its_digest() {
    let (registry, user, reference) = scene();
    let first = pull(&user, &reference, "if-missing");
    serve(&registry, "team/app", "1", &two_platforms(&[&Layer::new("/other 0644 x")]));
    let lost = first["layers"][1]["path"].as_str().unwrap();
    fs::remove_file(lost).unwrap();
    let never = user.run(&["pull", &reference, "--policy", "never"]).exits(4);
    assert!(never.stderr.contains("error[not-in-sync]"), "{never:?}");
    let seen = registry.requests().len();
    let again = pull(&user, &reference, "if-missing");
    assert_eq!((&again["digest"], &again["cached"]), (&first["digest"], &false.into()));
    assert_eq!(asked(&registry, seen), [0, 0, 1]);
}

#[test]
fn a_note_that_was_damaged_is_as_good_as_none() {
    let (_registry, user, reference) = scene();
    pull(&user, &reference, "if-missing");
    let note = user.store().join("v1/refs").join(&names_in(&user, "refs")[0]);
    let text = fs::read_to_string(&note).unwrap();
    let other = text.replace(&image().root.digest[..20], "sha256:0000000000000");
    for damaged in [other, text[..50].to_owned(), String::new()] {
        fs::write(&note, &damaged).unwrap();
        user.run(&["pull", &reference, "--policy", "never"]).exits(4);
        pull(&user, &reference, "if-missing");
        assert_eq!(fs::read_to_string(&note).unwrap(), text);
    }
}

#[test]
fn offline_takes_what_is_there_and_nothing_else() {
    let (mut registry, user, reference) = scene();
    let ran = user.run(&["pull", &reference, "--offline"]).exits(4);
    assert!(ran.stderr.contains("error[offline]"), "{ran:?}");
    pull(&user, &reference, "if-missing");
    registry.stop();
    user.run(&["pull", &reference, "--offline"]).exits(0);
    user.run(&["pull", &reference, "--offline", "--policy", "always"]).exits(4);
    let mut by_variable = user.command(&["pull", &reference, "--policy", "always"]);
    crate::support::project::Ran::of(by_variable.env("SANDBOX_IMAGES_OFFLINE", "1")).exits(4);
    user.run(&["pull", &reference, "--policy", "always"]).exits(1);
}
