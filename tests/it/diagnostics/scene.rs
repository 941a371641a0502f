//! A run that ends badly, looked at by people and by programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sandbox_images::oci::digest::Digest;
use serde_json::Value;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::{Compression, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// Runs the program for people and once more with `--json`, demands that both say `codes` and end alike, and
/// answers what people see.
pub(super) fn shows(project: &Project, codes: &[&str], arguments: &[&str]) -> String {
    shows_with(project, codes, arguments, &[])
}

/// As [`shows`], with these variables in the environment.
#[track_caller]
pub(super) fn shows_with(
    project: &Project,
    codes: &[&str],
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> String {
    let run =
        |arguments: &[&str]| Ran::of(project.command(arguments).envs(variables.iter().copied()));
    compared(project, codes, &run(arguments), &run(&[arguments, &["--json"]].concat()))
}

/// As [`shows`], run by a shell that makes the machine small or odd first.
#[track_caller]
pub(super) fn shows_under(
    project: &Project,
    codes: &[&str],
    script: &str,
    arguments: &[&str],
) -> String {
    let script = format!("{script}; exec \"$0\" \"$@\"");
    let run =
        |arguments: &[&str]| Ran::of(&mut project.command_under(&["sh", "-c", &script], arguments));
    compared(project, codes, &run(arguments), &run(&[arguments, &["--json"]].concat()))
}

/// What people saw, if programs saw the same.
#[track_caller]
pub(super) fn compared(project: &Project, codes: &[&str], people: &Ran, programs: &Ran) -> String {
    let document: Value = serde_json::from_str(&programs.stdout)
        .unwrap_or_else(|error| panic!("{error}: {people:?} {programs:?}"));
    let found = codes_of(&document);
    for code in codes {
        assert!(found.contains(*code), "{code} in {document}");
    }
    for code in said(&people.stderr) {
        assert!(found.contains(code), "`{code}` is said to people only: {document}");
    }
    assert_eq!(document["exit_code"], programs.code);
    assert_eq!(people.code, programs.code, "{people:?}");
    shown(project, people)
}

/// Runs the program for people, and in a new store once more with `--progress json`, demands that both warn
/// and go on, and answers what people see.
#[track_caller]
pub(super) fn warns(project: &Project, codes: &[&str], arguments: &[&str]) -> String {
    let people = project.run(arguments).exits(0);
    if project.store().exists() {
        fs::remove_dir_all(project.store()).unwrap();
    }
    fs::remove_file(project.lock_path()).unwrap();
    let programs = project.run(&[arguments, &["--progress", "json"]].concat()).exits(0);
    let events = programs.stderr.lines().filter(|line| line.starts_with('{'));
    let events: Vec<Value> = events.map(|line| serde_json::from_str(line).unwrap()).collect();
    let warned: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "warning")
        .map(|event| event["code"].as_str().unwrap())
        .collect();
    for code in codes {
        assert!(warned.contains(code), "{code} in {warned:?}");
    }
    shown(project, &people)
}

/// What `doctor` says with these codes: a line each, and the exit code.
#[track_caller]
pub(super) fn finds(project: &Project, codes: &[&str], arguments: &[&str]) -> String {
    finds_with(project, codes, arguments, &[])
}

/// As [`finds`], with these variables in the environment.
#[track_caller]
pub(super) fn finds_with(
    project: &Project,
    codes: &[&str],
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> String {
    let run = |more: &[&str]| {
        let words = [&["doctor"], arguments, more].concat();
        Ran::of(project.command(&words).envs(variables.iter().copied()))
    };
    let (people, programs) = (run(&[]), run(&["--json"]));
    let found = codes_of(&serde_json::from_str(&programs.stdout).unwrap());
    for code in codes {
        assert!(found.contains(*code), "{code} in {}", programs.stdout);
    }
    assert_eq!((people.code, &people.stderr[..]), (programs.code, ""));
    let is_meant =
        |line: &&str| line.split_whitespace().nth(1).is_some_and(|code| codes.contains(&code));
    let lines: Vec<&str> = people.stdout.lines().filter(is_meant).collect();
    masked(project, &format!("exit {}\n{}\n", people.code, lines.join("\n")))
}

/// Exit code, standard output and standard error as one text, without what differs from run to run.
pub(super) fn shown(project: &Project, ran: &Ran) -> String {
    masked(project, &ran.to_string())
}

/// Codes and reasons anywhere in a document.
fn codes_of(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut values = vec![document];
    while let Some(value) = values.pop() {
        match value {
            Value::Array(elements) => values.extend(elements),
            Value::Object(members) => {
                let named = ["code", "reason"].iter().filter_map(|key| members.get(*key));
                found.extend(named.filter_map(Value::as_str).map(str::to_owned));
                values.extend(members.values());
            }
            _ => {}
        }
    }
    found
}

/// The codes of `error[…]` and `warning[…]`.
fn said(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines();
    let rest = lines
        .filter_map(|line| line.strip_prefix("error[").or_else(|| line.strip_prefix("warning[")));
    rest.filter_map(|rest| rest.split_once(']')).map(|(code, _)| code)
}

/// Hexadecimal digits of a whole digest.
const DIGEST_DIGITS: usize = 64;

/// A port that the system chose has five digits; the ports of a test itself are shorter.
const PORT_DIGITS: usize = 5;

/// The text without the project's directory, ports and digests.
fn masked(project: &Project, text: &str) -> String {
    let root = project.directory();
    let root = root.parent().unwrap().display().to_string();
    let text = text.replace(&root, "DIR");
    let lines = text.lines().map(|line| match line.split_once(" built (") {
        Some((before, _)) => format!("{before} built (TIME)\n"),
        None => format!("{line}\n"),
    });
    let text: String = lines.collect();
    let text = without_number_after(&text, "leases/run-");
    let text = without_number_after(&text, "v1/tmp/");
    let text = without_runs(
        &text,
        |c| c.is_ascii_digit() || matches!(c, 'a'..='f'),
        |run| (run.len() >= DIGEST_DIGITS).then_some("DIGEST"),
    );
    let ports = text.split("127.0.0.1:").enumerate().map(|(place, part)| {
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        match place {
            1.. if digits == PORT_DIGITS => format!("127.0.0.1:PORT{}", &part[digits..]),
            1.. => format!("127.0.0.1:{part}"),
            _ => part.to_owned(),
        }
    });
    ports.collect()
}

/// The text without the number of a process, and of one of its files, behind `words`.
fn without_number_after(text: &str, words: &str) -> String {
    let Some((before, after)) = text.split_once(words) else {
        return text.to_owned();
    };
    let end = after.find('`').unwrap_or(after.len());
    format!("{before}{words}PROCESS{}", &after[end..])
}

/// The text with some of its longest runs of characters of a kind replaced.
fn without_runs(
    text: &str,
    is_meant: impl Fn(char) -> bool,
    replacement: impl Fn(&str) -> Option<&'static str>,
) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(&is_meant) {
        let (before, after) = rest.split_at(start);
        let end = after.find(|c| !is_meant(c)).unwrap_or(after.len());
        let (run, after) = after.split_at(end);
        masked.push_str(before);
        masked.push_str(replacement(run).unwrap_or(run));
        rest = after;
    }
    masked + rest
}

/// A layer of these lines whose bytes no compressor chose.
pub(super) fn plain(lines: &str) -> Layer {
    Layer::packed(&layer_tar(lines), Compression::Plain)
}

/// A layer of `tests/data/layers`, as it is.
pub(super) fn hostile(file: &str) -> Layer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers");
    let blob = fs::read(folder.join(file)).unwrap();
    let compression = match file.rsplit('.').next() {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        _ => Compression::Plain,
    };
    let digest = Digest::of(&blob).to_string();
    Layer { diff_id: digest.clone(), digest, blob, compression }
}

/// A registry that serves an image of these layers as `app:1`, and a project that has locked it.
pub(super) fn locked(layers: &[&Layer]) -> (TestRegistry, Project) {
    let (registry, project) = registry_and_project(&two_platforms(layers));
    project.run(&["lock"]).exits(0);
    (registry, project)
}

/// A project with a small image that is locked and synced.
pub(super) fn synced() -> (TestRegistry, Project) {
    let (registry, project) = locked(&[&plain("/etc/motd 0644 hello")]);
    project.run(&["sync", "--platform", "linux/amd64"]).exits(0);
    (registry, project)
}
