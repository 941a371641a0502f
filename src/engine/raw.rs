//! Parts of a disk, copied one behind the other into one file.
//!
//! Only data are copied, holes stay holes. The copy is left to the kernel: `copy_file_range(2)` shares
//! blocks where the file system can, as XFS and btrfs do, so that a raw disk of a store on the same file
//! system costs no space; elsewhere it copies without a way through this process. Between file systems
//! that do not know each other, bytes go through memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{SeekFrom, copy_file_range, seek};
use rustix::io::Errno;

use crate::disk::file::ReadAt;

/// Bytes of one call: a process that is told to end does so between two of them.
const CALL_BYTES: u64 = 64 << 20;

/// Bytes that go through memory at once.
const BUFFER_BYTES: u64 = 1 << 20;

/// Copies the data among the first `size_bytes` of `from` to where `start` is in `to`, which is that long
/// already and has nothing there.
pub(crate) fn copy_data<F: ReadAt + AsFd>(
    from: &F,
    size_bytes: u64,
    to: &File,
    start: u64,
) -> io::Result<()> {
    let mut position = 0;
    while let Some(data) = next_data(from, position, size_bytes)? {
        position = data.end;
        copy(from, data, to, start)?;
    }
    Ok(())
}

/// The first range of data at or behind `position`.
fn next_data(from: &impl AsFd, position: u64, end: u64) -> io::Result<Option<Range<u64>>> {
    let start = match seek(from, SeekFrom::Data(position)) {
        Ok(start) if start < end => start,
        Ok(_) | Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(start..seek(from, SeekFrom::Hole(start))?.min(end)))
}

/// Copies `data`, shifted by `start`.
fn copy<F: ReadAt + AsFd>(from: &F, data: Range<u64>, to: &File, start: u64) -> io::Result<()> {
    let mut position = data.start;
    while position < data.end {
        let count = usize::try_from((data.end - position).min(CALL_BYTES));
        let (mut read_at, mut write_at) = (position, start + position);
        let copied = copy_file_range(
            from,
            Some(&mut read_at),
            to,
            Some(&mut write_at),
            count.map_err(io::Error::other)?,
        );
        match copied {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => position += count as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                return copy_through_memory(from, position..data.end, to, start);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_through_memory(
    from: &impl ReadAt,
    data: Range<u64>,
    to: &File,
    start: u64,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut position = data.start;
    while position < data.end {
        let count = (data.end - position).min(BUFFER_BYTES);
        buffer.resize(usize::try_from(count).map_err(io::Error::other)?, 0);
        from.read_at(position, &mut buffer)?;
        to.write_all_at(&buffer, start + position)?;
        position += count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    struct Part(File);

    impl AsFd for Part {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    impl ReadAt for Part {
        fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.0.read_exact_at(buffer, offset_bytes)
        }

        fn size_bytes(&self) -> io::Result<u64> {
            Ok(self.0.metadata()?.len())
        }
    }

    /// A file of 8 MiB with a few bytes in its middle and at its end.
    fn sparse() -> Part {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"middle", 4 << 20).unwrap();
        file.write_all_at(b"end", (8 << 20) - 3).unwrap();
        Part(file)
    }

    fn bytes(mut file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        seek(file, SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn data_are_copied_and_holes_stay_holes() {
        let (from, to) = (sparse(), tempfile::tempfile().unwrap());
        to.set_len(4096 + (8 << 20)).unwrap();
        copy_data(&from, 8 << 20, &to, 4096).unwrap();
        assert_eq!(bytes(&to), [vec![0; 4096], bytes(&from.0)].concat());
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
    }

    #[test]
    fn bytes_go_through_memory_where_the_kernel_cannot_copy() {
        let (from, to) = (sparse(), tempfile::tempfile().unwrap());
        copy_through_memory(&from, 1..8 << 20, &to, 0).unwrap();
        assert_eq!(bytes(&to), bytes(&from.0));
    }

    #[test]
    fn a_part_that_ends_early_is_an_error() {
        let (from, to) = (sparse(), tempfile::tempfile().unwrap());
        let beyond = 8 << 20..9 << 20;
        assert!(copy(&from, beyond.clone(), &to, 0).is_err());
        assert!(copy_through_memory(&from, beyond, &to, 0).is_err());
    }
}
