//! What fails before its work, or only looks, leaves every file, directory and time stamp as it was.

use std::fs;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{registry_and_project, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// A command line, and the exit code it ends with.
type Row<'a> = (&'a [&'a str], i32);

const LOCKED: &[&str] = &["sync", "--locked"];
const FROZEN: &[&str] = &["sync", "--frozen"];
const FROZEN_DRY_RUN: &[&str] = &["sync", "--frozen", "--dry-run"];
const OFFLINE: &[&str] = &["sync", "--offline"];
const SYNC_CHECK: &[&str] = &["sync", "--check"];
const DRY_RUN: &[&str] = &["sync", "--dry-run"];
const LOCK_CHECK: &[&str] = &["lock", "--check"];
const LOCK_DRY_RUN: &[&str] = &["lock", "--dry-run"];
const UPDATE_DRY_RUN: &[&str] = &["update", "--dry-run"];
const CHECK: &[&str] = &["check"];
const CHECK_IN_SYNC: &[&str] = &["check", "--in-sync"];
const PATH: &[&str] = &["path", "app"];

fn image(text: &str) -> [Layer; 2] {
    [Layer::new("/lib 0644 random=9000"), Layer::new(&format!("/version 0644 {text}"))]
}

/// A project whose registry has its image as `app:1` and another as `app:2`.
fn world() -> (TestRegistry, Project) {
    let layers = image("1");
    let (registry, project) = registry_and_project(&two_platforms(&[&layers[0], &layers[1]]));
    let layers = image("2");
    serve(&registry, "app", "2", &two_platforms(&[&layers[0], &layers[1]]));
    (registry, project)
}

fn rewrite(project: &Project, from: &str, to: &str) {
    let path = project.directory().join("sandbox-images.toml");
    let text = fs::read_to_string(&path).expect("the project has its file");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).expect("the file is changed");
}

/// Runs each command, with and without `--json`, and compares all files with what they were.
fn check(state: &str, project: &Project, rows: &[Row]) {
    for &(arguments, code) in rows {
        for more in [None, Some("--json")] {
            let arguments: Vec<&str> = arguments.iter().copied().chain(more).collect();
            let before = FileTree::read(project.files());
            let ran = project.run(&arguments);
            let after = FileTree::read(project.files());
            let what = format!("{state}: {}", arguments.join(" "));
            assert_eq!(ran.code, code, "{what}\n{}{}", ran.stdout, ran.stderr);
            before.assert_equals(&after, &format!("before {what}"), "after it");
        }
    }
}

#[test]
fn without_a_lock() {
    let (_registry, project) = world();
    let rows: &[Row] = &[
        (LOCKED, 3),
        (FROZEN, 3),
        (FROZEN_DRY_RUN, 3),
        (OFFLINE, 3),
        (SYNC_CHECK, 3),
        (DRY_RUN, 0),
        (LOCK_CHECK, 3),
        (LOCK_DRY_RUN, 0),
        (UPDATE_DRY_RUN, 0),
        (CHECK, 3),
        (CHECK_IN_SYNC, 3),
        (PATH, 3),
    ];
    check("no lock", &project, rows);
}

#[test]
fn with_a_stale_lock() {
    let (_registry, project) = world();
    project.run(&["lock"]).exits(0);
    project.run(&["sync"]).exits(0);
    rewrite(&project, "/app:1", "/app:2");
    let rows: &[Row] = &[
        (LOCKED, 3),
        (FROZEN, 3),
        (FROZEN_DRY_RUN, 3),
        (OFFLINE, 3),
        (SYNC_CHECK, 3),
        (DRY_RUN, 0),
        (LOCK_CHECK, 3),
        (LOCK_DRY_RUN, 0),
        (UPDATE_DRY_RUN, 0),
        (CHECK, 3),
        (CHECK_IN_SYNC, 3),
    ];
    check("stale", &project, rows);
}

#[test]
fn with_a_lock_and_no_store() {
    let (_registry, project) = world();
    project.run(&["lock"]).exits(0);
    let rows: &[Row] = &[
        (FROZEN, 4),
        (FROZEN_DRY_RUN, 4),
        (OFFLINE, 4),
        (SYNC_CHECK, 4),
        (DRY_RUN, 0),
        (LOCK_CHECK, 0),
        (LOCK_DRY_RUN, 0),
        (UPDATE_DRY_RUN, 0),
        (CHECK, 0),
        (CHECK_IN_SYNC, 4),
        (PATH, 4),
    ];
    check("no store", &project, rows);
}

#[test]
fn with_a_layer_missing() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    let images = project.run(&["path", "app", "--kind", "layers"]).text();
    fs::remove_file(images.lines().next().expect("a layer")).expect("a layer image is removed");
    let rows: &[Row] = &[
        (FROZEN, 4),
        (FROZEN_DRY_RUN, 4),
        (OFFLINE, 4),
        (SYNC_CHECK, 4),
        (DRY_RUN, 0),
        (CHECK, 0),
        (CHECK_IN_SYNC, 4),
        (PATH, 4),
    ];
    check("a layer is missing", &project, rows);
}

#[test]
fn with_nothing_to_do() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    let rows: &[Row] = &[
        (LOCKED, 0),
        (FROZEN, 0),
        (FROZEN_DRY_RUN, 0),
        (OFFLINE, 0),
        (SYNC_CHECK, 0),
        (DRY_RUN, 0),
        (&["sync"], 0),
        (&["lock"], 0),
        (&["update"], 0),
        (&["outdated"], 0),
        (&["verify"], 0),
        (&["list"], 0),
        (&["diff", "sandbox-images.lock"], 0),
        (&["cache-key"], 0),
        (CHECK, 0),
        (CHECK_IN_SYNC, 0),
        (PATH, 0),
    ];
    check("in sync", &project, rows);
}

#[test]
fn with_a_wrong_file() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    rewrite(&project, "[images]", "[image]");
    let rows: &[Row] = &[
        (&["sync"], 2),
        (LOCKED, 2),
        (FROZEN, 2),
        (OFFLINE, 2),
        (SYNC_CHECK, 2),
        (DRY_RUN, 2),
        (&["lock"], 2),
        (LOCK_CHECK, 2),
        (LOCK_DRY_RUN, 2),
        (&["update"], 2),
        (&["add", "other:1"], 2),
        (&["remove", "app"], 2),
        (CHECK, 2),
    ];
    check("a wrong sandbox-images.toml", &project, rows);
}

#[test]
fn in_ci_with_a_stale_lock() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    rewrite(&project, "/app:1", "/app:2");
    let before = FileTree::read(project.files());
    Ran::of(project.command(&["sync"]).env("CI", "true")).exits(3);
    before.assert_equals(&FileTree::read(project.files()), "before", "after a `sync` in CI");
}
