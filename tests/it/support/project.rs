//! A project in a temporary directory with a store of its own, and the program run in it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sandbox_images::oci::digest::Digest;
use sandbox_images::spec::lockfile::{Lock, LockedImage};

use super::file_tree::sha256_of;
use super::process::{bounded, output};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_sandbox-images");

/// Variables of the caller that the program may see. No other one changes what a test does.
const VARIABLES_KEPT: [&str; 3] = ["PATH", "TMPDIR", "LD_LIBRARY_PATH"];

/// A directory with a `sandbox-images.toml`, and a store beside it.
#[derive(Debug)]
pub(crate) struct Project {
    files: tempfile::TempDir,
}

impl Project {
    /// A project of this `sandbox-images.toml`, with an empty store.
    pub(crate) fn new(manifest_file: &str) -> Self {
        let files = tempfile::tempdir().expect("a temporary directory is made");
        for name in ["project", "home"] {
            fs::create_dir(files.path().join(name)).expect("a directory is made");
        }
        let project = Self { files };
        fs::write(project.directory().join("sandbox-images.toml"), manifest_file)
            .expect("`sandbox-images.toml` is written");
        project
    }

    /// All that the program could write to: the project, its user's home and the store.
    pub(crate) fn files(&self) -> &Path {
        self.files.path()
    }

    /// The directory of `sandbox-images.toml` and the lock.
    pub(crate) fn directory(&self) -> PathBuf {
        self.files.path().join("project")
    }

    /// The store that [`Project::run`] uses.
    pub(crate) fn store(&self) -> PathBuf {
        self.files.path().join("store")
    }

    /// The file names below a directory of the store's current layout and format, such as `layers`.
    pub(crate) fn stored(&self, kind: &str) -> Vec<String> {
        let directory = self.store().join("v1/f1").join(kind).join("sha256");
        let entries = fs::read_dir(directory).into_iter().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("a directory can be read").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The layer images, fsmetas and disks of the store, by kind and name, and what each holds.
    pub(crate) fn artifacts(&self) -> BTreeMap<String, Digest> {
        let mut artifacts = BTreeMap::new();
        for kind in ["layers", "fsmeta", "disks"] {
            let directory = self.store().join("v1/f1").join(kind).join("sha256");
            for name in self.stored(kind) {
                let digest = sha256_of(&directory.join(&name)).expect("an artifact can be read");
                artifacts.insert(format!("{kind}/{name}"), digest);
            }
        }
        artifacts
    }

    /// Where `sandbox-images.toml` is.
    pub(crate) fn file_path(&self) -> PathBuf {
        self.directory().join("sandbox-images.toml")
    }

    /// Where the lock is.
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.directory().join("sandbox-images.lock")
    }

    /// Writes the user's configuration, which every run finds, readable by its owner only.
    pub(crate) fn write_config(&self, text: &str) -> PathBuf {
        let path = self.files.path().join("home/.config/sandbox-images/config.toml");
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory is made");
        fs::write(&path, text).expect("the configuration is written");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("the mode is changed");
        path
    }

    /// The text of the lock.
    pub(crate) fn lock_text(&self) -> String {
        fs::read_to_string(self.lock_path()).expect("the project has a lock")
    }

    /// The lock as a value.
    pub(crate) fn lock(&self) -> Lock {
        Lock::parse(&self.lock_text()).expect("the lock can be read")
    }

    /// Changes the block of the image `app` in the lock, and gives it the sum that fits.
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut LockedImage)) {
        let mut lock = self.lock();
        let mut image = lock.image("app").expect("the image is locked").clone();
        change(&mut image);
        lock.insert("app".parse().expect("it is a name"), image);
        fs::write(self.lock_path(), lock.render()).expect("the lock is written");
    }

    /// The program with these arguments, in this project.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(&[], arguments)
    }

    /// As [`Project::command`], run by another program: a shell, a tracer.
    pub(crate) fn command_under(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let words = [wrapper, &[PROGRAM]].concat();
        self.in_project(bounded(words[0]), &words[1..], arguments)
    }

    /// The program itself and nothing around it, for a test that ends it before its time.
    pub(crate) fn unbounded(&self, arguments: &[&str]) -> Command {
        self.unbounded_under(&[], arguments)
    }

    /// As [`Project::unbounded`], run by another program.
    pub(crate) fn unbounded_under(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let words = [wrapper, &[PROGRAM]].concat();
        self.in_project(Command::new(words[0]), &words[1..], arguments)
    }

    /// Starts the program without a terminal or a bound, for a test that kills it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.unbounded(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// The program with these arguments and no `--store`.
    pub(crate) fn command_without_store(&self, arguments: &[&str]) -> Command {
        let mut command = self.prepared(bounded(PROGRAM));
        command.args(arguments);
        command
    }

    fn in_project(&self, command: Command, words: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.prepared(command);
        command.args(words).arg("--store").arg(self.store()).args(arguments);
        command
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.env_clear();
        for name in VARIABLES_KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.files.path().join("home"))
            .stdin(Stdio::null())
            .current_dir(self.directory());
        command
    }

    /// Runs the program in this project to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }
}

/// How a run of the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; −1 of a run that a signal ended.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Exit code, standard output and standard error as one text, for snapshots.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = output(command);
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Demands an exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n{}{}", self.stdout, self.stderr);
        self
    }

    /// Demands success and answers standard output without its last line feed.
    pub(crate) fn text(self) -> String {
        self.exits(0).stdout.trim_end_matches('\n').to_owned()
    }
}
