//! Files and directories outside of any store that the user asked for: the lock, a disk in another form, a layer as
//! a directory.
//!
//! A reader sees the old one or the new one, never a part, also after a crash: a new one beside the old is
//! filled, made durable, and takes its name. It is locked meanwhile; so what a run that was killed left of one
//! is told by its free lock, and the next run removes it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{rename, syncfs};
use rustix::process::geteuid;
use tempfile::NamedTempFile;

use crate::store::failpoint::{Step, failpoint_outside};
use crate::store::remove_tree::remove_tree;

/// What begins the names of files that are not finished.
const PART_PREFIX: &str = ".sandbox-images.part.";

/// Makes `target` the file that `fill` fills. A symlink keeps leading to it; what is there and is no
/// regular file, such as a device, is left alone and is an error.
pub fn replace(target: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let permissions = match fs::metadata(&target) {
        Ok(metadata) if metadata.is_file() => metadata.permissions(),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        Err(_) => readable_by_all(),
    };
    let part = part(&target, permissions, fill)?;
    failpoint_outside(Step::Rename)?;
    part.persist(&target).map_err(|error| error.error)?;
    sync_names(&target)
}

/// Makes the new file `target` that `fill` fills. What is there already stays, and is an error.
pub fn create(target: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let part = part(target, readable_by_all(), fill)?;
    failpoint_outside(Step::Rename)?;
    part.persist_noclobber(target).map_err(|error| error.error)?;
    sync_names(target)
}

/// Makes `target` the directory that `fill` fills, whole or not at all. A directory that is there already is
/// replaced if nothing is in it; else it stays as it is, and that is an error.
pub fn fill_directory<T>(
    target: &Path,
    fill: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let folder = folder_of(target);
    sweep_parts(target);
    let part = PartDirectory::make(folder)?;
    let filled = part.path.join("filled");
    make_directory(&filled)?;
    let directory = File::open(&filled)?;
    let done = fill(&filled)?;
    // One for all files: there may be thousands, and each by itself would wait for the disk.
    syncfs(&directory)?;
    rename(&filled, target)?;
    File::open(folder)?.sync_all()?;
    Ok(done)
}

/// A directory that holds one that is being filled, and is locked meanwhile. Dropping it removes both.
struct PartDirectory {
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl PartDirectory {
    fn make(folder: &Path) -> io::Result<Self> {
        loop {
            let made = tempfile::Builder::new().prefix(PART_PREFIX).tempdir_in(folder)?;
            // Before it is locked, somebody may take it for one that was left.
            let lock = match File::open(made.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            // Not every file system has locks. Where none are, nobody removes parts either.
            let is_taken =
                matches!(fs4::FileExt::try_lock(&lock), Err(fs4::TryLockError::WouldBlock));
            if !is_taken && made.path().try_exists()? {
                return Ok(Self { path: made.keep(), _lock: lock });
            }
        }
    }
}

impl Drop for PartDirectory {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next run.
        let _ = remove_tree(&self.path);
    }
}

/// Makes a directory below one that is being filled, and what is missing above it.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_directory(folder_of(path))?;
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Makes the new file `path` below a directory that is being filled.
pub fn make_file(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut made = File::options().write(true).create_new(true).open(path)?;
    fill(&mut made)?;
    made.set_permissions(readable_by_all())
}

/// A full and durable file beside `target`.
fn part(
    target: &Path,
    permissions: Permissions,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    sweep_parts(target);
    failpoint_outside(Step::Create)?;
    let mut part = loop {
        let part = tempfile::Builder::new().prefix(PART_PREFIX).tempfile_in(folder_of(target))?;
        // Not every file system has locks. Where none are, nobody removes parts either.
        let _ = fs4::FileExt::try_lock(part.as_file());
        // Before it was locked, somebody may have taken it for one that was left.
        if part.path().try_exists()? {
            break part;
        }
    };
    failpoint_outside(Step::Write)?;
    fill(part.as_file_mut())?;
    failpoint_outside(Step::Mode)?;
    part.as_file().set_permissions(permissions)?;
    failpoint_outside(Step::Sync)?;
    part.as_file().sync_all()?;
    Ok(part)
}

/// Makes the name of `target` durable.
fn sync_names(target: &Path) -> io::Result<()> {
    failpoint_outside(Step::SyncNames)?;
    File::open(folder_of(target))?.sync_all()
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

/// Removes a part that nobody has locked. Of directories only those of this user, which nobody else may change.
#[expect(clippy::disallowed_methods, reason = "it lies in no store")]
fn remove_left(part: &Path) -> io::Result<()> {
    let file = File::open(part)?;
    if fs4::FileExt::try_lock(&file).is_err() {
        return Ok(());
    }
    let metadata = file.metadata()?;
    if !metadata.is_dir() {
        failpoint_outside(Step::Unlink)?;
        return fs::remove_file(part);
    }
    let is_own = metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if is_own { remove_tree(part) } else { Ok(()) }
}

/// The directory that `file` lies in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What is written here is meant for others too: a lock is committed, a disk is attached.
fn readable_by_all() -> Permissions {
    Permissions::from_mode(0o644)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_fails_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("disk");
        replace(&target, |file| file.write_all(b"old")).unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();

        let failed = replace(&target, |file| {
            file.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["disk"]);

        replace(&target, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_killed_run_left_goes_and_what_another_fills_stays() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str| {
            let path = folder.path().join(format!("{PART_PREFIX}{name}"));
            File::options().create_new(true).write(true).open(path).unwrap()
        };
        drop(part("left"));
        let others = part("others");
        fs4::FileExt::try_lock(&others).unwrap();
        replace(&folder.path().join("a"), |file| file.write_all(b"a")).unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [format!("{PART_PREFIX}others"), "a".to_owned()]);
    }

    #[test]
    fn what_a_killed_run_left_of_a_directory_goes_and_what_another_fills_stays() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str| {
            let path = folder.path().join(format!("{PART_PREFIX}{name}"));
            fs::create_dir_all(path.join("filled/locked")).unwrap();
            fs::set_permissions(path.join("filled/locked"), Permissions::from_mode(0)).unwrap();
            File::open(path).unwrap()
        };
        drop(part("left"));
        let others = part("others");
        fs4::FileExt::try_lock(&others).unwrap();
        fill_directory(&folder.path().join("a"), |filled| {
            make_file(&filled.join("file"), |file| file.write_all(b"a"))
        })
        .unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [format!("{PART_PREFIX}others"), "a".to_owned()]);
        let failed = fill_directory(&folder.path().join("a"), |_| Ok(())).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(names(folder.path()).len(), 2, "what fails leaves nothing");
    }

    #[test]
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), |_| Ok(())).is_err());
        assert!(replace(Path::new("/dev/null"), |_| Ok(())).is_err());
    }
}
