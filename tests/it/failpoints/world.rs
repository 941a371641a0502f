//! A scenario that can be begun again and again, and what it comes to when nothing fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::process::geteuid;

use crate::scenario::{Scenario, Stage};
use crate::support::power::wrong_artifacts;
use crate::support::process::run_program;
use crate::support::project::Ran;
use crate::support::store_tree::{assert_golden, store_tree};
use crate::support::tmpfs::Tmpfs;

/// A scenario, all that it begins with, and how it ends when nothing fails.
pub(crate) struct World {
    /// Where the store lies. Ended before the directories around it are.
    memory: Option<Tmpfs>,
    pub(crate) scenario: Scenario,
    pub(crate) stage: Stage,
    /// How often each failpoint is passed.
    pub(crate) passed: BTreeMap<String, u64>,
    golden: BTreeMap<String, String>,
    golden_lock: Option<String>,
    begins_with_lock: Option<String>,
}

impl World {
    /// Sets the scenario up, and runs it once without a trap.
    pub(crate) fn of(scenario: Scenario) -> Self {
        let stage = Stage::new();
        stage.prepare(scenario);
        let begins_with_lock = fs::read_to_string(stage.project.lock_path()).ok();
        let mut world = Self {
            scenario,
            stage,
            passed: BTreeMap::new(),
            golden: BTreeMap::new(),
            golden_lock: None,
            begins_with_lock,
            memory: None,
        };
        fs::create_dir_all(world.stage.project.store()).expect("a directory is made");
        let saved = [world.store_text(), world.saved().display().to_string()];
        run_program("cp", ["--archive", &saved[0], &saved[1]]);
        world.make_place();
        world.begin();
        world.passed = world.count();
        world.finish();
        world.golden = world.tree();
        world.golden_lock = fs::read_to_string(world.stage.project.lock_path()).ok();
        world
    }

    /// Makes the store and the lock what the scenario begins with.
    pub(crate) fn begin(&self) {
        run_program("find", [&self.store_text(), "-mindepth", "1", "-delete"]);
        let saved = format!("{}/.", self.saved().display());
        run_program("cp", ["--archive", &saved, &self.store_text()]);
        if [Scenario::Lock, Scenario::Update].contains(&self.scenario) {
            let left = self.stage.project.directory().join(".sandbox-images.part.left");
            fs::write(left, "left").expect("a file is written");
        }
        let lock = self.stage.project.lock_path();
        match &self.begins_with_lock {
            Some(text) => fs::write(lock, text).expect("a lock is written"),
            None => drop(fs::remove_file(lock)),
        }
    }

    /// Runs the scenario into this trap.
    pub(crate) fn run_into(&self, trap: &str) -> Ran {
        self.run_with("SANDBOX_IMAGES_FAILPOINT", trap)
    }

    /// Demands that the same command, without a trap and a flag, makes of what is there what it would have
    /// made at once, and that nothing else is left.
    #[track_caller]
    pub(crate) fn ends_well(&self, after: &str) {
        let again = self.command();
        let words: Vec<&str> = again.iter().map(String::as_str).collect();
        let ran = self.stage.project.run(&words);
        let is_done = self.scenario.is_done_once() && ran.code == 2;
        assert!(is_done || ran.code == 0, "after {after}: {}", ran.stderr);
        self.finish();
        let wrong = wrong_artifacts(&self.stage.project);
        assert!(wrong.is_empty(), "after {after}: {wrong:#?}");
        self.forget_tenant();
        assert_golden(&self.stage.project.store(), &self.golden, after);
        let lock = fs::read_to_string(self.stage.project.lock_path()).ok();
        assert_eq!(lock, self.golden_lock, "the lock after {after}");
        let beside = fs::read_dir(self.stage.project.directory()).expect("it can be listed");
        let names = beside.map(|entry| entry.expect("it can be listed").file_name());
        let parts: Vec<_> =
            names.filter(|name| name.to_string_lossy().contains(".part.")).collect();
        assert!(parts.is_empty(), "after {after}: {parts:?}");
    }

    /// Makes an empty store, in memory where that is possible: thousands of `fsync` are of no use here.
    fn make_place(&mut self) {
        let store = self.stage.project.store();
        if geteuid().is_root() {
            self.memory = Some(Tmpfs::mount(&store, "size=256m"));
        }
        fs::create_dir_all(store).expect("a directory is made");
    }

    fn count(&self) -> BTreeMap<String, u64> {
        let file = self.stage.project.files().join("passed");
        let path = file.to_str().expect("paths of tests are UTF-8");
        let ran = self.run_with("SANDBOX_IMAGES_FAILPOINTS_PASSED", path);
        assert_eq!(ran.code, 0, "{:?}: {}", self.scenario, ran.stderr);
        let text = fs::read_to_string(file).expect("the program tells what it passed");
        let pair = |line: &str| {
            let (id, count) = line.split_once(' ').expect("an id and a number");
            (id.to_owned(), count.parse().expect("a number"))
        };
        text.lines().map(pair).collect()
    }

    fn run_with(&self, variable: &str, value: &str) -> Ran {
        let words = self.command();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ran::of(self.stage.project.command(&words).env(variable, value))
    }

    fn command(&self) -> Vec<String> {
        self.scenario.command(&self.stage)
    }

    /// What follows in any case, sooner or later.
    fn finish(&self) {
        match self.scenario {
            Scenario::RemoveRoot => drop(self.stage.run(&["sync"])),
            Scenario::Change | Scenario::Collect | Scenario::Withdraw => {
                self.stage.age_unrecorded();
                self.stage.run(&["gc"]);
            }
            _ => {}
        }
    }

    /// The lease of a process that lives is not what this is about.
    fn forget_tenant(&self) {
        let leases = self.stage.project.store().join("v1/leases");
        for entry in fs::read_dir(leases).into_iter().flatten() {
            let path = entry.expect("a directory can be listed").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vm-")) {
                fs::remove_file(path).expect("a lease is removed");
            }
        }
    }

    fn tree(&self) -> BTreeMap<String, String> {
        self.forget_tenant();
        let tree = store_tree(&self.stage.project.store());
        tree.into_iter().filter(|(name, _)| !name.starts_with("v1/quarantine/")).collect()
    }

    fn saved(&self) -> PathBuf {
        self.stage.project.files().join("saved")
    }

    fn store_text(&self) -> String {
        self.stage.project.store().display().to_string()
    }
}
