//! `explain`: every code that the program can emit is explained, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::fixture::project_naming;

/// What a code's literal follows in the sources, without blanks beside signs.
const MARKERS: [&str; 13] = [
    "error(\"",
    "warning(\"",
    "Finding::ok(\"",
    "pointing(\"",
    "problem(\"",
    "refused(\"",
    "warn(\"",
    "code:\"",
    "let code=\"",
    "let(code,image,message)=(\"",
    // `Failure::new(Kind::Usage, "…", …)` and `Failure::of` of any kind.
    "Failure::new(Kind::_,\"",
    "Failure::new(kind,\"",
    "Failure::of(Kind::_,\"",
];

/// All files of `src`, without the tests in them.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            found.push((path, code.to_owned()));
        }
    }
}

fn is_code(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The literals that follow a marker.
fn marked(code: &str, codes: &mut BTreeSet<String>) {
    let words: Vec<&str> = code.split_whitespace().collect();
    let mut squeezed = words.join(" ");
    for sign in ["(", ",", ":", "="] {
        let [after, before] = [format!("{sign} "), format!(" {sign}")];
        squeezed = squeezed.replace(&after, sign).replace(&before, sign);
    }
    for kind in ["Failed", "Usage", "Stale", "Missing", "Integrity", "Denied", "Busy"] {
        squeezed = squeezed.replace(&format!("Kind::{kind},"), "Kind::_,");
    }
    for marker in MARKERS {
        let rests = squeezed.split(marker).skip(1);
        let words = rests.filter_map(|rest| rest.split('"').next());
        codes.extend(words.filter(|word| is_code(word)).map(str::to_owned));
    }
}

/// The literals of each function that turns something into its code.
fn of_functions(code: &str, codes: &mut BTreeSet<String>) {
    for rest in code.split("fn code(").skip(1) {
        let body = rest.split("\n    }\n").next().unwrap();
        let words = body.split('"').skip(1).step_by(2);
        codes.extend(words.filter(|word| is_code(word)).map(str::to_owned));
    }
}

fn emitted() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut codes = BTreeSet::new();
    for (path, code) in files {
        marked(&code, &mut codes);
        of_functions(&code, &mut codes);
        if path.ends_with("spec/freshness.rs") {
            of_functions(&code.replace("fn as_str(", "fn code("), &mut codes);
        }
    }
    codes
}

fn explained() -> BTreeSet<String> {
    let ran = project_naming(&[]).run(&["explain", "--json"]).exits(0);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["schema"], "sandbox-images/explain/1");
    let codes = value["codes"].as_array().unwrap().iter();
    codes.map(|explained| explained["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_code_of_the_sources_is_explained_and_no_other() {
    let (emitted, explained) = (emitted(), explained());
    assert!(emitted.len() > 100, "codes are found: {emitted:?}");
    let lacking: Vec<&String> = emitted.difference(&explained).collect();
    let dead: Vec<&String> = explained.difference(&emitted).collect();
    assert!(
        lacking.is_empty() && dead.is_empty(),
        "`src/cli/explain/codes.txt` lacks {lacking:?}, and has {dead:?}, which nothing emits"
    );
}

#[test]
fn a_code_is_explained_to_people() {
    let ran = project_naming(&[]).run(&["explain", "lock-stale"]).exits(0);
    insta::assert_snapshot!(ran.stdout, @r###"
    lock-stale

    The lock does not match sandbox-images.toml.

    How it comes about: An image, a platform or a source changed in sandbox-images.toml, or a block of the lock was edited.

    What to do: Run `sandbox-images lock` and commit the result; pins of other images stay as they are.
    "###);
    assert_eq!(ran.stderr, "");
}

#[test]
fn without_a_code_all_are_listed() {
    let project = project_naming(&[]);
    let all = project.run(&["explain"]).exits(0);
    assert_eq!(project.run(&["explain", "--list"]).exits(0), all);
    assert_eq!(all.stdout.lines().count(), explained().len());
    assert!(
        all.stdout.contains("\nlock-stale                  The lock does not match"),
        "{}",
        all.stdout
    );
}

#[test]
fn an_unknown_code_is_refused_with_the_nearest() {
    let project = project_naming(&[]);
    let ran = project.run(&["explain", "lock-stail"]).exits(2);
    insta::assert_snapshot!(ran.stderr, @r###"
    error[unknown-code]: there is no code `lock-stail`
    help: did you mean `lock-stale`?
    "###);
    assert_eq!(ran.stdout, "");
    let ran = project.run(&["explain", "nothing-of-this-kind", "--json"]).exits(2);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["diagnostics"][0]["code"], "unknown-code");
}

#[test]
fn a_wrong_configuration_keeps_nobody_from_an_explanation() {
    let project = project_naming(&[]);
    project.write_config("jobs = 0\n");
    project.run(&["explain", "invalid-value"]).exits(0);
}
