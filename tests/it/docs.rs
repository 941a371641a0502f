//! What README, the pages of `docs` and the READMEs of the examples show is run, and what they show as output
//! comes out.
//!
//! The blocks of a page are run one after the other in one project (see `stage`), as a reader would who types
//! them: ` ```console ` line by line with what is printed, ` ```sh ` as a script, the commands of ` ```yaml ` as
//! a CI runs them. ` ```toml ` and ` ```json ` are read as the files that they are, ` ```rust ` stands in an example. A
//! block that is not run is listed in [`NOT_RUN`] with its reason; a block of any other kind fails the test.

mod page;

mod transcript;

mod stage;

mod codes;

mod examples;

use std::fs;
use std::path::Path;

use sandbox_images::spec::config::Config;
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::spec::manifest_file::ImageSet;
use serde_json::Value;

use self::page::{Block, Page};
use self::stage::Stage;
use crate::support::needs::needs;

/// Blocks that are not run: the page, how the block begins, why.
const NOT_RUN: &[(&str, &str, &str)] = &[
    (
        "README.md",
        "$ cargo run --release",
        "they build this very package; `examples` runs the first",
    ),
    ("docs/benchmarks.md", "$ cargo bench", "minutes, and figures that no test can judge"),
    ("docs/benchmarks.md", "$ benches/compare", "it needs other programs and hours"),
    ("docs/guide.md", "qemu-system-x86_64", "it boots a machine; `disk` boots one where it may"),
    (
        "docs/guide.md",
        "sandbox-images disk alpine --format dm-table |",
        "it needs a device mapper; `disk` has the table",
    ),
    (
        "docs/lockfile.md",
        "sandbox-images.lock linguist-generated",
        "a line of `.gitattributes`; `init` writes it",
    ),
    ("docs/monorepo.md", "apps/api/sandbox-images.toml", "a picture of files"),
    ("docs/store.md", "CACHEDIR.TAG", "a picture of directories"),
];

/// Every page whose blocks have a home.
fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = ["README.md", "examples/README.md"].map(str::to_owned).to_vec();
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        names.push(format!("docs/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let name = format!("examples/{}/README.md", entry.unwrap().file_name().to_string_lossy());
        names.extend(root.join(&name).is_file().then_some(name));
    }
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
    names.sort();
    names.into_iter().map(|name| Page::read(root, name)).collect()
}

fn is_run(page: &Page, block: &Block) -> bool {
    !NOT_RUN.iter().any(|(name, start, _)| *name == page.name && block.text.starts_with(start))
}

#[test]
fn what_is_not_run_is_on_its_page() {
    let pages = pages();
    for (name, start, _) in NOT_RUN {
        let page = pages.iter().find(|page| page.name == *name);
        let found = page.is_some_and(|page| page.blocks.iter().any(|b| b.text.starts_with(start)));
        assert!(found, "`{name}` has no block that begins with `{start}`");
    }
}

