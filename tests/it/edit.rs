//! `add` and `remove`: one line of `sandbox-images.toml` and its block of the lock, or nothing at all.

use std::fs;

use crate::support::fixture::{serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// A registry with `app:1`, `base:1` and `tool:1`, and a project that names none of them yet.
fn registry_and_project() -> (TestRegistry, Project) {
    let registry = TestRegistry::start();
    for repository in ["app", "base", "team/tool"] {
        let lines = format!("/name 0644 {repository}");
        serve(&registry, repository, "1", &two_platforms(&[&Layer::new(&lines)]));
    }
    (registry, Project::new("manifest-version = 1   # the first\r\n\r\n[images]\r\n# none yet\r\n"))
}

/// The texts of both files; nothing for one that is not there.
fn files(project: &Project) -> [Option<String>; 2] {
    let read = |path| fs::read_to_string(path).ok();
    [read(project.directory().join("sandbox-images.toml")), read(project.lock_path())]
}

fn image_set(project: &Project) -> String {
    files(project)[0].clone().expect("it is there")
}

/// The exit code and both streams, with the registry's port and all digests left out.
fn said(registry: &TestRegistry, ran: &Ran) -> String {
    let text = format!("exit {}\n{}---\n{}", ran.code, ran.stdout, ran.stderr);
    let text = text.replace(&registry.host(), "r.example");
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        let is_hex = word.trim().len() == 12 && word.trim().bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex { word.replace(word.trim(), "DIGEST") } else { word.to_owned() }
    });
    words.collect()
}

