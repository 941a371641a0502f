//! Files outside of any store that the user asked for: the lock, a disk in another form, a layer as a directory.
//!
//! A reader sees the old file or the new one, never a part, also after a crash: a new file beside the old
//! one is filled, made durable, and takes its name and its mode. What a run that was killed left of one goes with the
//! next: see [`unfinished`](crate::store::unfinished).

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{rename, syncfs};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use crate::store::failpoint::{Place, Step, failpoint_outside};
use crate::store::unfinished::{Filling, folder_of, part_directory, part_file};

/// Makes `target` the file that `fill` fills. A symlink keeps leading to it; what is there and is no
/// regular file, such as a device, is left alone and is an error.
pub fn replace(target: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let permissions = match fs::metadata(&target) {
        Ok(metadata) if metadata.is_file() => metadata.permissions(),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        Err(_) => readable_by_all(),
    };
    let (_filling, part) = part(&target, permissions, fill)?;
    before(Step::Rename)?;
    part.persist(&target).map_err(|error| error.error)?;
    sync_names(&target)
}

/// Makes the new file `target` that `fill` fills. What is there already stays, and is an error.
pub fn create(target: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (_filling, part) = part(target, readable_by_all(), fill)?;
    before(Step::Rename)?;
    part.persist_noclobber(target).map_err(|error| error.error)?;
    sync_names(target)
}

/// Makes `target` the directory that `fill` fills, whole or not at all. A directory that is there already is
/// replaced if nothing is in it; else it stays as it is, and that is an error.
pub fn fill_directory<T>(
    target: &Path,
    fill: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let before = |step| failpoint_outside(step, Place::HandedOut);
    let (_filling, part) = part_directory(target)?;
    before(Step::Write)?;
    let filled = part.path().join("filled");
    add_directory(&filled)?;
    let directory = File::open(&filled)?;
    let done = fill(&filled)?;
    // One for all files: there may be thousands, and each by itself would wait for the disk.
    before(Step::Sync)?;
    syncfs(&directory)?;
    before(Step::Rename)?;
    rename(&filled, target)?;
    before(Step::SyncNames)?;
    File::open(folder_of(target))?.sync_all()?;
    Ok(done)
}

/// Adds a directory to one that is being filled, and what is missing above it.
pub fn add_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    add_directory(folder_of(path))?;
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Adds the new file `path` to a directory that is being filled.
pub fn add_file(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut made = File::options().write(true).create_new(true).open(path)?;
    fill(&mut made)?;
    made.set_permissions(readable_by_all())
}

/// Gives the file `from` the further name `target`, durably. `false` where the file system or its rules do not
/// allow it.
pub fn link(from: &Path, target: &Path) -> io::Result<bool> {
    let before = |step| failpoint_outside(step, Place::HandedOut);
    before(Step::Link)?;
    if fs::hard_link(from, target).is_err() {
        return Ok(false);
    }
    before(Step::SyncNames)?;
    File::open(folder_of(target))?.sync_all()?;
    Ok(true)
}

/// Makes the directory `path` and what is missing above it.
pub fn make_directory(path: &Path) -> io::Result<()> {
    failpoint_outside(Step::MakeDirectory, Place::HandedOut)?;
    fs::create_dir_all(path)
}

/// A full and durable file beside `target`.
fn part(
    target: &Path,
    permissions: Permissions,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<(Filling, NamedTempFile)> {
    let (filling, mut part) = part_file(target)?;
    before(Step::Write)?;
    fill(part.as_file_mut())?;
    before(Step::Mode)?;
    part.as_file().set_permissions(permissions)?;
    before(Step::Sync)?;
    part.as_file().sync_all()?;
    Ok((filling, part))
}

/// Passes the failpoint of a step to a new file.
fn before(step: Step) -> Result<(), Errno> {
    failpoint_outside(step, Place::Project)
}

/// Makes the name of `target` durable.
fn sync_names(target: &Path) -> io::Result<()> {
    before(Step::SyncNames)?;
    File::open(folder_of(target))?.sync_all()
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
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), |_| Ok(())).is_err());
        assert!(replace(Path::new("/dev/null"), |_| Ok(())).is_err());
    }
}
