//! A layer's blob becomes its EROFS image in one pass, while it streams.
//!
//! ```text
//! blob ─▶ SHA-256 (digest) ─▶ inflate ═▶ SHA-256 (diff_id) ─▶ tar ─▶ changeset ─▶ EROFS ═▶ BLAKE3 ─▶ store
//! ```
//!
//! Each double line leads to another thread.
//!
//! Wrong bytes are found at the end of the stream, when its digest is known; until then the image is a
//! temporary file. A stream that cannot be read as a layer is hashed to its end all the same: only the
//! digest tells whether the layer is bad or the transfer was.

use std::io::{self, BufReader, Read};
use std::panic::resume_unwind;
use std::thread;

use crate::disk::erofs::error::Error as ErofsError;
use crate::disk::erofs::layer::LayerWriter;
use crate::engine::ahead::{AheadReader, Filler, ahead};
use crate::engine::behind::Behind;
use crate::engine::error::{Error, not_stored};
use crate::layer::builder::error::ChangesetError;
use crate::layer::changeset::Changeset;
use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;
use crate::layer::read::ReadError;
use crate::layer::warning::Warnings;
use crate::oci::digest::{DiffId, Digest, HashingReader};
use crate::plan::action::FetchLayer;
use crate::store::ingest::Ingest;

/// Compressed bytes that are read at once.
const INPUT_BYTES: usize = 128 << 10;

/// An image that is complete and checked but not committed, and what was noticed on the way.
pub(super) type Built = (Ingest, Warnings);

/// Reads the blob to its end and builds the image, on three threads.
pub(super) fn build(
    blob: impl Read,
    layer: &FetchLayer,
    ingest: Ingest,
    limits: &Limits,
) -> Result<Built, Error> {
    let (filler, tar) = ahead();
    let (built, hashed) = thread::scope(|scope| {
        let building = thread::Builder::new()
            .name("image".to_owned())
            .spawn_scoped(scope, || image(tar, layer, Behind::new(scope, ingest), limits))?;
        let hashed = inflate(blob, filler, limits);
        Ok((building.join().unwrap_or_else(|panic| resume_unwind(panic)), hashed))
    })
    .map_err(|error| unreadable(layer, error))?;
    let actual = hashed.map_err(|error| unreadable(layer, error))?;
    compare(layer, actual)?;
    let (built, actual) = built?;
    if actual != layer.diff_id {
        let (digest, expected) = (layer.digest, layer.diff_id);
        return Err(Error::LayerDiffId { digest, expected, actual });
    }
    Ok(built)
}

/// Inflates the blob into `tar`, and answers the digest of all of it.
fn inflate(blob: impl Read, tar: Filler, limits: &Limits) -> io::Result<Digest> {
    let mut input = BufReader::with_capacity(INPUT_BYTES, HashingReader::new(blob));
    tar.fill(Decompressor::new(&mut input, limits));
    // What follows the compressed stream's own end, and all that follows an error.
    io::copy(&mut input, &mut io::sink())?;
    let (_, digest, _) = input.into_inner().finish();
    Ok(digest)
}

/// Reads the blob to its end and builds nothing.
pub(super) fn drain(blob: impl Read, layer: &FetchLayer) -> Result<(), Error> {
    let mut input = HashingReader::new(blob);
    let mut buffer = vec![0; INPUT_BYTES];
    while input.read(&mut buffer).map_err(|error| unreadable(layer, error))? > 0 {}
    let (_, actual, _) = input.finish();
    compare(layer, actual)
}

/// Hashes, parses and writes.
fn image(
    tar: AheadReader,
    layer: &FetchLayer,
    file: Behind<'_, '_, Ingest>,
    limits: &Limits,
) -> Result<(Built, DiffId), Error> {
    let digest = layer.digest;
    let refused = |source: ChangesetError| match source {
        ChangesetError::Read(ReadError::Sink(error)) => not_stored(error, |error| Error::Layer {
            digest,
            source: ChangesetError::Read(ReadError::Sink(error)),
        }),
        source => Error::Layer { digest, source },
    };
    let not_written = |source: ErofsError| match source {
        ErofsError::Io(error) => {
            not_stored(error, |error| Error::LayerImage { digest, source: error.into() })
        }
        source => Error::LayerImage { digest, source },
    };
    let mut tar = HashingReader::new(tar);
    let mut writer = LayerWriter::new(file).map_err(not_written)?;
    let changeset = Changeset::read(&mut tar, limits, 0, &mut writer).map_err(refused)?;
    let (_, diff_id, _) = tar.finish();
    let warnings = changeset.warnings().clone();
    let (file, _) = writer.finish(&changeset.into_overlay(), layer.diff_id).map_err(not_written)?;
    let ingest = file.into_inner().map_err(|error| not_written(error.into()))?;
    Ok(((ingest, warnings), DiffId(diff_id)))
}

/// Demands that what was read is the blob.
fn compare(layer: &FetchLayer, actual: Digest) -> Result<(), Error> {
    if actual == layer.digest {
        return Ok(());
    }
    let reference = layer.origin.source.clone();
    Err(Error::LayerDigest { expected: layer.digest, actual, reference })
}

fn unreadable(layer: &FetchLayer, error: io::Error) -> Error {
    Error::Layer { digest: layer.digest, source: ChangesetError::Read(ReadError::Input(error)) }
}

/// The largest image that the limits allow: all data, and 8 KiB of metadata an entry.
pub(super) const fn image_bytes_max(limits: &Limits) -> u64 {
    limits.apparent_bytes_max.saturating_add(limits.entries_max.saturating_mul(8 << 10))
}
