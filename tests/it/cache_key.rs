//! `cache-key`: one key for one content of a store.

use std::fs;

use crate::support::fixture::{project_naming, project_of_pinned_lock};
use crate::support::project::Project;

fn seen(project: &Project, arguments: &[&str]) -> String {
    project.run(arguments).to_string()
}

#[test]
fn the_key_is_pinned() {
    let project = project_of_pinned_lock();
    insta::assert_snapshot!(seen(&project, &["cache-key", "--platform", "linux/amd64"]), @r###"
    exit 0
    --- stdout
    f1-linux-amd64-79384508843a76a0f4520589c98b4c0f345874562c9ce04ec872f90ee9544604
    --- stderr
    "###);
    insta::assert_snapshot!(seen(&project, &["cache-key", "--platform", "linux/arm64", "--json"]), @r###"
    exit 0
    --- stdout
    {"schema":"sandbox-images/cache-key/1","key":"f1-linux-arm64-96284f398271b6bac9519a94f0a8fe20e59337404365f55455e291b21f6e05de","prefix":"f1-linux-arm64-"}
    --- stderr
    "###);
    insta::assert_snapshot!(seen(&project, &["cache-key", "--platform", "all"]), @r###"
    exit 0
    --- stdout
    f1-all-e6042b47bf0ebd5339bbd7fe26ed4983e2eee64b7891277c6d4e0e1ae4b9f6a8
    --- stderr
    "###);
    let host = project.run(&["cache-key"]).text();
    assert!(host.starts_with("f1-linux-"), "{host}");
    assert!(!project.store().exists());
}

#[test]
fn a_group_has_a_key_of_its_own_and_an_unknown_one_is_refused() {
    let project = project_of_pinned_lock();
    let all = ["cache-key", "--platform", "all"];
    let plain = project.run(&all).text();
    let set = "[images]\nalpine = \"docker.io/library/alpine:3.20\"\n[images.\"py.tool\"]\nimage = \"oci:./images/py:v1\"\ngroups = [\"dev\"]\n";
    fs::write(project.directory().join("sandbox-images.toml"), set).unwrap();
    assert_eq!(project.run(&all).text(), plain, "a group that is not named adds nothing");
    let of_group = project.run(&[&all[..], &["--group", "dev"]].concat()).text();
    assert_ne!(of_group, plain);
    insta::assert_snapshot!(seen(&project, &["cache-key", "--group", "prod"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[selection]: no image is in group `prod`, groups are: dev
    "###);
}

#[test]
fn without_a_lock_there_is_no_key() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(seen(&project, &["cache-key"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[missing-lock]: `sandbox-images.lock` does not exist
    help: run `sandbox-images lock`
    "###);
}
