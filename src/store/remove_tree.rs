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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_owner_may_not_look_into_is_opened_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        let closed = [root.join("a/b"), root.join("a"), root.clone(), outside.clone()];
        fs::create_dir_all(&closed[0]).unwrap();
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("a/link")).unwrap();
        for directory in &closed {
            fs::set_permissions(directory, Permissions::from_mode(0o0)).unwrap();
        }
        open_to_owner(&root).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(closed.each_ref().map(|path| mode(path)), [0o700, 0o700, 0o700, 0]);
        remove_tree(&root).unwrap();
        assert!(!root.exists() && outside.exists());
    }
}
