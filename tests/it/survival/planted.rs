//! Other kinds of files in place of each directory and file of a store: healed or refused, never followed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::scene::{Scene, succeeds_or_says_why};
use crate::support::needs::needs;
use crate::support::project::Ran;
use crate::support::store_tree::store_tree;

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    Symlink,
    Fifo,
    Directory,
    File,
    /// `/dev/null`: it can be opened, read and written, and is no file.
    Device,
}

impl Plant {
    /// Puts it at `path`. A symbolic link leads to `away`.
    fn at(self, path: &Path, away: &Path) {
        let node = |kind, device| {
            mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device).expect("a node is made");
        };
        match self {
            Self::Symlink => symlink(away, path).expect("a link is made"),
            Self::Fifo => node(FileType::Fifo, 0),
            Self::Directory => {
                fs::create_dir(path).expect("a directory is made");
                fs::write(path.join("kept"), "not ours").expect("a file is written");
            }
            Self::File => fs::write(path, "not ours").expect("a file is written"),
            Self::Device => node(FileType::CharacterDevice, makedev(1, 3)),
        }
    }
}

/// A store and what it holds, of which a part can be moved aside and back.
struct Garden {
    scene: Scene,
    /// Outside of the store: what a link leads to, and where things are moved to.
    away: PathBuf,
}

impl Garden {
    fn new() -> Self {
        let scene = Scene::small();
        let away = scene.project.directory().join("away");
        fs::create_dir(&away).expect("a directory is made");
        Self { scene, away }
    }

    /// Plants in place of `name`, runs, takes what was planted away and runs again.
    fn check(&self, name: &str, plant: Plant) {
        let (store, during) = (self.scene.project.store(), format!("{plant:?} at {name}"));
        self.scene.project.run(&["sync"]).exits(0);
        let (path, moved) = (store.join(name), self.away.join("moved"));
        fs::rename(&path, &moved).unwrap_or_else(|error| panic!("{name}: {error}"));
        plant.at(&path, &moved);
        let outside = store_tree(&self.away);

        for command in [&["sync", "--wait-timeout", "1s"][..], &["verify"], &["path", "app"]] {
            let ran = Ran::of(&mut self.scene.project.command(command));
            assert!(!ran.stderr.contains("panicked"), "{during}: {}", ran.stderr);
            match command[0] {
                "sync" => succeeds_or_says_why(&ran, &during),
                _ => assert!([0, 1, 4, 5].contains(&ran.code), "{during}: {}", ran.stderr),
            }
            assert_eq!(store_tree(&self.away), outside, "{during}: what is outside stays");
        }

        remove(&path);
        // A directory holds what a sync need not make anew, and a guard is made when it is needed.
        if moved.is_dir() || name.starts_with("v1/guards/") {
            fs::rename(&moved, &path).unwrap_or_else(|error| panic!("{during}: {error}"));
        }
        remove(&moved);
        self.scene.heals(&during);
    }
}

/// Removes what has this name, if anything has.
fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).expect("a directory is removed");
    } else if path.symlink_metadata().is_ok() {
        fs::remove_file(path).expect("a file is removed");
    }
}

#[test]
fn nothing_that_is_planted_in_a_store_is_followed_or_believed() {
    if !needs(&["root"]) {
        return;
    }
    let garden = Garden::new();
    let golden: BTreeMap<String, String> = garden.scene.golden.clone();
    let mut planted = 0;
    for (name, facts) in golden.iter().filter(|(name, _)| *name != "CACHEDIR.TAG") {
        let is_directory = facts.contains("directory");
        let other = if is_directory { Plant::File } else { Plant::Directory };
        for plant in [Plant::Symlink, Plant::Fifo, Plant::Device, other] {
            garden.check(name, plant);
            planted += 1;
        }
    }
    assert!(planted > 100, "{planted}");
}

#[test]
fn a_symlink_or_a_device_in_place_of_what_a_run_makes_is_not_written_to() {
    if !needs(&["root"]) {
        return;
    }
    let garden = Garden::new();
    let store = garden.scene.project.store();
    let layer = garden.scene.golden.keys().find(|name| name.contains("records/layer/"));
    let hex = layer.and_then(|name| name.rsplit_once('/')).unwrap().1.trim_end_matches(".json");
    let guard = format!("v1/guards/layer-{hex}");
    for folder in ["v1/guards", "v1/leases", "v1/tmp"] {
        fs::create_dir_all(store.join(folder)).unwrap();
    }
    fs::write(garden.away.join("moved"), "outside").unwrap();
    for name in [guard.as_str(), "v1/guards/store", "v1/leases/run-99999-0.json", "v1/tmp/99999-0"]
    {
        for plant in [Plant::Symlink, Plant::Fifo, Plant::Device, Plant::Directory] {
            let during = format!("{plant:?} at {name}");
            remove(&store.join(name));
            plant.at(&store.join(name), &garden.away.join("moved"));
            let ran = garden.scene.project.run(&["sync"]);
            succeeds_or_says_why(&ran, &during);
            assert_eq!(fs::read(garden.away.join("moved")).unwrap(), b"outside", "{during}");
            remove(&store);
            for folder in ["v1/guards", "v1/leases", "v1/tmp"] {
                fs::create_dir_all(store.join(folder)).unwrap();
            }
        }
    }
}
