//! `check`: what a CI demands of a commit, with no network and nothing written.

use std::fs;

use serde_json::Value;

use crate::support::fixture::{project_naming, registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

/// Exit code, standard output and standard error as one text, without what differs from run to run.
fn seen(project: &Project, registry: &TestRegistry, arguments: &[&str]) -> String {
    project.run(arguments).to_string().replace(&registry.host(), "HOST")
}

fn locked() -> (TestRegistry, Project) {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    registry.clear_requests();
    (registry, project)
}

#[test]
fn a_fresh_lock_passes_and_nobody_is_asked() {
    let (registry, project) = locked();
    insta::assert_snapshot!(seen(&project, &registry, &["check"]), @r###"
    exit 0
    --- stdout
    --- stderr
    sandbox-images.lock is fresh (1 image)
    "###);
    insta::assert_snapshot!(seen(&project, &registry, &["check", "--json", "-q"]), @r###"
    exit 0
    --- stdout
    {"schema":"sandbox-images/check/1","images":1,"in_sync":null}
    --- stderr
    "###);
    assert!(registry.requests().is_empty());
    assert!(!project.store().exists(), "nothing is written");
}

#[test]
fn a_checkout_with_other_line_ends_passes() {
    let (registry, project) = locked();
    for name in ["sandbox-images.toml", "sandbox-images.lock"] {
        let path = project.directory().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace('\n', "\r\n")).unwrap();
    }
    project.run(&["check"]).exits(0);
    assert!(project.lock_text().contains("\r\n"));
    assert!(registry.requests().is_empty());
}

#[test]
fn a_wrong_file_is_2_and_a_stale_lock_3() {
    let (registry, project) = locked();
    let file = project.file_path();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[images]", "[images]\nmore = \"127.0.0.1:1/more:1\"")).unwrap();
    insta::assert_snapshot!(seen(&project, &registry, &["check"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[lock-stale]: sandbox-images.lock does not match sandbox-images.toml (1 difference)
     --> sandbox-images.toml:4:8
      |
    4 | more = "127.0.0.1:1/more:1"
      |        ^^^^^^^^^^^^^^^^^^^^ image `more` is not locked
      |
    help: run `sandbox-images lock` and commit the result (the pin of 1 other image stays as it is)
    "###);
    let value: Value = serde_json::from_str(&project.run(&["check", "--json"]).stdout).unwrap();
    assert_eq!(value["exit_code"], 3);
    assert_eq!(value["stale"][0]["reason"], "added");

    fs::write(&file, text.replace("[images]", "[image]")).unwrap();
    insta::assert_snapshot!(seen(&project, &registry, &["check"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-key]: unknown key `image`
     --> sandbox-images.toml:3:2
      |
    3 | [image]
      |  ^^^^^
      |
    help: did you mean `images`?
    "###);

    fs::write(&file, &text).unwrap();
    fs::remove_file(project.lock_path()).unwrap();
    project.run(&["check"]).exits(3);
}

#[test]
fn a_lock_that_contradicts_itself_is_3_although_its_sums_fit() {
    let (_registry, project) = locked();
    let mut digest = None;
    project.tamper(|app| {
        let layer = &mut app.platforms.values_mut().next().unwrap().layers[0];
        layer.size += 1;
        digest = Some(layer.digest);
    });
    project.run(&["lock", "--check"]).exits(0);
    let told = project.run(&["check"]).exits(3).stderr;
    let digest = digest.unwrap();
    let expected =
        format!("error[lock-contradiction]: {digest} has 97 bytes and 96 bytes in image `app`\n");
    assert!(told.starts_with(&expected), "{told}");
}

#[test]
fn with_in_sync_the_store_counts_too() {
    let (registry, project) = locked();
    let ran = project.run(&["check", "--in-sync", "--json"]).exits(4);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["diagnostics"][0]["code"], "not-in-sync");
    assert_eq!(value["plan"]["actions"].as_array().unwrap().len(), 6);
    assert!(registry.requests().is_empty());

    project.run(&["sync", "--locked"]).exits(0);
    insta::assert_snapshot!(seen(&project, &registry, &["check", "--in-sync", "--json"]), @r###"
    exit 0
    --- stdout
    {"schema":"sandbox-images/check/1","images":1,"in_sync":true}
    --- stderr
    sandbox-images.lock is fresh (1 image), and the store is in sync
    "###);
}

#[test]
fn without_images_there_is_nothing_to_check_and_nothing_wrong() {
    let project = project_naming(&[]);
    project.run(&["check"]).exits(3);
    project.run(&["lock"]).exits(0);
    project.run(&["check", "--in-sync"]).exits(0);
}
