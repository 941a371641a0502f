//! `completions`, `man` and `schema`: what is generated from one definition.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::fixture::project_naming;

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() {
    let project = project_naming(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = project.run(&["completions", shell]).text();
        for word in ["cache-key", "frozen", "dry-run"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    project.run(&["completions", "tcsh"]).exits(2);
}

#[test]
fn there_is_a_page_for_the_program_and_each_command() {
    let project = project_naming(&[]);
    let page = project.run(&["man"]).text();
    assert!(page.contains(".TH sandbox-images 1"), "{page}");
    let page = project.run(&["man", "inspect", "layer"]).text();
    assert!(page.contains(".TH sandbox-images-inspect-layer 1"), "{page}");

    let ran = project.run(&["man", "-o", "pages"]).exits(0);
    assert_eq!(ran.stdout, "");
    let folder = project.directory().join("pages");
    let names: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["sandbox-images.1", "sandbox-images-sync.1", "sandbox-images-inspect-layer.1"] {
        assert!(names.contains(name), "{names:?}");
    }
    assert_eq!(
        fs::read_to_string(folder.join("sandbox-images-inspect-layer.1")).unwrap().trim_end(),
        page
    );

    let told = project.run(&["man", "synk"]).exits(2).stderr;
    assert!(told.starts_with("error[unknown-command]: there is no command `synk`"), "{told}");
}

#[test]
fn the_schemas_are_those_of_the_repository() {
    let project = project_naming(&[]);
    for (subject, file) in [
        ("images", "sandbox-images.v1.schema.json"),
        ("lock", "sandbox-images-lock.v1.schema.json"),
        ("config", "config.v1.schema.json"),
        ("output", "output.v1.schema.json"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(file);
        let ran = project.run(&["schema", subject]).exits(0);
        assert_eq!(ran.stdout, fs::read_to_string(path).unwrap(), "{subject}");
    }
    project.run(&["schema", "inputs"]).exits(2);
}

#[test]
fn what_commands_print_as_json_fits_the_schema_of_output() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let schema: Value = serde_json::from_str(&project.run(&["schema", "output"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let check = |arguments: &[&str]| {
        let ran = project.run(&[arguments, &["--json"]].concat());
        let value: Value = serde_json::from_str(&ran.stdout).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{arguments:?}: {errors:?}\n{}", ran.stdout);
    };
    check(&["check"]);
    check(&["explain", "lock-stale"]);
    check(&["doctor"]);
    check(&["inspect", "reference", "alpine"]);
    check(&["inspect", "reference", "a b"]);
    check(&["verify"]);
    check(&["sync", "--check"]);
    check(&["gc"]);
    check(&["roots", "list"]);
    let lock = include_str!("../data/locks/v1.lock");
    fs::write(project.lock_path(), lock).unwrap();
    fs::write(project.directory().join("old.lock"), lock.replace("1bc04b52", "00000000")).unwrap();
    check(&["check"]);
    check(&["diff", "old.lock"]);
    check(&["why", "cae66217"]);
    check(&["why", "00000000"]);
    check(&["cache-key"]);
    check(&["list"]);
    check(&["path", "alpine"]);
    check(&["roots", "add"]);
    check(&["roots", "list"]);
    check(&["gc", "--dry-run"]);
    assert!(!validator.is_valid(&serde_json::json!({ "schema": "sandbox-images/check/2" })));
}