#[test]
fn what_is_added_and_removed_again_leaves_both_files_as_they_were() {
    let (registry, project) = registry_and_project();
    let at = |repository: &str| format!("{}/{repository}:1", registry.host());
    project.run(&["add", &at("base")]).exits(0);
    let before = files(&project);

    let added = project.run(&["add", &at("app"), &at("team/tool"), "--progress", "none"]);

    insta::assert_snapshot!(said(&registry, &added), @r#"
    exit 0
    ---
         Added app, tool; 2 images resolved
    "#);
    let expected = format!(
        "manifest-version = 1   # the first\r\n\r\n[images]\r\napp = \"{}\"\r\nbase = \"{}\"\r\ntool = \"{}\"\r\n# none yet\r\n",
        at("app"),
        at("base"),
        at("team/tool"),
    );
    assert_eq!(image_set(&project), expected);
    project.run(&["lock", "--check"]).exits(0);

    registry.clear_requests();
    let removed = project.run(&["remove", "tool", "app"]);
    insta::assert_snapshot!(said(&registry, &removed), @r#"
    exit 0
    ---
       Removed app, tool; 0 images resolved
    "#);
    assert_eq!(files(&project), before);
    assert!(registry.requests().is_empty(), "taking something away asks nobody");
}

#[test]
fn options_make_a_table() {
    let (registry, project) = registry_and_project();
    let at = format!("{}/app:1", registry.host());
    let options =
        ["--name", "web.1", "--group", "ci", "--group", "dev", "--platform", "linux/x86_64"];
    project.run(&[&["add", &at], &options[..]].concat()).exits(0);
    let written = image_set(&project).replace(&registry.host(), "r.example").replace('\r', "");
    insta::assert_snapshot!(written, @r#"
    manifest-version = 1   # the first

    [images]
    # none yet

    [images."web.1"]
    image = "r.example/app:1"
    groups = ["ci", "dev"]
    platforms = ["linux/amd64"]
    "#);
    assert!(!project.lock_text().contains("linux/arm64"));
}

#[test]
fn what_cannot_be_resolved_leaves_both_files() {
    let (registry, project) = registry_and_project();
    let at = |image: &str| format!("{}/{image}", registry.host());
    project.run(&["add", &at("base:1")]).exits(0);
    let before = files(&project);

    let failed = project.run(&["add", &at("app:1"), &at("tool:404")]).exits(1);
    assert!(failed.stderr.contains("error[not-found]: tool: "), "{}", failed.stderr);
    assert_eq!(files(&project), before);

    project.run(&["add", &at("tool:404"), "--no-lock"]).exits(0);
    assert_eq!(files(&project)[1], before[1], "`--no-lock` leaves the lock");
    project.run(&["remove", "tool", "--no-lock"]).exits(0);
    assert_eq!(files(&project), before);
}

#[test]
fn a_lock_that_cannot_be_written_gives_the_old_text_back() {
    let (registry, project) = registry_and_project();
    fs::create_dir(project.directory().join("locks")).expect("a directory is made");
    let at = format!("{}/app:1", registry.host());
    let before = image_set(&project);
    project.run(&["add", &at, "--lockfile", "missing/sandbox-images.lock"]).exits(1);
    assert_eq!(image_set(&project), before);
}

#[test]
fn a_dry_run_prints_the_diff_and_writes_nothing() {
    let (registry, project) = registry_and_project();
    let at = format!("{}/app:1", registry.host());
    let before = files(&project);
    let ran = project.run(&["add", &at, "--dry-run", "--no-lock"]);
    insta::assert_snapshot!(said(&registry, &ran).replace('\r', ""), @r#"
    exit 0
    --- a/sandbox-images.toml
    +++ b/sandbox-images.toml
    @@ -1,4 +1,5 @@
     manifest-version = 1   # the first
     
     [images]
    +app = "r.example/app:1"
     # none yet
    ---
       Planned would add app; the lock is as it was
    "#);
    let with_lock = project.run(&["add", &at, "--dry-run"]).exits(0);
    assert!(with_lock.stdout.contains("\n+++ b/sandbox-images.lock\n"), "{}", with_lock.stdout);
    assert!(with_lock.stdout.contains("\n+[image.app]\n"), "{}", with_lock.stdout);
    assert_eq!(files(&project), before);
}

#[test]
fn names_that_are_taken_unknown_or_impossible_are_usage_errors() {
    let project = Project::new(
        "[images]\nalpine = 'r.example/alpine:1'\n[images.ci]\nimage = 'r.example/ci'\ngroups = ['ci']\n[groups]\ndefault = ['ci']\n",
    );
    let before = files(&project);
    let registry = TestRegistry::start();
    let said = |arguments: &[&str]| said(&registry, &project.run(arguments));
    insta::assert_snapshot!(said(&["add", "r.example/team/alpine"]), @r"
    exit 2
    ---
    error[image-exists]: there is an image `alpine` already
     --> sandbox-images.toml:2:1
      |
    2 | alpine = 'r.example/alpine:1'
      | ^^^^^^
      |
    help: choose another name with `--name`, or change its line and run `sandbox-images lock`
    ");
    insta::assert_snapshot!(said(&["remove", "alpin", "x"]), @r"
    exit 2
    ---
    error[unknown-image]: there is no image `alpin`
    help: did you mean `alpine`?
    error[unknown-image]: there is no image `x`
    help: images: alpine, ci
    ");
    insta::assert_snapshot!(said(&["add", "r.example/Team"]), @r"
    exit 2
    ---
    error[invalid-reference]: `r.example/Team` is no image: a repository has lower-case letters only (byte 10 of `r.example/Team`)
    ");
    insta::assert_snapshot!(said(&["add", "oci:.."]), @r"
    exit 2
    ---
    error[no-name]: no name follows from `oci:..`
    help: give it one with `--name`
    ");
    insta::assert_snapshot!(said(&["add", "a", "b", "--name", "c"]), @r"
    exit 2
    ---
    error[usage]: `--name` is for one image, 2 are given
    ");
    insta::assert_snapshot!(said(&["remove", "ci"]), @r"
    exit 2
    ---
    error[unknown-group]: no image is in group `ci`
     --> sandbox-images.toml:4:12
      |
    4 | default = ['ci']
      |            ^^^^
    ");
    assert_eq!(files(&project), before);
    assert!(!project.store().exists());
}
