//! `completions`, `man` and `schema`: what is generated from one definition.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::fixture::project_naming;
use crate::support::needs::needs;
use crate::support::process::{bounded, run};
use crate::support::project::Project;

/// The commands below `command`, as its `--help` lists them, and theirs.
fn commands_below(project: &Project, command: &[String]) -> Vec<Vec<String>> {
    let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
    words.push("--help");
    let help = project.run(&words).exits(0).stdout;
    // The lists of commands stand between the usage and the arguments or options.
    let listed = help.lines().skip_while(|line| !line.starts_with("Usage: ")).skip(1);
    let listed = listed.take_while(|line| !["Arguments:", "Options:"].contains(line));
    let names = listed.filter(|line| line.starts_with("  "));
    // A description that needs a second line stands far to the right.
    let names = names.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let mut commands = Vec::new();
    for name in names.filter(|name| *name != "help") {
        let command = [command, &[name.to_owned()]].concat();
        commands.extend(commands_below(project, &command));
        commands.push(command);
    }
    commands
}

/// All commands of the program, each with the words that lead to it.
fn commands(project: &Project) -> Vec<Vec<String>> {
    let commands = commands_below(project, &[]);
    assert!(commands.len() > 25, "{commands:?}");
    commands
}

#[test]
fn each_shell_gets_a_script_that_knows_every_command() {
    let project = project_naming(&[]);
    let commands = commands(&project);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = project.run(&["completions", shell]).text();
        for word in commands.iter().filter_map(|command| command.last()) {
            assert!(script.contains(&word[..]), "{shell}: {word}");
        }
        for option in ["frozen", "dry-run", "wait-timeout"] {
            assert!(script.contains(option), "{shell}: --{option}");
        }
    }
    project.run(&["completions", "tcsh"]).exits(2);
}

#[test]
fn bash_reads_its_script() {
    if !needs(&["bash"]) {
        return;
    }
    let project = project_naming(&[]);
    let script = project.run(&["completions", "bash"]).text();
    fs::write(project.directory().join("completions"), script).unwrap();
    let complete = "source ./completions; COMP_WORDS=(sandbox-images inspect lay); COMP_CWORD=2; \
                    _sandbox__images sandbox-images lay inspect; echo \"${COMPREPLY[@]}\"";
    let mut bash = bounded("bash");
    assert_eq!(run(bash.current_dir(project.directory()).args(["-c", complete])), "layer\n");
}

#[test]
fn there_is_a_page_for_the_program_and_each_command() {
    let project = project_naming(&[]);
    let page = project.run(&["man"]).text();
    assert!(page.contains(".TH sandbox-images 1"), "{page}");
    let ran = project.run(&["man", "-o", "pages"]).exits(0);
    assert_eq!(ran.stdout, "");
    let folder = project.directory().join("pages");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();

    let commands = commands(&project);
    for command in &commands {
        let mut words = vec!["man"];
        words.extend(command.iter().map(String::as_str));
        let page = project.run(&words).text();
        let title = format!("sandbox-images-{}", command.join("-"));
        assert!(page.contains(&format!(".TH {title} 1")), "{title}: {page}");
        for section in ["\n.SH NAME\n", "\n.SH SYNOPSIS\n", "\n.SH DESCRIPTION\n"] {
            assert!(page.contains(section), "{title}: {page}");
        }
        let file = folder.join(format!("{title}.1"));
        assert_eq!(fs::read_to_string(file).unwrap().trim_end(), page, "{title}");
    }
    assert_eq!(names.len(), commands.len() + 1, "{names:?}");

    let told = project.run(&["man", "synk"]).exits(2).stderr;
    assert!(told.starts_with("error[unknown-command]: there is no command `synk`"), "{told}");
}

#[test]
fn every_command_has_its_row_in_the_readme() {
    let readme = include_str!("../../README.md");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    for command in commands(&project_naming(&[])) {
        let (bare, with_more) = (format!("`{}`", command[0]), format!("`{} ", command[0]));
        let is_there = rows.iter().any(|row| row.contains(&bare) || row.contains(&with_more));
        assert!(is_there, "README.md has no row for `{}`", command[0]);
    }
}

#[test]
fn the_schemas_are_those_of_the_repository() {
    let project = project_naming(&[]);
    for (subject, file) in [
        ("images", "sandbox-images.v1.schema.json"),
        ("lock", "sandbox-images-lock.v1.schema.json"),
        ("config", "config.v1.schema.json"),
        ("output", "output.v1.schema.json"),
        ("events", "events.v1.schema.json"),
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
