//! Texts from outside: whatever they hold, a terminal obeys nothing of it, and a CI's log neither.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::fixture::{project_naming, registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::process::output;
use crate::support::project::{Project, Ran};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::{OCI_INDEX, OCI_MANIFEST, TestRegistry};

/// Colours, a cleared screen in seven and in eight bits, a bell, a window's title, directions, things
/// without width, tags, a line that is a workflow command.
const EVIL: &str = "e\u{1b}[31mv\u{1b}[2J\u{9b}2Ji\u{7}\u{1b}]0;t\u{7}\u{202e}l\u{2066}\u{200b}\u{feff}\u{ad}\u{e0041}\r\n::error::x\u{2028}\u{8}";

/// What stands for [`EVIL`] in a basic string of TOML.
fn in_toml() -> String {
    let numbers: Vec<String> = EVIL.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    numbers.concat()
}

fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Looks at all that a command has written.
#[track_caller]
fn assert_harmless(what: &str, ran: &Ran) {
    let written = format!("{}{}", ran.stdout, ran.stderr);
    let found: Vec<char> = written.chars().filter(|c| is_obeyed(*c)).collect();
    assert!(found.is_empty(), "{what}: {found:?} in\n{written:?}");
    assert!(!written.contains("\n::"), "{what}: a line is a workflow command in\n{written}");
    assert!(!written.contains("panicked"), "{what}: {written}");
}

/// Every command, with words from outside where it takes any.
fn commands() -> Vec<Vec<String>> {
    let lines = "init|add EVIL|add --name EVIL alpine|add --group EVIL alpine|add --platform EVIL alpine\
        |remove EVIL|lock|lock --check|lock --dry-run|update|update EVIL|update --group EVIL\
        |update --dry-run --markdown|outdated|sync|sync --locked|sync --check|sync --dry-run\
        |sync --frozen|sync --image EVIL|sync --group EVIL|sync --platform EVIL|sync --from-lock\
        |sync --from-lock=EVIL|sync -j EVIL|path app|path EVIL|path app --platform EVIL\
        |disk app --format dm-table|disk EVIL --format vmdk|disk app --format raw -o EVIL/EVIL\
        |list|list --layers|verify|doctor|doctor --online|inspect reference EVIL\
        |inspect manifest EVIL|inspect layer EVIL|inspect tree app|inspect tree EVIL\
        |inspect tree --erofs EVIL|inspect auth EVIL|inspect auth 127.0.0.1:1/a|check\
        |check --in-sync|diff|diff EVIL|diff --markdown EVIL|diff evil.lock|diff --markdown evil.lock\
        |why EVIL|why 00000000|cache-key|cache-key --group EVIL|completions EVIL|man EVIL|schema EVIL\
        |explain EVIL|EVIL|--EVIL|lock --file EVIL|lock --lockfile EVIL|lock --config EVIL\
        |lock -C EVIL|list --color EVIL|lock --wait-timeout EVIL|lock --progress EVIL";
    let word = |word: &str| word.replace("EVIL", EVIL);
    lines.split('|').map(|line| line.split_whitespace().map(word).collect()).collect()
}

/// Runs every command, as text and as JSON.
fn assert_all_harmless(project: &Project) {
    for command in commands() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        for form in [&["-vv"][..], &["--json", "--progress", "json"]] {
            let ran = project.run(&[&words, form].concat());
            assert_harmless(&format!("{words:?} {form:?}"), &ran);
        }
    }
}

#[test]
fn in_sandbox_images_toml() {
    let evil = in_toml();
    for text in [
        format!("\"{evil}\" = 1\n"),
        format!("manifest-version = 1\n[images]\n\"{evil}\" = \"alpine\"\n"),
        format!("[images]\napp = \"{evil}\"\n"),
        format!("[images]\napp = \"oci:./{evil}\"\n"),
        format!("[images]\napp = \"docker-archive:./{evil}:{evil}\"\n"),
        format!("[images.app]\nimage = \"a\"\ngroups = [\"{evil}\"]\nplatforms = [\"{evil}\"]\n"),
        format!("requires-tool = \"{evil}\"\n[groups]\ndefault = [\"{evil}\"]\n"),
        format!("[defaults]\nregistry = \"{evil}\"\nplatforms = [\"linux/{evil}\"]\n"),
        format!("[policy]\nallow-registries = [\"{evil}\"]\n[images]\napp = \"alpine\"\n"),
        format!("[registries.\"{evil}\"]\nmirrors = [\"https://{evil}\"]\n"),
        "# \u{202e}\u{200b} comment\n[images]\n\u{202e}app = \u{2066}1\n".to_owned(),
        "[images]\nbase = 'oci:./b\u{202e}\u{200b}ase'\n".to_owned(),
    ] {
        let project = Project::new(&text);
        for words in [&["lock"][..], &["sync"], &["check"], &["doctor"], &["list"], &["add", "b"]] {
            for form in [&[][..], &["--json"], &["--progress", "json"], &["--color", "never"]] {
                let ran = project.run(&[words, form].concat());
                assert_harmless(&format!("{words:?} {form:?} of {text}"), &ran);
            }
        }
        let mut command = project.command(&["lock"]);
        let ran = Ran::of(command.env("GITHUB_ACTIONS", "true"));
        let commands: Vec<&str> = ran.stderr.lines().filter(|l| l.starts_with("::")).collect();
        assert!(commands.iter().all(|line| !line.chars().any(is_obeyed)), "{commands:?}");
    }
}

