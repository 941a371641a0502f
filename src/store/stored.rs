//! Artifacts opened for reading.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::disk::file::ReadAt;
use crate::oci::digest::{Digest, Hasher};
use crate::plan::artifact::Artifact;
use crate::store::content::for_each_piece;
use crate::store::directory::read_to_end;
use crate::store::error::{Damage, Error};
use crate::store::record::Record;

/// The file of an artifact, open for reading. It can be read even if the artifact is deleted meanwhile.
#[derive(Debug)]
pub struct StoredFile {
    artifact: Artifact,
    record: Record,
    file: File,
    path: PathBuf,
}

impl StoredFile {
    pub(super) fn new(artifact: Artifact, record: Record, file: File, path: PathBuf) -> Self {
        Self { artifact, record, file, path }
    }

    /// What was committed.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// SHA-256 of its bytes, which are read for it, and must be what the record says, unless the record has it.
    pub fn sha256(&self) -> Result<Digest, Error> {
        let Record { size_bytes, content: expected, sha256, .. } = self.record;
        if let Some(digest) = sha256 {
            return Ok(digest);
        }
        let (mut content, mut sha256) = (expected.hasher(), Hasher::new());
        let read = for_each_piece(&self.file, size_bytes, |bytes| {
            content.update(bytes);
            sha256.update(bytes);
        });
        read.map_err(|error| Error::io("read", &self.path, error))?;
        match content.finish() {
            actual if actual == expected => Ok(sha256.finish()),
            actual => {
                let source = Box::new(Damage::Digest { expected, actual });
                let (artifact, path) = (self.artifact, self.path.clone());
                Err(Error::Damaged { artifact, path, source })
            }
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All its bytes, from the first on.
    pub const fn into_reader(self) -> StoredReader {
        StoredReader { file: self, offset_bytes: 0 }
    }

    /// All its bytes, which must be at most `limit_bytes`.
    pub(super) fn read_whole(&self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        if self.record.size_bytes > limit_bytes {
            let path = self.path.clone();
            return Err(Error::TooLarge { path, limit: limit_bytes });
        }
        let size_bytes = self.record.size_bytes;
        read_to_end(&self.file, size_bytes, size_bytes)
            .map_err(|error| Error::io("read", &self.path, error))
    }
}

/// The bytes of an artifact as a stream.
#[derive(Debug)]
pub struct StoredReader {
    file: StoredFile,
    offset_bytes: u64,
}

impl io::Read for StoredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let StoredFile { record, file, path, .. } = &self.file;
        let left = record.size_bytes.saturating_sub(self.offset_bytes);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = file
            .read_at(&mut buffer[..wanted], self.offset_bytes)
            .map_err(|error| io::Error::new(error.kind(), Error::io("read", path, error)))?;
        self.offset_bytes += count as u64;
        Ok(count)
    }
}

impl ReadAt for StoredFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file
            .read_exact_at(buffer, offset_bytes)
            .map_err(|error| io::Error::new(error.kind(), Error::io("read", &self.path, error)))
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.record.size_bytes)
    }
}

impl AsFd for StoredFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
