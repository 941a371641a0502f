//! Removing a directory and all in it, whatever modes it was given.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What lets the owner list a directory and remove names from it.
const OPEN_TO_OWNER: u32 = 0o700;

/// Removes `root`, a directory of this user that nobody else may change. Links are removed, not followed.
pub(super) fn remove_tree(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(root) {
        // A layer may hold directories that not even their owner may look into.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_to_owner(root)?;
            fs::remove_dir_all(root)
        }
        done => done,
    }
}

fn open_to_owner(root: &Path) -> io::Result<()> {
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        fs::set_permissions(&directory, Permissions::from_mode(OPEN_TO_OWNER))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}
