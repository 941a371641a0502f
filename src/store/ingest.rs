//! Ingest → commit: the only way into the store.
//!
//! The order of writes, and what a crash after each step leaves:
//!
//! 1. The bytes go to a temporary file in `tmp/<run>`: nothing is visible; the next run sweeps it. Those of a
//!    blob that is kept went to `partial/` as they came, and the next run goes on with them.
//! 2. `fdatasync`: the bytes are on disk before any name of them can be. Meanwhile those of a file that
//!    was written at positions are read again where its SHA-256 is asked for.
//! 3. Size and digest are compared: what is wrong never gets a name.
//! 4. Mode 0444, rename, `fsync` of the directory: the file has its name, durably, but without a record
//!    it does not exist; whoever commits it again replaces it. A damaged file of that name, and its
//!    record, went to `quarantine/` before.
//! 5. The record goes the same way. Only now is the artifact there, and only now is it announced.
//!
//! A failed `fsync` loses the file: it is removed, the commit fails, and nothing is tried twice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::disk::file::{BlockFile, ReadAt};
use crate::oci::digest::{Digest, Hasher};
use crate::plan::artifact::Artifact;
use crate::store::content::{ContentDigest, sha256_of};
use crate::store::directory::{Directory, MODE_SEALED};
use crate::store::error::Error;
use crate::store::guard::{ArtifactGuard, SharedGuard};
use crate::store::layout::{Shelf, file_name_of};
use crate::store::partial::Partial;
use crate::store::piecewise::Piecewise;
use crate::store::presence::{Depth, examine};
use crate::store::record::Record;
use crate::store::uncached::Uncached;
use crate::store::workspace::{Workspace, publish};

/// What is known of an artifact before its bytes came. A blob's digest is known from its name in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Bytes, if they are known.
    pub size_bytes: Option<u64>,
    /// SHA-256, if it is known. Of a file that was written at positions it is computed only then.
    pub digest: Option<Digest>,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Through {
    Cache,
    /// Past the page cache, where that can be.
    DiskAlone,
}

/// A file on its way into the store. Dropping it removes it.
///
/// It is written as a stream ([`io::Write`]) or at positions ([`BlockFile`]), sparsely if need be, and hashed on the
/// way: with SHA-256 or with BLAKE3.
#[derive(Debug)]
pub struct Ingest {
    workspace: Arc<Workspace>,
    name: String,
    file: File,
    uncached: Uncached,
    size_bytes: u64,
    limit_bytes: u64,
    running: Running,
}

/// What is known of the first `size_bytes`.
#[derive(Debug)]
enum Running {
    /// They came as a stream.
    Stream(Hasher),
    Positions(Piecewise),
}

impl Ingest {
    pub(super) fn new(workspace: Arc<Workspace>, limit_bytes: u64) -> Result<Self, Error> {
        let name = workspace.new_name();
        let file = workspace.directory.create(&name)?;
        let (uncached, running) = (Uncached::Untried, Running::Stream(Hasher::new()));
        Ok(Self { workspace, name, file, uncached, size_bytes: 0, limit_bytes, running })
    }

    /// Appends `bytes`.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let offset = self.size_bytes;
        self.write_bounded(offset, bytes, Through::Cache)?;
        match &mut self.running {
            Running::Stream(hasher) => hasher.update(bytes),
            Running::Positions(pieces) => pieces.write(offset, bytes),
        }
        Ok(())
    }

    /// The SHA-256 of what was written so far. What was written at positions is read for it.
    pub fn sha256(&self) -> Result<Digest, Error> {
        match &self.running {
            Running::Stream(hasher) => Ok(hasher.clone().finish()),
            Running::Positions(_) => sha256_of(&self.file, self.size_bytes)
                .map_err(|error| Error::io("read", self.path(), error)),
        }
    }

    /// What was written so far is known by this.
    fn content(&self) -> Result<ContentDigest, Error> {
        match &self.running {
            Running::Stream(hasher) => Ok(hasher.clone().finish().into()),
            Running::Positions(pieces) => pieces
                .clone()
                .finish(self.size_bytes, |offset, buffer| self.file.read_exact_at(buffer, offset))
                .map(ContentDigest::Blake3)
                .map_err(|error| Error::io("read", self.path(), error)),
        }
    }

    /// Makes the file the artifact that `guard` guards, complete, checked and durable, or removes it.
    pub fn commit(self, guard: ArtifactGuard, expected: Expected) -> Result<Record, Error> {
        let artifact = guard.artifact();
        let needs_sha256 = expected.digest.is_some() || matches!(artifact, Artifact::Blob(_));
        let sha256 = self.make_durable(needs_sha256)?;
        let record = match (artifact, sha256) {
            (Artifact::Blob(_), Some(sha256)) => Record::new(self.size_bytes, sha256),
            _ => Record { sha256, ..Record::new(self.size_bytes, self.content()?) },
        };
        let record = compare(artifact, expected, record)?;
        let file = (&self.workspace.directory, self.name.as_str(), &self.file);
        settle(&self.workspace, guard, file, record)
    }

    /// Makes the bytes durable and answers their SHA-256, if it is needed or known. A disk that writes leaves the
    /// processor free to hash.
    fn make_durable(&self, needs_sha256: bool) -> Result<Option<Digest>, Error> {
        let sync = || self.workspace.directory.sync_file(&self.name, &self.file);
        if matches!(self.running, Running::Stream(_)) {
            return sync().and_then(|()| self.sha256().map(Some));
        }
        if !needs_sha256 {
            return sync().map(|()| None);
        }
        thread::scope(|scope| {
            let syncing = thread::Builder::new()
                .name("sync".to_owned())
                .spawn_scoped(scope, sync)
                .map_err(|error| Error::io("make durable", self.path(), error))?;
            let sha256 = self.sha256();
            syncing.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            sha256.map(Some)
        })
    }

    fn write_bounded(&mut self, offset: u64, bytes: &[u8], through: Through) -> Result<(), Error> {
        let end = offset.saturating_add(bytes.len() as u64);
        self.bound(end)?;
        let (directory, name) = (&self.workspace.directory, &self.name);
        let is_written = through == Through::DiskAlone
            && self.uncached.write_at(directory, name, bytes, offset)?;
        if !is_written {
            directory.write_at(name, &self.file, bytes, offset)?;
        }
        self.size_bytes = self.size_bytes.max(end);
        Ok(())
    }

    fn write_at_position(&mut self, offset: u64, bytes: &[u8], through: Through) -> io::Result<()> {
        self.leave_stream();
        self.write_bounded(offset, bytes, through).map_err(io::Error::other)?;
        if let Running::Positions(pieces) = &mut self.running {
            pieces.write(offset, bytes);
        }
        Ok(())
    }

    /// What is written at a position, or cut, is no stream any more.
    fn leave_stream(&mut self) {
        if matches!(self.running, Running::Stream(_)) {
            self.running = Running::Positions(Piecewise::unseen(self.size_bytes));
        }
    }

    fn bound(&self, size_bytes: u64) -> Result<(), Error> {
        let limit = self.limit_bytes;
        if size_bytes <= limit { Ok(()) } else { Err(Error::TooLarge { path: self.path(), limit }) }
    }

    fn path(&self) -> PathBuf {
        self.workspace.directory.path_of(&self.name)
    }
}

