//! `why`: what a digest names, and who refers to it.

use serde_json::Value;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

fn synced() -> (TestRegistry, Project, Image) {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello"), &Layer::new("/app 0755 run")]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["sync", "--platform", "linux/amd64"]).exits(0);
    registry.clear_requests();
    (registry, project, image)
}

/// Exit code and what is printed, with a word for the directory of the test.
fn seen(project: &Project, arguments: &[&str]) -> String {
    let folder = project.files().display().to_string();
    project.run(arguments).to_string().replace(&folder, "")
}

/// The kinds that `why --json` says of the only digest it finds.
fn kinds(project: &Project, subject: &str) -> Vec<String> {
    let ran = project.run(&["why", subject, "--json"]).exits(0);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["schema"], "sandbox-images/why/1");
    assert_eq!(value["digests"].as_array().unwrap().len(), 1, "{}", ran.stdout);
    let kinds = value["digests"][0]["kinds"].as_array().unwrap().iter();
    kinds.map(|kind| kind.as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_thing_of_an_image_is_found_by_a_prefix() {
    let (registry, project, image) = synced();
    let amd64 = image.platforms.values().next().unwrap();
    assert_eq!(kinds(&project, &image.root.digest), ["index"]);
    assert_eq!(kinds(&project, &amd64.manifest.digest[..15]), ["manifest"]);
    assert_eq!(kinds(&project, &amd64.config.digest[7..15]), ["config"]);
    assert_eq!(kinds(&project, &amd64.layers[1].digest), ["layer"]);
    // The lowest layer alone is a stack too, but not one that is wanted.
    assert_eq!(kinds(&project, &amd64.diff_ids[0]), ["diff-id"]);
    for kind in ["disk", "fsmeta"] {
        let file =
            project.run(&["path", "app", "--platform", "linux/amd64", "--kind", kind]).text();
        assert_eq!(kinds(&project, &file), ["chain-id"], "{kind}");
    }
    assert!(registry.requests().is_empty());
}

#[test]
fn people_see_image_platform_layer_file_and_project() {
    let (_registry, project, image) = synced();
    let amd64 = image.platforms.values().next().unwrap();
    insta::assert_snapshot!(seen(&project, &["why", &amd64.diff_ids[1]]), @r###"
    exit 0
    --- stdout
    sha256:4950089f98a47cd993c0baebc046acfc32e8a7eb3573a787f194d4d3586b80e0: diff_id
      diff_id of app on linux/amd64, layer 2
      diff_id of app on linux/arm64, layer 2
      layer in the store, 12.0 KiB: /store/v1/f1/layers/sha256/4950089f98a47cd993c0baebc046acfc32e8a7eb3573a787f194d4d3586b80e0.erofs
        kept for /project/sandbox-images.lock
    --- stderr
    "###);
    insta::assert_snapshot!(seen(&project, &["why", &image.root.digest]), @r###"
    exit 0
    --- stdout
    sha256:e581316fe5631a63549fa5b817076986ea812b85778a39439926a4a773b91411: index
      index of app, 491 B
      blob in the store, 491 B: /store/v1/blobs/sha256/e581316fe5631a63549fa5b817076986ea812b85778a39439926a4a773b91411
        kept for /project/sandbox-images.lock
    --- stderr
    "###);
}

#[test]
fn a_file_of_the_store_is_found_by_what_it_holds() {
    use sandbox_images::oci::digest::Digest;

    let (_registry, project, _image) = synced();
    let disk = project.run(&["path", "app", "--platform", "linux/amd64"]).text();
    let holds = Digest::of(std::fs::read(&disk).unwrap());
    assert_eq!(kinds(&project, &holds.to_string()), ["disk-text"]);
}

#[test]
fn what_nobody_has_is_2() {
    let (_registry, project, _image) = synced();
    insta::assert_snapshot!(seen(&project, &["why", "sha256:00000000"]), @r"
    exit 2
    --- stdout
    --- stderr
    error[unknown-digest]: neither the lock nor the store has `sha256:00000000`
    help: `sandbox-images list --layers` shows what is locked
    ");
    insta::assert_snapshot!(seen(&project, &["why", "0000000"]), @r"
    exit 2
    --- stdout
    --- stderr
    error[invalid-digest]: `0000000` is no digest and no file of a store
    help: give at least the first 8 hex digits of a SHA-256, or a path that `path` prints
    ");
    let ran = project.run(&["why", "00000000", "--json"]).exits(2);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["diagnostics"][0]["code"], "unknown-digest");
}
