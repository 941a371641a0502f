//! A file system in memory, as small as a test wants it.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{bounded, output, run_program};

/// A mounted `tmpfs`, ended when dropped. Mounting needs root.
#[derive(Debug)]
pub(crate) struct Tmpfs {
    place: PathBuf,
}

impl Tmpfs {
    /// Mounts one at `place`, with options such as `size=64k,nr_inodes=20`.
    pub(crate) fn mount(place: &Path, options: &str) -> Self {
        fs::create_dir_all(place).expect("a place to mount at is made");
        let text = place.to_str().expect("paths of tests are UTF-8");
        run_program("mount", ["-t", "tmpfs", "-o", &format!("mode=755,{options}"), "tmpfs", text]);
        Self { place: place.to_owned() }
    }

    /// Changes its options.
    pub(crate) fn remount(&self, options: &str) {
        let place = self.place.to_str().expect("paths of tests are UTF-8");
        run_program("mount", ["-o", &format!("remount,{options}"), place]);
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        output(bounded("umount").arg("--lazy").arg(&self.place));
    }
}
