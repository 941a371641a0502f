//! Blobs in nameless files: fetched, verified, and read once.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::PathBuf;

use crate::engine::error::Error;
use crate::layer::builder::error::ChangesetError;
use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;
use crate::layer::read::ReadError;
use crate::oci::digest::{DiffId, HashingReader};
use crate::plan::action::FetchLayer;

/// Bytes that are gathered for one write, and read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A blob that was fetched and verified.
#[derive(Debug)]
pub(super) struct Spooled {
    /// At its beginning.
    pub(super) file: File,
    /// Its length.
    pub(super) size_bytes: u64,
}

/// How a layer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As its digest names it.
    Packed,
    /// As its `diff_id` names it.
    Unpacked,
}

/// Takes the bytes of a blob.
pub(super) struct BlobReceiver {
    pub(super) layer: FetchLayer,
    pub(super) form: Form,
    pub(super) folder: PathBuf,
    pub(super) limits: Limits,
}

impl BlobReceiver {
    /// Reads `blob` to its end.
    pub(super) fn receive(self, blob: impl Read) -> Result<Spooled, Error> {
        let not_written = |source| Error::Output { path: self.folder.clone(), source };
        let file = tempfile::tempfile_in(&self.folder).map_err(not_written)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, &file);
        let mut blob = BufReader::with_capacity(BUFFER_BYTES, HashingReader::new(blob));
        let unpacked = match self.form {
            Form::Packed => copy(&mut blob, &mut out).map(|bytes| (bytes, None)),
            Form::Unpacked => {
                let tar = Decompressor::new(&mut blob, &self.limits).map_err(Copy::Read);
                tar.and_then(|tar| {
                    let mut tar = HashingReader::new(tar);
                    let bytes = copy(&mut tar, &mut out)?;
                    Ok((bytes, Some(DiffId(tar.finish().1))))
                })
            }
        };
        // What follows the compressed stream's own end, and all that follows an error: only the digest tells
        // whether the blob is bad or the transfer was.
        io::copy(&mut blob, &mut io::sink()).map_err(|error| self.unreadable(error))?;
        let (_, actual, _) = blob.into_inner().finish();
        if actual != self.layer.digest {
            let (expected, reference) = (self.layer.digest, self.layer.origin.source.clone());
            return Err(Error::LayerDigest { expected, actual, reference });
        }
        let (size_bytes, diff_id) = unpacked.map_err(|error| match error {
            Copy::Read(error) => self.unreadable(error),
            Copy::Write(source) => not_written(source),
        })?;
        if let Some(actual) = diff_id.filter(|&diff_id| diff_id != self.layer.diff_id) {
            let (digest, expected) = (self.layer.digest, self.layer.diff_id);
            return Err(Error::LayerDiffId { digest, expected, actual });
        }
        out.flush().map_err(not_written)?;
        drop(out);
        (&file).rewind().map_err(not_written)?;
        Ok(Spooled { file, size_bytes })
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let digest = self.layer.digest;
        Error::Layer { digest, source: ChangesetError::Read(ReadError::Input(error)) }
    }
}

/// Which side of a copy failed.
enum Copy {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<u64, Copy> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied_bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied_bytes),
            Ok(count) => {
                to.write_all(&buffer[..count]).map_err(Copy::Write)?;
                copied_bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Copy::Read(error)),
        }
    }
}
