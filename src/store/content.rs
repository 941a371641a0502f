//! What the bytes of a finished file are known by, and what a small read tells of an EROFS image.
//!
//! What comes as a stream is known by its SHA-256, as everywhere in OCI. The image of a layer is known by its
//! BLAKE3: that of a file which is written at positions can be had without reading it again (see
//! `store/piecewise`), and costs a fifth.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::str::FromStr;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::disk::erofs::format::BLOCK_BYTES;
use crate::disk::erofs::format::superblock::superblock_checksum_ok;
use crate::oci::digest::{Digest, Hasher};

/// Bytes that are read at once: beyond this, larger reads are no faster.
const BUFFER_BYTES: usize = 256 << 10;

const BLAKE3_PREFIX: &str = "blake3:";

/// What the bytes of a file are known by. Its text is `sha256:` or `blake3:` and 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentDigest {
    /// SHA-256 of the bytes.
    Sha256(Digest),
    /// BLAKE3 of the bytes.
    Blake3(blake3::Hash),
}

impl ContentDigest {
    /// The SHA-256, if that is what it is.
    pub const fn sha256(self) -> Option<Digest> {
        match self {
            Self::Sha256(digest) => Some(digest),
            Self::Blake3(_) => None,
        }
    }

    /// Whether the bytes of `reader`, read to its end, are these.
    pub fn is_of(self, mut reader: impl Read) -> io::Result<bool> {
        let mut hasher = self.hasher();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish() == self),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What hashes as this was hashed.
    pub(super) fn hasher(self) -> ContentHasher {
        match self {
            Self::Sha256(_) => ContentHasher::Sha256(Hasher::new()),
            Self::Blake3(_) => ContentHasher::Blake3(Box::default()),
        }
    }
}

impl From<Digest> for ContentDigest {
    fn from(digest: Digest) -> Self {
        Self::Sha256(digest)
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::Blake3(hash) => write!(f, "{BLAKE3_PREFIX}{hash}"),
        }
    }
}

/// Why a text is not a [`ContentDigest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not `sha256:` or `blake3:` and 64 lower-case hex digits")]
pub struct ContentDigestError;

impl FromStr for ContentDigest {
    type Err = ContentDigestError;

    fn from_str(text: &str) -> Result<Self, ContentDigestError> {
        let Some(hex) = text.strip_prefix(BLAKE3_PREFIX) else {
            return text.parse().map(Self::Sha256).map_err(|_| ContentDigestError);
        };
        // Both have 32 bytes, and a hex digit in upper case is no digit here.
        let digest = Digest::from_hex(hex).map_err(|_| ContentDigestError)?;
        Ok(Self::Blake3((*digest.as_bytes()).into()))
    }
}

impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A running [`ContentDigest`].
pub(super) enum ContentHasher {
    Sha256(Hasher),
    Blake3(Box<blake3::Hasher>),
}

impl ContentHasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    pub(super) fn finish(self) -> ContentDigest {
        match self {
            Self::Sha256(hasher) => ContentDigest::Sha256(hasher.finish()),
            Self::Blake3(hasher) => ContentDigest::Blake3(hasher.finalize()),
        }
    }
}

/// The SHA-256 of the first `size_bytes` of `file`.
pub(super) fn sha256_of(file: &File, size_bytes: u64) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    for_each_piece(file, size_bytes, |bytes| hasher.update(bytes))?;
    Ok(hasher.finish())
}

/// Hands the first `size_bytes` of `file` on, read from the file and not from a memory of what was written. Holes
/// are handed on as the zeros they stand for, without reading them.
pub(super) fn for_each_piece(
    file: &File,
    size_bytes: u64,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    if file.metadata()?.len() < size_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut buffer =
        vec![0; usize::try_from(size_bytes).map_or(BUFFER_BYTES, |size| size.min(BUFFER_BYTES))];
    let mut offset = 0;
    while offset < size_bytes {
        let (data, hole) = next_data(file, offset, size_bytes)?;
        buffer.fill(0);
        chunks(data - offset).for_each(|count| take(&buffer[..count]));
        offset = data;
        for count in chunks(hole - data) {
            file.read_exact_at(&mut buffer[..count], offset)?;
            take(&buffer[..count]);
            offset += count as u64;
        }
    }
    Ok(())
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
        assert_eq!(sha256_of(&file, size_bytes).unwrap(), Digest::of(whole));
    }

    #[test]
    fn a_sparse_file_has_the_digest_of_all_its_bytes() {
        let buffer = BUFFER_BYTES as u64;
        check(&[], 0);
        check(&[], 1);
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
        let error = sha256_of(&file_of(&[], 10), 11).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_digest_says_how_it_was_made_and_reads_what_it_writes() {
        // `printf abc | b3sum`.
        let text = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        let digest: ContentDigest = text.parse().unwrap();
        assert_eq!(digest, ContentDigest::Blake3(blake3::hash(b"abc")));
        for digest in [digest, Digest::of("abc").into()] {
            assert_eq!(digest.to_string().parse(), Ok(digest));
            assert!(digest.is_of(&b"abc"[..]).unwrap() && !digest.is_of(&b"abd"[..]).unwrap());
        }
        for wrong in ["", "blake3:", &text.to_uppercase(), &text[..70], "md5:00"] {
            assert_eq!(wrong.parse::<ContentDigest>(), Err(ContentDigestError), "{wrong}");
        }
    }
}
