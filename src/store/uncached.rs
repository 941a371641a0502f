//! Writes that pass the page cache by, `O_DIRECT` of `open(2)`.
//!
//! Nobody reads the data of an image soon after it was written, so a copy in memory costs the copying, pushes out
//! what others have there, and must be written back at once all the same. Where a file system cannot do
//! without, or asks for another alignment, bytes go the usual way.

use std::fs::File;

use crate::disk::erofs::format::BLOCK_BYTES;
use crate::store::directory::Directory;
use crate::store::error::Error;

/// Bytes of a write below which the way through the page cache is no slower.
const WRITE_BYTES_MIN: usize = 64 << 10;

/// A second way to an open file.
#[derive(Debug, Default)]
pub(super) enum Uncached {
    /// Not opened yet.
    #[default]
    Untried,
    Open(File),
    /// It cannot be opened or written like this.
    Refused,
}

impl Uncached {
    /// Writes `bytes` at `offset_bytes` of the file `name`. `false` if they must go the usual way, which
    /// overwrites what part of them was written.
    pub(super) fn write_at(
        &mut self,
        directory: &Directory,
        name: &str,
        bytes: &[u8],
        offset_bytes: u64,
    ) -> Result<bool, Error> {
        if bytes.len() < WRITE_BYTES_MIN || !is_aligned(bytes, offset_bytes) {
            return Ok(false);
        }
        if matches!(self, Self::Untried) {
            *self = directory.open_uncached(name).map_or(Self::Refused, Self::Open);
        }
        let Self::Open(file) = self else {
            return Ok(false);
        };
        let is_written = directory.write_uncached_at(name, file, bytes, offset_bytes)?;
        if !is_written {
            *self = Self::Refused;
        }
        Ok(is_written)
    }
}

/// Whether memory, place and length are multiples of the block that file systems ask for.
fn is_aligned(bytes: &[u8], offset_bytes: u64) -> bool {
    bytes.as_ptr().addr().is_multiple_of(BLOCK_BYTES)
        && bytes.len().is_multiple_of(BLOCK_BYTES)
        && offset_bytes.is_multiple_of(BLOCK_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn what_is_aligned_is_written_and_the_rest_goes_the_usual_way() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap().unwrap();
        let file = directory.create("file").unwrap();
        let memory = vec![7; 2 * WRITE_BYTES_MIN];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        let aligned = &memory[start..][..WRITE_BYTES_MIN];

        let mut uncached = Uncached::default();
        let unaligned = &memory[start + 1..][..WRITE_BYTES_MIN];
        for (bytes, offset) in [(&aligned[..BLOCK_BYTES], 0), (unaligned, 0), (aligned, 1)] {
            assert!(!uncached.write_at(&directory, "file", bytes, offset).unwrap());
            assert!(matches!(uncached, Uncached::Untried));
        }
        let is_written =
            uncached.write_at(&directory, "file", aligned, BLOCK_BYTES as u64).unwrap();
        let mut read = vec![0; BLOCK_BYTES + WRITE_BYTES_MIN];
        let there = file.read_exact_at(&mut read, 0).is_ok();
        // Some file systems have no such writes.
        assert_eq!((is_written, matches!(uncached, Uncached::Open(_))), (there, there));
        assert!(!there || read[BLOCK_BYTES..] == *aligned);
    }

    #[test]
    fn a_file_that_cannot_be_opened_so_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap().unwrap();
        let memory = vec![7; 2 * WRITE_BYTES_MIN];
        let aligned = &memory[memory.as_ptr().align_offset(BLOCK_BYTES)..][..WRITE_BYTES_MIN];
        let mut uncached = Uncached::default();
        assert!(!uncached.write_at(&directory, "missing", aligned, 0).unwrap());
        assert!(matches!(uncached, Uncached::Refused));
    }

    #[test]
    fn what_the_kernel_finds_no_fit_for_goes_the_usual_way_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap().unwrap();
        let memory = vec![7; 2 * WRITE_BYTES_MIN];
        let aligned = &memory[memory.as_ptr().align_offset(BLOCK_BYTES)..][..WRITE_BYTES_MIN];
        // It can be opened, and takes numbers only: EINVAL.
        let fussy = File::options().write(true).open("/proc/self/oom_score_adj").unwrap();
        let mut uncached = Uncached::Open(fussy);
        assert!(!uncached.write_at(&directory, "file", aligned, 0).unwrap());
        assert!(matches!(uncached, Uncached::Refused));
    }
}
