//! The project in which the commands of a page are run, and the registries that it meets there.
//!
//! One registry on 127.0.0.1 stands for all public ones: `config.toml` names it as their only mirror. It has
//! small images under the names that the pages use. The home directory is shown as `/home/me`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::page::{Block, Page};
use crate::support::fixture::{serve, two_platforms};
use crate::support::image::{Compression, Image, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::process::bounded;
use crate::support::project::Ran;
use crate::support::registry::TestRegistry;

/// What pages and examples call images, and the layer of each. The locks of the examples pin these bytes.
const IMAGES: &[(&str, &str)] = &[
    ("library/alpine:3.20", "/etc/os-release 0644 alpine"),
    ("library/python:3.12-slim", "/usr/bin/python 0755 3.12"),
    ("library/python:3.13-slim", "/usr/bin/python 0755 3.13"),
    ("acme/tool:1.4", "/usr/bin/tool 0755 1.4"),
    ("acme/tool:1.5", "/usr/bin/tool 0755 1.5"),
    ("base:1", BASE),
    ("python:3.12", "/usr/bin/python 0755 3.12"),
    ("queue:5", "/usr/bin/queue 0755 5"),
];

/// The layer of an image that is in a directory.
const BASE: &str = "/etc/motd 0644 base";

/// The image that exists for one platform only.
const DEBUGGER: &str = "/usr/bin/debugger 0755 2";

/// Registries that the pages name.
const REGISTRIES: [&str; 3] = ["docker.io", "ghcr.io", "registry.example"];

/// What `docker login ghcr.io` has stored.
const LOGIN: &str = r#"{"auths":{"ghcr.io":{"auth":"YW5uOnNlY3JldA=="}}}"#;

/// `sandbox-images.toml` of most pages.
const IMAGE_SET: &str = r#"manifest-version = 1

[images]
alpine = "docker.io/library/alpine:3.20"
python = "docker.io/library/python:3.12-slim"
"#;

/// What a page finds when its first command is run.
#[derive(Debug)]
pub(super) struct Stage {
    files: tempfile::TempDir,
    registry: TestRegistry,
}

impl Stage {
    /// The project that `page` speaks of.
    pub(super) fn of(page: &Page) -> Self {
        let stage = Self::empty();
        if let Some(example) = page.name.strip_suffix("/README.md") {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(example), &stage.project());
        } else if page.name != "README.md" {
            stage.write_project();
        }
        let identity = "git config user.name me && git config user.email me@example";
        stage.run(&page.name, &format!("git init --quiet . && {identity}"));
        stage
    }

    /// Nothing but the program, the registry and how it is reached.
    pub(super) fn empty() -> Self {
        let registry = TestRegistry::start();
        for (name, lines) in IMAGES {
            let (repository, tag) = name.rsplit_once(':').unwrap();
            serve(&registry, repository, tag, &two_platforms(&[&layer(lines)]));
        }
        let debugger = Image::multi(&[("linux/amd64", vec![&layer(DEBUGGER)])]);
        serve(&registry, "debugger", "2", &debugger);
        let stage = Self { files: tempfile::tempdir().unwrap(), registry };
        stage.prepare();
        stage
    }

    fn prepare(&self) {
        let mirror = self.registry.url();
        let tables = REGISTRIES.map(|registry| {
            format!("[registries.\"{registry}\"]\nmirrors = [\"{mirror}\"]\nfallback = false\n")
        });
        let config = self.home().join(".config/sandbox-images");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("config.toml"), tables.concat()).unwrap();
        let programs = self.files.path().join("bin");
        fs::create_dir(&programs).unwrap();
        let program = env!("CARGO_BIN_EXE_sandbox-images");
        std::os::unix::fs::symlink(program, programs.join("sandbox-images")).unwrap();
        fs::create_dir(self.project()).unwrap();
        let docker = self.home().join(".docker");
        fs::create_dir(&docker).unwrap();
        fs::write(docker.join("config.json"), LOGIN).unwrap();
    }

    /// The files that the pages take for granted.
    fn write_project(&self) {
        write_base(&self.project().join("images/base"));
        fs::write(self.project().join("sandbox-images.toml"), IMAGE_SET).unwrap();
        for (name, source) in
            [("api", "ghcr.io/acme/tool:1.4"), ("worker", "docker.io/library/alpine:3.20")]
        {
            let folder = self.project().join("apps").join(name);
            fs::create_dir_all(&folder).unwrap();
            let text = format!("manifest-version = 1\n\n[images]\n{name} = \"{source}\"\n");
            fs::write(folder.join("sandbox-images.toml"), text).unwrap();
        }
    }

    pub(super) fn project(&self) -> PathBuf {
        self.files.path().join("project")
    }

    fn home(&self) -> PathBuf {
        self.files.path().join("home")
    }

    /// A shell in the project, with nothing of this process's environment but its programs.
    fn shell(&self) -> Command {
        let mut shell = bounded("bash");
        let path = std::env::var("PATH").unwrap();
        shell
            .env_clear()
            .env("PATH", format!("{}:{path}", self.files.path().join("bin").display()))
            .env("HOME", self.home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.project());
        shell
    }

    /// Runs one command, demands success, and answers all that it prints, with `/home/me` as the home.
    pub(super) fn run(&self, place: &str, command: &str) -> String {
        let script = format!("exec 2>&1\n{command}");
        let ran = Ran::of(self.shell().args(["-c", &script]));
        assert_eq!(ran.code, 0, "{place}: `{command}`\n{}", ran.stdout);
        let home = self.home().display().to_string();
        let project = self.project().display().to_string();
        let text = ran.stdout.replace(&home, "/home/me").replace(&project, "/home/me/project");
        // Who follows a page has no registry of ours that stands for all others.
        let lines = text.lines().filter(|line| !line.contains(" as a mirror of "));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// Runs a block as a script that ends at the first failure.
    pub(super) fn run_script(&self, page: &Page, block: &Block) {
        self.run(&page.place(block), &format!("set -euo pipefail\n{}", block.text));
    }

    /// Runs a command of a workflow as GitHub and GitLab do.
    pub(super) fn run_as_ci(&self, page: &Page, block: &Block, command: &str) {
        let output = self.files.path().join("github-output");
        let variables = format!(
            "export CI=true GITHUB_OUTPUT={} CI_PROJECT_DIR=$PWD\nset -eo pipefail\n",
            output.display()
        );
        self.run(&page.place(block), &(variables + command));
    }
}

/// A layer whose bytes no compressor chose, the same on every machine.
fn layer(lines: &str) -> Layer {
    Layer::packed(&layer_tar(lines), Compression::Plain)
}

/// Writes the layout that the pages call `images/base:v1`.
pub(super) fn write_base(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    two_platforms(&[&layer(BASE)]).write_layout(folder, "v1").unwrap();
}

/// Copies a directory with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
