//! How much room there is where a store lies, or will lie.

use std::path::Path;

use rustix::fs::statvfs;
use rustix::io::Errno;

use crate::store::error::Error;

/// Bytes that this user may still write to the file system of `path`, or of the nearest directory above it
/// that exists. `None` where the file system does not count its blocks, as some network ones do not.
pub(super) fn free_bytes(path: &Path) -> Result<Option<u64>, Error> {
    let mut wrong = Errno::NOENT;
    for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        match statvfs(place) {
            Ok(space) if space.f_blocks == 0 => return Ok(None),
            Ok(space) => return Ok(Some(space.f_bavail.saturating_mul(space.f_frsize))),
            Err(error @ (Errno::NOENT | Errno::NOTDIR)) => wrong = error,
            Err(error) => return Err(Error::io("look at the file system of", place, error)),
        }
    }
    Err(Error::io("look at the file system of", path, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_exist_has_the_room_of_what_is_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let free = |path: &Path| free_bytes(path).unwrap();
        let store = folder.path().join("not/yet");
        assert_eq!(free(&store).is_some(), free(folder.path()).is_some());
        // A file system of the kernel's that has no blocks.
        assert_eq!(free(Path::new("/proc/self")), None);
    }
}
