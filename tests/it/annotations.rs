//! Problems as GitHub shows them beside the lines of a pull request.

use std::fs;

use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// Runs the program as a step of GitHub's CI.
fn run(project: &Project, arguments: &[&str]) -> Ran {
    let mut command = project.command(arguments);
    let top = project.directory().join("..").canonicalize().expect("the project is somewhere");
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", top);
    Ran::of(&mut command)
}

fn annotations(ran: &Ran) -> String {
    assert!(!ran.stdout.contains("::error"), "data stay data: {}", ran.stdout);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("::")).collect();
    lines.join("\n")
}

#[test]
fn every_problem_of_a_file_has_its_place() {
    let project = Project::new("[images]\napp = 1\n\n[imagse]\n");
    let ran = run(&project, &["lock"]).exits(2);
    insta::assert_snapshot!(annotations(&ran), @r#"
    ::error file=project/sandbox-images.toml,line=2,endLine=2,col=7,endColumn=8,title=wrong-type::`images.app` is an integer, not a string
    ::error file=project/sandbox-images.toml,line=4,endLine=4,col=2,endColumn=8,title=unknown-key::unknown key `imagse`%0Adid you mean `images`?
    "#);
    assert!(ran.stderr.contains("--> sandbox-images.toml:2:7"), "{}", ran.stderr);
    let json = run(&project, &["lock", "--json"]).exits(2);
    assert_eq!(annotations(&json), annotations(&ran), "once each, with JSON too");
    let file = project.directory().join("sandbox-images.toml").display().to_string();
    let named = run(&project, &["lock", "--file", &file]).exits(2);
    assert_eq!(annotations(&named), annotations(&ran), "from the top of the checkout");
    assert_eq!(annotations(&project.run(&["lock"])), "", "elsewhere there are none");
}

#[test]
fn a_stale_lock_is_annotated_where_it_is_stale() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let ran = run(&project, &["check"]).exits(3);
    insta::assert_snapshot!(annotations(&ran), @r#"
    ::error file=project/sandbox-images.lock,title=missing-lock::sandbox-images.lock does not exist%0Arun `sandbox-images lock` and commit the result
    "#);
}

#[test]
fn a_problem_without_a_place_has_a_title() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    fs::write(project.lock_path(), "version = 1\n").expect("a lock is written");
    let ran = run(&project, &["path", "a,b:c%d\ne"]).exits(2);
    insta::assert_snapshot!(annotations(&ran), @r#"
    ::error title=unknown-image::there is no image `a,b:c%25d%0Ae` in the lock%0Athere is none
    "#);
}

#[test]
fn a_warning_is_one_too() {
    let registry = TestRegistry::start();
    let layer = Layer::new("/etc/motd 0644 hello");
    serve(&registry, "app", "1", &Image::multi(&[("linux/amd64", vec![&layer])]));
    let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    let ran = run(&project, &["lock"]).exits(0);
    let told = annotations(&ran).replace(&registry.host().replace(':', "%3A"), "HOST");
    insta::assert_snapshot!(told.replace(&registry.host(), "HOST"), @r#"
    ::warning title=platform::app: `HOST/app:1` has no image for linux/arm64
    "#);
    fs::remove_file(project.lock_path()).expect("the lock is removed");
    assert_eq!(annotations(&run(&project, &["lock", "-q"]).exits(0)), "");
}

#[test]
fn events_for_programs_are_not_mixed_with_them() {
    let project = Project::new("[images]\napp = 1\n");
    assert_eq!(annotations(&run(&project, &["lock", "--progress", "json"]).exits(2)), "");
}

#[test]
fn a_run_without_problems_has_none() {
    let registry = TestRegistry::start();
    serve(&registry, "app", "1", &two_platforms(&[&Layer::new("/etc/motd 0644 hello")]));
    let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    assert_eq!(annotations(&run(&project, &["sync", "--no-locked"]).exits(0)), "");
}
