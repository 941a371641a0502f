//! What is inside a finished file: its digest, and whether an EROFS image's first block is whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::disk::erofs::format::BLOCK_BYTES;
use crate::disk::erofs::format::superblock::superblock_checksum_ok;
use crate::oci::digest::{Digest, Hasher};

/// Bytes that are read at once: beyond this, larger reads are no faster.
const BUFFER_BYTES: usize = 256 << 10;

/// The digest of the first `size_bytes` of `file`, read from the file and not from a memory of what was
/// written. Holes are hashed as the zeros they stand for, without reading them.
pub(super) fn digest_of(file: &File, size_bytes: u64) -> io::Result<Digest> {
    digest_telling(file, size_bytes, &|_| ())
}

/// As [`digest_of`], and tells `on_read` of the bytes of each piece.
pub(super) fn digest_telling(
    file: &File,
    size_bytes: u64,
    on_read: &dyn Fn(u64),
) -> io::Result<Digest> {
    if file.metadata()?.len() < size_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut hasher = Hasher::new();
    let mut buffer =
        vec![0; usize::try_from(size_bytes).map_or(BUFFER_BYTES, |size| size.min(BUFFER_BYTES))];
    let mut offset = 0;
    while offset < size_bytes {
        let (data, hole) = next_data(file, offset, size_bytes)?;
        buffer.fill(0);
        for count in chunks(data - offset) {
            hasher.update(&buffer[..count]);
            on_read(count as u64);
        }
        offset = data;
        for count in chunks(hole - data) {
            file.read_exact_at(&mut buffer[..count], offset)?;
            hasher.update(&buffer[..count]);
            offset += count as u64;
            on_read(count as u64);
        }
    }
    Ok(hasher.finish())
}

/// Where the next data at or behind `offset` starts and ends, within `size_bytes`.
fn next_data(file: &File, offset: u64, size_bytes: u64) -> io::Result<(u64, u64)> {
    let data = match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.clamp(offset, size_bytes),
        Err(Errno::NXIO) => size_bytes,
        // This file system cannot tell holes from data.
        Err(Errno::INVAL) => return Ok((offset, size_bytes)),
        Err(error) => return Err(error.into()),
    };
    if data == size_bytes {
        return Ok((size_bytes, size_bytes));
    }
    let hole = seek(file, SeekFrom::Hole(data))?;
    // A hole where data was just found means that somebody writes to the file: read on as if it were
    // data, so that every round makes progress.
    let hole = if hole > data { hole.min(size_bytes) } else { size_bytes };
    Ok((data, hole))
}

/// `bytes` in pieces that fit the buffer.
fn chunks(bytes: u64) -> impl Iterator<Item = usize> {
    let whole = bytes / BUFFER_BYTES as u64;
    let rest = usize::try_from(bytes % BUFFER_BYTES as u64).unwrap_or(0);
    (0..whole).map(|_| BUFFER_BYTES).chain((rest > 0).then_some(rest))
}

/// Whether the first block of `file` is an EROFS superblock that fits its checksum.
pub(super) fn has_whole_superblock(file: &File) -> io::Result<bool> {
    let mut block = [0; BLOCK_BYTES];
    match file.read_exact_at(&mut block, 0) {
        Ok(()) => Ok(superblock_checksum_ok(&block)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(pieces: &[(u64, &[u8])], size_bytes: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        for (offset, bytes) in pieces {
            file.write_all_at(bytes, *offset).unwrap();
        }
        file.set_len(size_bytes).unwrap();
        file
    }

    #[track_caller]
    fn check(pieces: &[(u64, &[u8])], size_bytes: u64) {
        let file = file_of(pieces, size_bytes);
        let mut whole = vec![0; usize::try_from(size_bytes).unwrap()];
        file.read_exact_at(&mut whole, 0).unwrap();
        assert_eq!(digest_of(&file, size_bytes).unwrap(), Digest::of(whole));
    }

    #[test]
    fn a_sparse_file_has_the_digest_of_all_its_bytes() {
        let buffer = BUFFER_BYTES as u64;
        check(&[], 0);
        check(&[(0, b"a")], 1);
        check(&[], 3 * buffer + 5);
        check(&[(0, b"head")], 2 * buffer);
        check(&[(4 * buffer, b"tail")], 4 * buffer + 4);
        check(&[(8192, b"a"), (buffer + 1, &vec![7; 70_000]), (3 * buffer, b"z")], 5 * buffer + 1);
    }

    #[test]
    fn holes_are_not_read() {
        let file = file_of(&[(1 << 20, b"data")], 64 << 20);
        assert_eq!(next_data(&file, 0, 64 << 20).unwrap().0, 1 << 20);
        let behind = next_data(&file, 2 << 20, 64 << 20).unwrap();
        assert_eq!(behind, (64 << 20, 64 << 20));
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let error = digest_of(&file_of(&[], 10), 11).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
