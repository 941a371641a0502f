//! What fails before its work, or only looks, leaves every file, directory and time stamp as it was.

use std::fs;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{edit, registry_and_project, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// The exit code of each command in each state of a project; `·` where a command would have work to do.
const EXIT_CODES: &str = "
                              no-lock  stale  no-store  no-layer  in-sync  wrong-file
sync                             ·       ·       ·         ·         0         2
sync --locked                    3       3       ·         ·         0         2
sync --frozen                    3       3       4         4         0         2
sync --frozen --dry-run          3       3       4         4         0         2
sync --offline                   3       3       4         4         0         2
sync --check                     3       3       4         4         0         2
sync --dry-run                   0       0       0         0         0         2
lock                             ·       ·       0         0         0         2
lock --check                     3       3       0         0         0         2
lock --dry-run                   0       0       0         0         0         2
update                           ·       ·       0         0         0         2
update --dry-run                 0       0       0         0         0         2
outdated                         0       0       0         0         0         2
verify                           0       ·       4         4         0         ·
list                             3       0       0         0         0         ·
diff sandbox-images.lock         3       0       0         0         0         ·
cache-key                        3       0       0         0         0         ·
check                            3       3       0         0         0         2
check --in-sync                  3       3       4         4         0         2
path app                         3       0       4         4         0         0
add other:1                      ·       ·       ·         ·         ·         2
remove app                       ·       ·       ·         ·         ·         2
";

/// The rows of one column: a command line, and the exit code it ends with.
fn rows(state: &str) -> impl Iterator<Item = (Vec<&'static str>, i32)> {
    let mut lines = EXIT_CODES.trim_start_matches('\n').lines();
    let states: Vec<&str> = lines.next().expect("a head").split_whitespace().collect();
    let column = states.iter().position(|name| *name == state).expect("a state of the table");
    let from_right = states.len() - column;
    lines.filter_map(move |line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let codes = words.split_off(words.len() - states.len());
        codes[codes.len() - from_right].parse().ok().map(|code| (words, code))
    })
}

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

/// Runs each command that the table has for `state`, with and without `--json`, and compares all files with
/// what they were.
fn check(state: &str, project: &Project) {
    for (arguments, code) in rows(state) {
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
    check("no-lock", &project);
}

#[test]
fn with_a_stale_lock() {
    let (_registry, project) = world();
    project.run(&["lock"]).exits(0);
    project.run(&["sync"]).exits(0);
    edit(&project.file_path(), "/app:1", "/app:2");
    check("stale", &project);
}

#[test]
fn with_a_lock_and_no_store() {
    let (_registry, project) = world();
    project.run(&["lock"]).exits(0);
    check("no-store", &project);
}

#[test]
fn with_a_layer_missing() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    let images = project.run(&["path", "app", "--kind", "layers"]).text();
    fs::remove_file(images.lines().next().expect("a layer")).expect("a layer image is removed");
    check("no-layer", &project);
}

#[test]
fn with_nothing_to_do() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    check("in-sync", &project);
}

#[test]
fn with_a_wrong_file() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    edit(&project.file_path(), "[images]", "[image]");
    check("wrong-file", &project);
}

#[test]
fn in_ci_with_a_stale_lock() {
    let (_registry, project) = world();
    project.run(&["sync"]).exits(0);
    edit(&project.file_path(), "/app:1", "/app:2");
    let before = FileTree::read(project.files());
    Ran::of(project.command(&["sync"]).env("CI", "true")).exits(3);
    before.assert_equals(&FileTree::read(project.files()), "before", "after a `sync` in CI");
}
