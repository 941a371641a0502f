//! What keeps things in a store, where that cannot be read, found or overruled.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::scene::{shows, synced};
use crate::support::project::Project;

/// A number that Linux gives to no process.
const NO_PROCESS: &str = "4194304";

/// The file of the project's root.
fn root(project: &Project) -> PathBuf {
    let mut entries = fs::read_dir(project.store().join("v1/roots")).unwrap();
    entries.next().expect("the project was synced").unwrap().path()
}

fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Puts another root beside the project's, which keeps the same for a lock at `path`.
fn add_root(project: &Project, name: &str, path: &Path) {
    let other = root(project).with_file_name(format!("{name}.json"));
    fs::copy(root(project), &other).unwrap();
    edit(&other, |root| root["lock"] = path.display().to_string().into());
}

#[test]
fn a_root_that_is_damaged() {
    let (_registry, project) = synced();
    fs::write(root(&project), "{").unwrap();
    insta::assert_snapshot!(shows(&project, &["keeper-damaged"], &["gc"]), @r"
    exit 1
    --- stdout
    --- stderr
    error[keeper-damaged]: `DIR/store/v1/roots/DIGEST.json` is no root: EOF while parsing an object at line 1 column 1
    help: sync its project again, or remove it with `sandbox-images roots remove`; until then nothing is deleted
    ");
}

#[test]
fn a_root_of_a_newer_program() {
    let (_registry, project) = synced();
    edit(&root(&project), |root| root["version"] = 2.into());
    insta::assert_snapshot!(shows(&project, &["keeper-too-new"], &["gc"]), @r"
    exit 1
    --- stdout
    --- stderr
    error[keeper-too-new]: `DIR/store/v1/roots/DIGEST.json` is a root of version 2, this program reads 1
    help: use the version of sandbox-images that wrote it; this one deletes nothing
    ");
}

#[test]
fn a_root_that_nobody_has_and_one_that_two_are_called() {
    let (_registry, project) = synced();
    let arguments = ["roots", "remove", "other.lock"];
    insta::assert_snapshot!(shows(&project, &["unknown-root"], &arguments), @r"
    exit 2
    --- stdout
    --- stderr
    error[unknown-root]: there is no root `other.lock`
    help: there are: DIR/project/sandbox-images.lock
    ");
    for last in ["a", "b"] {
        add_root(&project, &("c".repeat(63) + last), Path::new("/nowhere/sandbox-images.lock"));
    }
    let arguments = ["roots", "remove", "cccccccc"];
    insta::assert_snapshot!(shows(&project, &["ambiguous-root"], &arguments), @r"
    exit 2
    --- stdout
    --- stderr
    error[ambiguous-root]: `cccccccc` begins the ids of several roots
    help: give more digits, or the path of the lock
    ");
}

#[test]
fn another_project_that_lives() {
    let (_registry, project) = synced();
    add_root(&project, &"c".repeat(64), &project.directory().join("sandbox-images.toml"));
    let arguments = ["gc", "--only-this-lock"];
    insta::assert_snapshot!(shows(&project, &["gc-refused"], &arguments), @r"
    exit 4
    --- stdout
    --- stderr
    error[gc-refused]: others keep things in this store: DIR/project/sandbox-images.toml
    help: `--drop-other-roots` takes the roots away; what runs keeps what it uses in any case
    ");
}

#[test]
fn a_process_that_is_not_there() {
    let (_registry, project) = synced();
    let arguments = ["path", "app", "--platform", "linux/amd64", "--lease-pid", NO_PROCESS];
    insta::assert_snapshot!(shows(&project, &["no-process"], &arguments), @r"
    exit 2
    --- stdout
    --- stderr
    error[no-process]: there is no process 4194304
    help: give the number of the process that uses the disk, while it runs
    ");
}
