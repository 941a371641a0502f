//! Artifacts opened for reading.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::disk::file::ReadAt;
use crate::store::error::Error;
use crate::store::record::Record;

/// The file of an artifact, open for reading. It can be read even if the artifact is deleted meanwhile.
#[derive(Debug)]
pub struct StoredFile {
    record: Record,
    file: File,
    path: PathBuf,
}

impl StoredFile {
    pub(super) fn new(record: Record, file: File, path: PathBuf) -> Self {
        Self { record, file, path }
    }

    /// What was committed.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All its bytes, from the first on.
    pub fn into_reader(self) -> impl Read + Send {
        self.file.take(self.record.size_bytes)
    }

    /// All its bytes, which must be at most `limit_bytes`.
    pub(super) fn read_whole(&self, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        if self.record.size_bytes > limit_bytes {
            let path = self.path.clone();
            return Err(Error::TooLarge { path, limit: limit_bytes });
        }
        let mut bytes = Vec::new();
        (&self.file)
            .take(self.record.size_bytes)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("read", &self.path, error))?;
        Ok(bytes)
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
