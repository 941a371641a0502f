//! `init`: a project to start from, and nothing that was there is lost.

use std::fs;

use crate::support::project::{Project, Ran};

/// A directory without `sandbox-images.toml`.
fn nothing() -> Project {
    let project = Project::new("");
    fs::remove_file(project.directory().join("sandbox-images.toml")).expect("it is removed");
    project
}

fn text(project: &Project, name: &str) -> String {
    fs::read_to_string(project.directory().join(name)).expect("the file is there")
}

fn said(ran: &Ran) -> String {
    format!("exit {}\n{}---\n{}", ran.code, ran.stdout, ran.stderr)
}

#[test]
fn a_new_project_can_be_locked_and_has_its_attributes() {
    let project = nothing();
    insta::assert_snapshot!(said(&project.run(&["init"])), @r#"
    exit 0
    ---
         Wrote sandbox-images.toml and .gitattributes
          Next `sandbox-images add alpine:3.20`, then `sandbox-images sync`
    "#);
    insta::assert_snapshot!(text(&project, ".gitattributes"), @"sandbox-images.lock linguist-generated text eol=lf");
    let written = text(&project, "sandbox-images.toml");
    assert!(written.contains("`sandbox-images schema images`"), "{written}");
    assert!(written.contains("\nmanifest-version = 1\n"), "{written}");
    assert!(written.contains("\n# alpine = \""), "{written}");
    project.run(&["lock"]).exits(0);

    let uncommented = written.replace("# alpine", "alpine");
    fs::write(project.directory().join("sandbox-images.toml"), uncommented).expect("written");
    let told = project.run(&["lock", "--check"]).exits(3);
    assert!(told.stderr.contains("image `alpine` is not locked"), "{}", told.stderr);
}

#[test]
fn what_exists_is_named_and_stays() {
    let project = Project::new("# mine\n");
    insta::assert_snapshot!(said(&project.run(&["init"])), @r"
    exit 2
    ---
    error[exists]: `sandbox-images.toml` exists already
    help: nothing was written; `sandbox-images add` adds images to it
    ");
    assert_eq!(text(&project, "sandbox-images.toml"), "# mine\n");
    assert!(!project.directory().join(".gitattributes").exists());
}

#[test]
fn attributes_that_are_there_stay_and_only_what_lacks_is_added() {
    let project = nothing();
    let attributes = project.directory().join(".gitattributes");
    fs::write(&attributes, "*.png binary\nsandbox-images.lock -text").expect("written");
    let ran = project.run(&["init", "--json"]).exits(0);
    insta::assert_snapshot!(ran.stdout, @r#"{"schema":"sandbox-images/init/1","written":["sandbox-images.toml",".gitattributes"]}"#);
    insta::assert_snapshot!(text(&project, ".gitattributes"), @r"
    *.png binary
    sandbox-images.lock -text
    sandbox-images.lock linguist-generated eol=lf
    ");

    fs::remove_file(project.directory().join("sandbox-images.toml")).expect("it is removed");
    let again = project.run(&["init", "--json"]).exits(0);
    assert!(again.stdout.contains(r#""written":["sandbox-images.toml"]"#), "{}", again.stdout);
}
