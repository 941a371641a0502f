//! `roots`: who keeps what, shown and changed.

use std::fs;

use serde_json::Value;

use crate::support::file_tree::FileTree;
use crate::support::fixture::project_of_pinned_lock;
use crate::support::project::Project;

/// Exit code and what is printed, with a word for the directory of the test and for ids, which are made of it.
fn seen(project: &Project, arguments: &[&str]) -> String {
    let folder = project.files().display().to_string();
    let mut text = project.run(arguments).to_string().replace(&folder, "");
    for id in ids(project) {
        text = text.replace(&id, "<id>").replace(&id[..12], "<id>");
    }
    text
}

fn listed(project: &Project) -> Vec<Value> {
    let told = project.run(&["roots", "list", "--json"]).exits(0).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["schema"], "sandbox-images/roots/1");
    told["roots"].as_array().unwrap().clone()
}

fn ids(project: &Project) -> Vec<String> {
    listed(project).iter().map(|root| root["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_is_listed_of_a_store_that_does_not_exist() {
    let project = project_of_pinned_lock();
    insta::assert_snapshot!(seen(&project, &["roots", "list"]), @r###"
    exit 0
    --- stdout
    --- stderr
    nothing keeps anything in this store
    "###);
    assert!(!project.store().exists());
}

#[test]
fn a_lock_is_pinned_without_a_sync_and_let_go_again() {
    let project = project_of_pinned_lock();
    insta::assert_snapshot!(seen(&project, &["roots", "add"]), @r###"
    exit 0
    --- stdout
    --- stderr
    what `/project/sandbox-images.lock` names is kept
    "###);
    assert!(project.stored("layers").is_empty());
    let root = &listed(&project)[0];
    assert_eq!((&root["state"], &root["problem"]), (&"pinned".into(), &Value::Null));
    insta::assert_snapshot!(seen(&project, &["roots", "list"]), @r###"
    exit 0
    --- stdout
    <id>  16 artifacts  pinned  /project/sandbox-images.lock
    --- stderr
    "###);

    let before = FileTree::read(&project.store());
    insta::assert_snapshot!(seen(&project, &["roots", "add", "sandbox-images.lock"]), @r###"
    exit 0
    --- stdout
    --- stderr
    what `/project/sandbox-images.lock` names was kept already
    "###);
    FileTree::read(&project.store()).assert_equals(&before, "the store", "the store before");
    fs::remove_file(project.lock_path()).unwrap();
    project.run(&["gc"]).exits(0);
    assert_eq!(listed(&project).len(), 1, "a pin needs no lock");

    insta::assert_snapshot!(seen(&project, &["roots", "remove", "sandbox-images.lock"]), @r###"
    exit 0
    --- stdout
    --- stderr
    what `/project/sandbox-images.lock` names is kept no longer; `gc` may take it
    "###);
    assert!(listed(&project).is_empty());
    insta::assert_snapshot!(seen(&project, &["roots", "remove", "sandbox-images.lock"]), @r"
    exit 2
    --- stdout
    --- stderr
    error[unknown-root]: there is no root `sandbox-images.lock`
    help: there are: none
    ");
    project.run(&["roots", "add"]).exits(3);
}

#[test]
fn a_root_is_named_by_the_beginning_of_its_id_too() {
    let project = project_of_pinned_lock();
    project.run(&["roots", "add"]).exits(0);
    let id = ids(&project).remove(0);
    project.run(&["roots", "remove", &id[..7]]).exits(2);
    let told = project.run(&["roots", "remove", &id[..8], "--json"]).exits(0).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["roots"][0]["id"], id.as_str());
    assert!(listed(&project).is_empty());
}

#[test]
fn a_root_that_cannot_be_read_is_shown_and_can_be_removed() {
    let project = project_of_pinned_lock();
    project.run(&["roots", "add"]).exits(0);
    let [damaged, newer] = ["b", "c"].map(|digit| digit.repeat(64));
    let roots = project.store().join("v1/roots");
    fs::write(roots.join(format!("{damaged}.json")), "{").unwrap();
    fs::write(roots.join(format!("{newer}.json")), "{\"version\":2}").unwrap();
    fs::write(roots.join("notes.txt"), "not a root").unwrap();
    let states: Vec<_> = listed(&project).iter().map(|root| root["state"].clone()).collect();
    assert_eq!(states.iter().filter(|state| **state == "unreadable").count(), 2, "{states:?}");
    let text = project.run(&["roots", "list"]).text();
    assert!(text.contains("is a root of version 2, this program reads 1"), "{text}");
    project.run(&["roots", "remove", &damaged, &newer[..8]]).exits(0);
    assert_eq!(listed(&project).len(), 1);
    assert!(roots.join("notes.txt").exists());
}