/// Makes what is kept of a download the blob that `guard` guards, complete, checked and durable. `read` is what
/// was read of it, from its first byte to its last. What is not the blob stays where it is; after a failed
/// `fdatasync` it goes.
pub(super) fn commit_partial(
    workspace: &Workspace,
    guard: ArtifactGuard,
    partial: &Partial,
    read: Record,
) -> Result<Record, Error> {
    let size_bytes = partial.make_durable()?;
    let expected = Expected { size_bytes: Some(size_bytes), ..Expected::default() };
    let record = compare(guard.artifact(), expected, read)?;
    settle(workspace, guard, partial.file(), record)
}

/// What is committed, if it is what was expected.
fn compare(artifact: Artifact, expected: Expected, actual: Record) -> Result<Record, Error> {
    if let Some(expected) = expected.size_bytes.filter(|&size| size != actual.size_bytes) {
        return Err(Error::WrongSize { artifact, expected, actual: actual.size_bytes });
    }
    let named = match artifact {
        Artifact::Blob(digest) => Some(digest),
        _ => None,
    };
    match named.into_iter().chain(expected.digest).find(|&digest| actual.sha256 != Some(digest)) {
        Some(expected) => {
            let actual = actual.sha256.map_or(actual.content, Into::into);
            Err(Error::WrongDigest { artifact, expected, actual })
        }
        None => Ok(actual),
    }
}

/// Gives a durable file the name of the artifact that `guard` guards, and then its record. What has the name,
/// and the record of it, is moved away first: a crash must not leave an old record with a new file.
fn settle(
    workspace: &Workspace,
    guard: ArtifactGuard,
    (directory, name, file): (&Directory, &str, &File),
    record: Record,
) -> Result<Record, Error> {
    let (layout, artifact) = (&workspace.layout, guard.artifact());
    let _shared = SharedGuard::take(layout, &workspace.caller)?;
    if let Ok((present, _)) = examine(&layout.shelves, artifact, Depth::Quick)? {
        return Ok(present);
    }
    workspace.retire(artifact)?;
    let Shelf { files, records } = layout.shelf(artifact);
    publish(directory, name, file, (files, &file_name_of(artifact)), MODE_SEALED)?;
    let (json, name) = (record.to_json(), Record::name_of(artifact));
    workspace.publish_bytes(&json, records, &name, MODE_SEALED)?;
    drop(guard);
    Ok(record)
}

impl ReadAt for Ingest {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file
            .read_exact_at(buffer, offset_bytes)
            .map_err(|error| io::Error::new(error.kind(), Error::io("read", self.path(), error)))
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.size_bytes)
    }
}

impl BlockFile for Ingest {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at_position(offset_bytes, bytes, Through::Cache)
    }

    fn write_data_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at_position(offset_bytes, bytes, Through::DiskAlone)
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.leave_stream();
        self.bound(size_bytes).map_err(io::Error::other)?;
        let resized = self.workspace.directory.resize(&self.name, &self.file, size_bytes);
        resized.map_err(io::Error::other)?;
        if let Running::Positions(pieces) = &mut self.running {
            pieces.set_len(size_bytes);
        }
        self.size_bytes = size_bytes;
        Ok(())
    }
}

impl io::Write for Ingest {
    /// Appends `bytes`, all of them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // After a commit the name is gone already; else the end of the run removes it once more.
        let _ = self.workspace.directory.unlink(&self.name);
    }
}
