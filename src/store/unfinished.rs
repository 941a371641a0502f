//! Parts: what lies outside of any store beside what it is to be, as long as it is not finished.
//!
//! A part is locked while it is filled. So what a run that was killed left is told by its free lock, and the next
//! run beside it removes it. A process that ends while its threads still fill parts leaves none: it gives them
//! up by [`give_up`] before.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fs4::TryLockError;
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempDir};

use crate::store::failpoint::{Place, Step, failpoint_outside};
use crate::store::remove_tree::remove_tree;

/// What begins the names of parts.
pub(super) const PART_PREFIX: &str = ".sandbox-images.part.";

/// The parts that this process fills.
struct Own {
    parts: BTreeSet<PathBuf>,
    /// Whether the process is about to end, and begins no more.
    is_over: bool,
}

static OWN: Mutex<Own> = Mutex::new(Own { parts: BTreeSet::new(), is_over: false });

fn own() -> MutexGuard<'static, Own> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part that this process fills, until this is dropped; to be dropped after the part.
#[derive(Debug)]
pub(super) struct Filling {
    part: PathBuf,
    // Held for its lock, where the part is a directory.
    _directory: Option<File>,
}

impl Drop for Filling {
    fn drop(&mut self) {
        own().parts.remove(&self.part);
    }
}

/// Begins a file beside `target`, after what killed runs left there was removed.
pub(super) fn part_file(target: &Path) -> io::Result<(Filling, NamedTempFile)> {
    sweep_parts(target);
    failpoint_outside(Step::Create, Place::Project)?;
    loop {
        let part = tempfile::Builder::new().prefix(PART_PREFIX).tempfile_in(folder_of(target))?;
        if is_ours(part.as_file(), part.path())? {
            let filling = fill(part.path(), None)?;
            return Ok((filling, part));
        }
    }
}

/// As [`part_file`], but a directory.
pub(super) fn part_directory(target: &Path) -> io::Result<(Filling, TempDir)> {
    sweep_parts(target);
    failpoint_outside(Step::Create, Place::HandedOut)?;
    loop {
        let part = tempfile::Builder::new().prefix(PART_PREFIX).tempdir_in(folder_of(target))?;
        match File::open(part.path()) {
            Ok(directory) if is_ours(&directory, part.path())? => {
                let filling = fill(part.path(), Some(directory))?;
                return Ok((filling, part));
            }
            // Somebody has taken it for one that was left, before it was locked.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// Locks a new part. Before that, somebody may have taken it for one that was left.
fn is_ours(part: &File, path: &Path) -> io::Result<bool> {
    match fs4::FileExt::try_lock(part) {
        Err(TryLockError::WouldBlock) => Ok(false),
        // Not every file system has locks. Where none are, nobody removes parts either.
        Ok(()) | Err(TryLockError::Error(_)) => path.try_exists(),
    }
}

fn fill(part: &Path, directory: Option<File>) -> io::Result<Filling> {
    let mut own = own();
    if own.is_over {
        return Err(Errno::CANCELED.into());
    }
    own.parts.insert(part.to_owned());
    Ok(Filling { part: part.to_owned(), _directory: directory })
}

/// Removes what this process has begun and not finished, and keeps it from beginning more: it is about to end,
/// and its threads are not waited for. What cannot be removed is removed by the next run beside it.
pub fn give_up() {
    let mut own = own();
    own.is_over = true;
    for part in std::mem::take(&mut own.parts) {
        let _ = remove(&part);
    }
}

/// Removes what killed runs left beside `target`. What cannot be removed stays: it harms nobody.
pub fn sweep_parts(target: &Path) {
    let entries = fs::read_dir(folder_of(target)).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let is_part = entry.file_name().to_string_lossy().starts_with(PART_PREFIX);
        if is_part && entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir()) {
            let _ = remove_left(&entry.path());
        }
    }
}

/// Removes a part that nobody has locked.
fn remove_left(part: &Path) -> io::Result<()> {
    let file = File::open(part)?;
    if fs4::FileExt::try_lock(&file).is_ok() {
        remove(part)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it lies in no store")]
fn remove(part: &Path) -> io::Result<()> {
    if fs::symlink_metadata(part)?.is_dir() {
        failpoint_outside(Step::UnlinkDirectory, Place::HandedOut)?;
        return remove_tree(part);
    }
    failpoint_outside(Step::Unlink, Place::Project)?;
    fs::remove_file(part)
}

/// The directory that `file` lies in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_run_left_goes_and_what_another_fills_stays() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str| folder.path().join(format!("{PART_PREFIX}{name}"));
        let make =
            |name: &str| File::options().create_new(true).write(true).open(part(name)).unwrap();
        let make_directory = |name: &str| {
            fs::create_dir_all(part(name).join("filled/etc")).unwrap();
            File::open(part(name)).unwrap()
        };
        drop((make("left"), make_directory("left directory")));
        let others = [make("others"), make_directory("others directory")];
        for other in &others {
            fs4::FileExt::try_lock(other).unwrap();
        }
        sweep_parts(&folder.path().join("a"));
        let stay = ["others", "others directory"].map(|name| format!("{PART_PREFIX}{name}"));
        assert_eq!(names(folder.path()), stay);
    }

    #[test]
    fn who_sweeps_never_makes_another_fail_who_begins() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let (filling, part) = part_directory(&target).unwrap();
                        fs::create_dir(part.path().join("filled")).unwrap();
                        drop((part, filling));
                        drop(part_file(&target).unwrap());
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), [] as [String; 0]);
    }

    #[test]
    fn what_is_finished_or_dropped_is_no_part_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let (filling, part) = part_file(&target).unwrap();
        let (filling_too, directory) = part_directory(&target).unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        let paths = [part.path().to_owned(), directory.path().to_owned()];
        assert!(paths.iter().all(|path| own().parts.contains(path)));
        drop((part, filling, directory, filling_too));
        assert!(!paths.iter().any(|path| own().parts.contains(path)));
        assert_eq!(names(folder.path()), [] as [String; 0]);
    }
}