#[test]
fn every_command_does_what_its_page_shows() {
    if !needs(&["bash", "git"]) {
        return;
    }
    let mut differences = Vec::new();
    for page in pages() {
        let stage = Stage::of(&page);
        for block in page.blocks.iter().filter(|block| is_run(&page, block)) {
            match &block.language[..] {
                "console" => differences.extend(transcript::differences(&page, block, &stage)),
                "sh" => stage.run_script(&page, block),
                "yaml" => yaml_commands(&page, block).iter().for_each(|command| {
                    stage.run_as_ci(&page, block, command);
                }),
                "toml" | "json" | "json5" => parse(&page, block),
                "rust" => is_in_an_example(&page, block),
                other => panic!("{}: nobody knows what to do with `{other}`", page.place(block)),
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Demands that a block stands in one of the programs in `examples`, which are built and run.
fn is_in_an_example(page: &Page, block: &Block) {
    let lines = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut programs =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let shown = lines(&block.text);
    let is_there = programs.any(|path| lines(&fs::read_to_string(path).unwrap()).contains(&shown));
    assert!(is_there, "{}: no example has these lines", page.place(block));
}

/// Reads a block as the file that it is an example of.
fn parse(page: &Page, block: &Block) {
    let (text, place) = (&block.text[..], page.place(block));
    if block.language != "toml" {
        serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    } else if text.contains("[image.") {
        Lock::parse(text).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    } else if page.name == "docs/config.md" || text.starts_with("# config.toml\n") {
        Config::parse(text).unwrap_or_else(|errors| panic!("{place}: {errors:?}"));
    } else {
        ImageSet::parse(text).unwrap_or_else(|errors| panic!("{place}: {errors:?}"));
    }
}

/// The commands of a workflow: what stands behind `run:`, and the lines of `script:`.
///
/// No reader of YAML: the few forms that the pages use. Anything else fails the test.
fn yaml_commands(page: &Page, block: &Block) -> Vec<String> {
    let mut commands = Vec::new();
    let mut script_indent = None;
    for line in block.text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let is_plain = indent % 2 == 0 && !line.contains('\t');
        assert!(is_plain, "{}: `{line}` is indented by two columns", page.place(block));
        if script_indent.is_some_and(|script| indent <= script && !trimmed.starts_with("- ")) {
            script_indent = None;
        }
        let item = trimmed.strip_prefix("- ").unwrap_or(trimmed);
        if trimmed == "script:" {
            script_indent = Some(indent);
        } else if script_indent.is_some() {
            commands.push(item.to_owned());
        } else if let Some(command) = item.strip_prefix("run: ") {
            assert_ne!(command, "|", "{}: one command a `run:`", page.place(block));
            commands.push(command.to_owned());
        } else {
            let is_known = item.starts_with('#') || item.contains(": ") || item.ends_with(':');
            let is_item = trimmed.starts_with("- ");
            assert!(is_known || is_item, "{}: `{line}` is no YAML of ours", page.place(block));
        }
    }
    assert!(!commands.is_empty(), "{}: a workflow without a command", page.place(block));
    commands
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in pages() {
        let folder = root.join(&page.name).parent().unwrap().to_owned();
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let (target, heading) = link.0.split_once('#').unwrap_or((link.0, ""));
            if target.starts_with("http") {
                continue;
            }
            let path = if target.is_empty() { root.join(&page.name) } else { folder.join(target) };
            assert!(path.exists(), "{}: nothing is at `{target}`", page.name);
            let headings = fs::read_to_string(&path).unwrap_or_default();
            let has = |line: &str| line.starts_with('#') && page::anchor(line) == heading;
            let is_there = heading.is_empty() || headings.lines().any(has);
            assert!(is_there, "{}: `{target}` has no heading `{heading}`", page.name);
        }
    }
}

#[test]
fn the_pattern_for_renovate_finds_images_and_nothing_else() {
    let page = pages().into_iter().find(|page| page.name == "docs/renovate.md").unwrap();
    let config = page.blocks.iter().find(|block| block.language == "json").unwrap();
    let config: Value = serde_json::from_str(&config.text).unwrap();
    let manager = &config["customManagers"][0];
    let file =
        regex::Regex::new(manager["managerFilePatterns"][0].as_str().unwrap().trim_matches('/'));
    assert!(file.unwrap().is_match("apps/api/sandbox-images.toml"));
    let pattern = regex::Regex::new(manager["matchStrings"][0].as_str().unwrap()).unwrap();
    let found = |text: &str| -> Vec<[String; 3]> {
        let group = |found: &regex::Captures<'_>, name| {
            found.name(name).map_or(String::new(), |part| part.as_str().to_owned())
        };
        let parts = ["depName", "currentValue", "currentDigest"];
        pattern.captures_iter(text).map(|found| parts.map(|name| group(&found, name))).collect()
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    let text = format!(
        "[images]\nalpine = \"docker.io/library/alpine:3.20\" # short\nbase = \"oci:./images/base:v1\"\n\
         [images.tool]\nimage     = \"ghcr.io/acme/tool:1.4@{digest}\"\n[registries.\"docker.io\"]\n\
         mirrors = [\"https://mirror.corp.example\"]\n"
    );
    assert_eq!(
        found(&text),
        [
            ["docker.io/library/alpine", "3.20", ""].map(str::to_owned),
            ["ghcr.io/acme/tool", "1.4", &digest].map(str::to_owned),
        ]
    );
}