#[test]
fn in_a_lock_in_a_configuration_and_in_words() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    project.write_config("network.tries = 1\n");
    assert_all_harmless(&project);
    let evil = in_toml();
    let lock = include_str!("../data/locks/v1.lock");
    let hostile = lock.replace("docker.io/library/", &format!("oci:./{evil}/"));
    fs::write(project.directory().join("evil.lock"), &hostile).expect("a lock is written");
    fs::write(project.lock_path(), &hostile).expect("a lock is written");
    assert_all_harmless(&project);
    project.write_config(&format!("\"{evil}\" = 1\n[registries.\"{evil}\"]\nca = \"{evil}\"\n"));
    for words in [&["lock"][..], &["doctor"], &["sync"], &["doctor", "--json"]] {
        assert_harmless(&format!("{words:?}"), &project.run(words));
    }
}

#[test]
fn in_a_layer() {
    let evil: Vec<String> = EVIL.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    let evil = evil.concat();
    let lines = format!("/{evil} 0644 text\n/link -> {evil}\n/x 0644 xattr:user.{evil}=1 text\n");
    let layer = Layer::new(&lines);
    let (_registry, project) = registry_and_project(&two_platforms(&[&layer]));
    let file = project.directory().join("layer.tar.gz");
    fs::write(&file, &layer.blob).expect("a layer is written");
    for words in [
        &["sync", "-vv"][..],
        &["inspect", "layer", "layer.tar.gz"],
        &["inspect", "tree", "--layers", "layer.tar.gz"],
        &["inspect", "tree", "app"],
    ] {
        assert_harmless(&format!("{words:?}"), &project.run(words).exits(0));
    }
    let tree = project.run(&["inspect", "tree", "app"]).text();
    let tree: Value = serde_json::from_str(&tree).expect("it is JSON");
    let paths = tree["entries"].as_array().expect("entries").iter().map(|entry| &entry["path"]);
    let found = paths.filter_map(Value::as_str).any(|path| path.contains(EVIL));
    assert!(found, "as JSON, a name keeps its value: {tree}");
}

#[test]
fn in_what_a_registry_says() {
    let evil_json = |body: Value| serde_json::to_vec(&body).expect("it is JSON");
    let error = json!({ "errors": [{ "code": EVIL, "message": EVIL, "detail": EVIL }] });
    for status in [400, 401, 403, 404, 429, 500] {
        let (registry, project) = registry_and_project(&two_platforms(&[&Layer::new("/a 0644 b")]));
        project.write_config("network.tries = 1\n");
        let answer = Effect::Answer(status, Vec::new(), evil_json(error.clone()));
        registry.fault(Fault::on("/v2/app", answer));
        for words in [&["lock", "-vv"][..], &["outdated"], &["doctor", "--online"], &["sync"]] {
            assert_harmless(&format!("{status} {words:?}"), &project.run(words));
        }
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let platform = json!({ "os": EVIL, "architecture": EVIL, "variant": EVIL });
    let described = json!({ "mediaType": EVIL, "digest": digest, "size": 2, "platform": platform });
    let plain = json!({ "mediaType": EVIL, "digest": EVIL, "size": 2 });
    let index =
        |entry: &Value| json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] });
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": plain, "layers": [plain] });
    for (media_type, document) in [
        (OCI_INDEX, index(&described)),
        (OCI_INDEX, index(&plain)),
        (OCI_MANIFEST, manifest),
        (OCI_MANIFEST, json!({ "mediaType": EVIL, EVIL: EVIL })),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "artifactType": EVIL, "mediaType": EVIL })),
    ] {
        let registry = TestRegistry::start();
        registry.put_manifest("app", "1", media_type, evil_json(document.clone()));
        let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
        let file = project.directory().join("manifest.json");
        fs::write(&file, evil_json(document)).expect("a document is written");
        for words in [&["lock"][..], &["inspect", "manifest", "manifest.json"]] {
            for form in [&[][..], &["--json"], &["-vv"]] {
                assert_harmless(&format!("{words:?}"), &project.run(&[words, form].concat()));
            }
        }
    }
}

