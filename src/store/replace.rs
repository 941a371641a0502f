//! Files outside of any store that the user asked for: the lock, a disk in another form.
//!
//! A reader sees the old file or the new one, never a part, also after a crash: a new file beside the old
//! one is filled, made durable, and takes its name and its mode.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

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
    part(&target, permissions, fill)?.persist(&target).map_err(|error| error.error)?;
    File::open(folder_of(&target))?.sync_all()
}

/// Makes the new file `target` that `fill` fills. What is there already stays, and is an error.
pub fn create(target: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let part = part(target, readable_by_all(), fill)?;
    part.persist_noclobber(target).map_err(|error| error.error)?;
    File::open(folder_of(target))?.sync_all()
}

/// Makes the directory `target` hold what `fill` puts into it, whole or not at all. It may be there already if
/// nothing is in it.
pub fn fill_directory(target: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(target);
    let part = tempfile::Builder::new().prefix(PART_PREFIX).tempdir_in(folder)?;
    fill(part.path())?;
    fs::set_permissions(part.path(), Permissions::from_mode(0o755))?;
    File::open(part.path())?.sync_all()?;
    // The kernel replaces an empty directory, and refuses any other.
    rustix::fs::rename(part.path(), target)?;
    // It has another name now, so there is nothing to remove.
    let _ = part.keep();
    File::open(folder)?.sync_all()
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

/// A full and durable file beside `target`.
fn part(
    target: &Path,
    permissions: Permissions,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mut part = tempfile::Builder::new().prefix(PART_PREFIX).tempfile_in(folder_of(target))?;
    fill(part.as_file_mut())?;
    part.as_file().set_permissions(permissions)?;
    part.as_file().sync_all()?;
    Ok(part)
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
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), |_| Ok(())).is_err());
        assert!(replace(Path::new("/dev/null"), |_| Ok(())).is_err());
    }
}
