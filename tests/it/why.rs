//! `why`: what a digest names, and who refers to it.

use serde_json::Value;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::{Project, Ran};
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
    let Ran { code, stdout, stderr } = project.run(arguments);
    let folder = project.store().parent().unwrap().display().to_string();
    format!("exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}").replace(&folder, "")
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
    assert_eq!(kinds(&project, &amd64.diff_ids[0].to_string()), ["diff-id"]);
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
    insta::assert_snapshot!(seen(&project, &["why", &amd64.diff_ids[1].to_string()]), @"");
    insta::assert_snapshot!(seen(&project, &["why", &image.root.digest]), @"");
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
    insta::assert_snapshot!(seen(&project, &["why", "sha256:00000000"]), @"");
    insta::assert_snapshot!(seen(&project, &["why", "0000000"]), @"");
    let ran = project.run(&["why", "00000000", "--json"]).exits(2);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["diagnostics"][0]["code"], "unknown-digest");
}