#[test]
fn in_a_directorys_name() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let folder = project.directory().join(EVIL.replace('/', ""));
    fs::create_dir(&folder).expect("a directory is made");
    let text = "[images]\napp = 1\n";
    fs::write(folder.join("sandbox-images.toml"), text).expect("a file is written");
    let name = folder.file_name().unwrap().to_str().unwrap();
    let file = format!("{name}/sandbox-images.toml");
    for words in [
        &["lock", "--file", &file][..],
        &["lock", "--file", &file, "--json"],
        &["-C", name, "lock"],
        &["-C", name, "init"],
        &["--store", name, "doctor"],
        &["--store", name, "verify"],
    ] {
        assert_harmless(&format!("{words:?}"), &project.run(words));
    }
}

#[test]
fn a_table_in_markdown_keeps_its_cells() {
    let (registry, project) = registry_and_project(&two_platforms(&[&Layer::new("/a 0644 one")]));
    let source = format!("{}/app:1", registry.host());
    let hostile = "oci:./a`|<img src=x>\u{202e}|b";
    let lock = project.run(&["lock"]).exits(0);
    assert!(lock.stderr.contains("    Locked 1 image"), "{}", lock.stderr);
    let old = project.lock_text();
    fs::write(project.directory().join("old.lock"), old.replace(&source, hostile)).unwrap();
    let ran = project.run(&["diff", "old.lock", "--markdown"]);
    assert_harmless("diff", &ran);
    for row in ran.stdout.lines().filter(|line| line.starts_with('|')) {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 7, "{row}");
        let outside: String = row.split('`').step_by(2).collect();
        assert!(!outside.contains("<img"), "{row}");
    }
}

/// Runs the program by a shell, in which `$0` is it.
fn by_shell(project: &Project, script: &str) -> Ran {
    let mut command: Command = project.command_under(&["sh", "-c", script], &[]);
    Ran::of(&mut command)
}

#[test]
fn a_reader_that_has_gone_ends_nothing_in_panic() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    for words in ["--help", "explain", "schema images", "completions bash", "nonsense", "lock"] {
        for script in [
            format!("\"$0\" \"$@\" {words} | true"),
            format!("\"$0\" \"$@\" {words} 2>&1 | true"),
            format!("\"$0\" \"$@\" {words} <&-"),
            format!("\"$0\" \"$@\" {words} >&- 2>&-"),
        ] {
            let ran = by_shell(&project, &script);
            assert!(ran.code <= 7 && !ran.stderr.contains("panicked"), "{script}: {}", ran.stderr);
        }
    }
}

#[test]
fn data_that_cannot_be_written_are_a_failure() {
    if !needs(&["sh"]) {
        return;
    }
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    for words in
        ["--help", "explain", "schema images", "completions bash", "man", "inspect reference a"]
    {
        let ran = by_shell(&project, &format!("\"$0\" \"$@\" {words} >/dev/full"));
        assert_eq!(ran.code, 1, "{words}: {}", ran.stderr);
        let text = "error[output]: cannot write to standard output: No space left on device";
        assert!(ran.stderr.starts_with(text), "{words}: {}", ran.stderr);
    }
    let ran = by_shell(&project, "\"$0\" \"$@\" lock --check --json >/dev/full");
    assert_eq!(ran.code, 3, "what went wrong before is more serious: {}", ran.stderr);
}

#[test]
fn colours_are_where_they_are_wanted() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let colours = |words: &[&str], no_color: bool| {
        let mut command = project.command(words);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let ran = output(command.stdin(Stdio::null()));
        [ran.stdout, ran.stderr].concat().contains(&0x1b)
    };
    for words in [&["lock", "--check"][..], &["--help"], &["nonsense"]] {
        assert!(!colours(words, false), "{words:?}: not on a terminal");
        let with = |when: &'static str| [words, &["--color", when]].concat();
        assert!(colours(&with("always"), false), "{words:?}");
        assert!(colours(&with("always"), true), "{words:?}: a flag is stronger");
        assert!(!colours(&with("never"), false), "{words:?}");
    }
}
