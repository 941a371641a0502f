//! A disk whose power can be cut: a file system in a file, that is ended without its last writes.
//!
//! The shutdown call of ext4 and XFS (`_IOR('X', 125, u32)` with flag 2, here by `xfs_io`) stops the file
//! system at once and writes out neither data nor log. What had reached the disk is what the next mount
//! finds, after it has replayed the log, as after a power cut. What a real disk may lose of its own cache
//! is not tried.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::{bounded, output, run_program};
use super::project::Project;

/// What a test that cuts the power needs of the machine.
pub(crate) const POWER_NEEDS: [&str; 5] = ["root", "mount", "mkfs.ext4", "mkfs.xfs", "xfs_io"];

/// A file system that knows the shutdown call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    /// As it is named in commands.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// The size of the sparse file that it lies in: XFS takes no less than 300 MiB.
    const fn size_bytes(self) -> u64 {
        match self {
            Self::Ext4 => 64 << 20,
            Self::Xfs => 320 << 20,
        }
    }

    fn make(self, image: &Path) {
        let file = File::create(image).expect("an image is made");
        file.set_len(self.size_bytes()).expect("a sparse file takes any length");
        let image = image.to_str().expect("paths of tests are UTF-8");
        match self {
            Self::Ext4 => run_program("mkfs.ext4", ["-q", "-F", image]),
            Self::Xfs => run_program("mkfs.xfs", ["-q", "-f", image]),
        };
    }
}

/// A mounted file system in a file, ended when dropped.
#[derive(Debug)]
pub(crate) struct PoweredDisk {
    image: PathBuf,
    place: PathBuf,
}

impl PoweredDisk {
    /// Makes one, and mounts it, empty, at `place`.
    pub(crate) fn make(kind: FileSystem, place: &Path) -> Self {
        fs::create_dir_all(place).expect("a place to mount at is made");
        let image = place.with_extension(kind.name());
        kind.make(&image);
        let disk = Self { image, place: place.to_owned() };
        disk.mount();
        disk
    }

    /// Ends the file system at this moment. Whoever still uses it gets errors.
    pub(crate) fn cut_power(&self) {
        run_program("xfs_io", ["-x", "-c", "shutdown", self.text()]);
    }

    /// Mounts what is left. Nobody may use it any more.
    pub(crate) fn return_power(&self) {
        run_program("umount", [self.text()]);
        self.mount();
    }

    /// Makes all that is on it durable.
    pub(crate) fn settle(&self) {
        run_program("sync", ["--file-system", self.text()]);
    }

    /// Removes all that is on it.
    pub(crate) fn empty(&self) {
        for entry in fs::read_dir(&self.place).expect("a disk can be listed") {
            let path = entry.expect("a disk can be listed").path();
            if path.is_dir() {
                fs::remove_dir_all(path).expect("a directory is removed");
            } else {
                fs::remove_file(path).expect("a file is removed");
            }
        }
    }

    fn mount(&self) {
        let image = self.image.to_str().expect("paths of tests are UTF-8");
        run_program("mount", ["-o", "loop", image, self.text()]);
        // What ext4 makes for fsck, and a store does not know.
        let _ = fs::remove_dir(self.place.join("lost+found"));
    }

    fn text(&self) -> &str {
        self.place.to_str().expect("paths of tests are UTF-8")
    }
}

impl Drop for PoweredDisk {
    fn drop(&mut self) {
        output(bounded("umount").arg("--lazy").arg(&self.place));
    }
}

/// What `verify` says of artifacts that are there and are not what their records say, by name and class. That
/// something is missing is not wrong: the next sync makes it.
pub(crate) fn wrong_artifacts(project: &Project) -> BTreeSet<String> {
    let ran = project.run(&["verify", "--json"]);
    assert!([0, 4, 5].contains(&ran.code), "{}: {}", ran.code, ran.stderr);
    if ran.code == 0 {
        return BTreeSet::new();
    }
    let document: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    let lines = document["verified"]["damaged"].as_array().expect("it is a list");
    let wrong: BTreeSet<String> = lines
        .iter()
        .filter(|line| line["class"] != "missing")
        .map(|line| format!("{} {}", line["artifact"], line["class"]))
        .collect();
    assert_eq!(ran.code == 5, !wrong.is_empty(), "{}", ran.stdout);
    wrong
}
