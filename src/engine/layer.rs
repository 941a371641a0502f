//! A layer's blob becomes its EROFS image in one pass, while it streams.
//!
//! ```text
//! blob ─▶ SHA-256 (digest) ─▶ inflate ═▶ SHA-256 (diff_id) ─▶ tar ─▶ changeset ─▶ EROFS ─▶ store
//! ```
//!
//! What stands left of the double line runs on a thread of its own.
//!
//! Wrong bytes are found at the end of the stream, when its digest is known; until then the image is a
//! temporary file. A stream that cannot be read as a layer is hashed to its end all the same: only the
//! digest tells whether the layer is bad or the transfer was.

use std::io::{self, BufReader, Read};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tracing::debug;

use crate::disk::erofs::error::Error as ErofsError;
use crate::disk::erofs::layer::LayerWriter;
use crate::engine::ahead::{AheadReader, Filler, ahead};
use crate::engine::context::{Context, blocking};
use crate::engine::error::{Error, committed, not_stored};
use crate::engine::pipe::{Sender, pipe};
use crate::engine::progress::{Progress, REPORT_EVERY, Watched};
use crate::engine::source::{Blob, Source};
use crate::layer::builder::error::ChangesetError;
use crate::layer::changeset::Changeset;
use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;
use crate::layer::read::ReadError;
use crate::layer::warning::Warnings;
use crate::oci::digest::{DiffId, Digest, HashingReader};
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::plan::event::Event;
use crate::registry::blob::BlobStream;
use crate::store::guard::ArtifactGuard;
use crate::store::ingest::{Expected, Ingest};
use crate::store::partial::{Keep, Partial};
use crate::store::record::Record;

/// Compressed bytes that are read at once.
const INPUT_BYTES: usize = 128 << 10;

/// Transfers of one layer that came whole and wrong: a second one may meet a mended cache, a third will not.
/// Those that a mirror or an earlier run had a part in do not count.
const TRANSFERS_MAX: u32 = 2;

/// Compressed bytes from which a layer is kept for the next run while it comes: less is soon fetched again.
const PARTIAL_BYTES_MIN: u64 = 16 << 20;

/// Fetches `layer` from `source`, builds its image and commits it under `guard`.
pub(super) async fn fetch(
    context: &Context,
    source: &Source,
    layer: &FetchLayer,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let is_kept = source.is_remote() && layer.size >= PARTIAL_BYTES_MIN;
    let mut transfers = 1;
    let (partial, built) = loop {
        let partial = if is_kept { context.run.partial(layer.digest, layer.size) } else { None };
        if let Some(kept_bytes) = partial.as_ref().map(|partial| partial.kept_bytes()) {
            debug!("has {kept_bytes} of {} bytes of layer `{}`", layer.size, layer.digest);
        }
        match transfer(context, source, layer, partial.clone()).await {
            Ok(built) => break (partial, built),
            Err(Broken { error, others_to_blame }) => {
                if let Some(partial) = partial.as_ref().filter(|_| error.condemns_blob()) {
                    partial.discard();
                }
                if !error.is_wrong_blob() || (transfers == TRANSFERS_MAX && !others_to_blame) {
                    return Err(error);
                }
                debug!("fetches layer `{}` once more: {error}", layer.digest);
                transfers += u32::from(!others_to_blame);
            }
        }
    };
    commit(context, layer, built, guard, partial.as_deref()).await
}

/// Builds the image of `layer` with no network, of what an earlier run kept of its blob, and commits it under
/// `guard`. What was kept must be all of it; what turns out to be something else is dropped.
pub(super) async fn build_kept(
    context: &Context,
    layer: &FetchLayer,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let offline = || Error::Offline {
        artifact: Artifact::Layer(layer.diff_id),
        size_bytes: layer.size,
        reference: layer.origin.source.clone(),
    };
    let kept = context.run.partial(layer.digest, layer.size);
    let kept = kept.filter(|kept| kept.kept_bytes() == layer.size).ok_or_else(offline)?;
    let ingest = context.run.ingest(image_bytes_max(&context.limits))?;
    let (wanted, limits) = (layer.clone(), context.limits);
    let blob = kept.reader(io::empty(), Keep::Whole);
    let built = blocking(guard.artifact(), move || build(blob, &wanted, ingest, &limits)).await;
    match built {
        Ok(built) => commit(context, layer, built, guard, Some(&kept)).await,
        Err(error) if error.is_wrong_blob() => {
            kept.discard();
            Err(offline())
        }
        Err(error) => Err(error),
    }
}

/// Commits an image, and drops what was kept of its blob.
async fn commit(
    context: &Context,
    layer: &FetchLayer,
    (ingest, warnings): Built,
    guard: ArtifactGuard,
    partial: Option<&Partial>,
) -> Result<Record, Error> {
    let (diff_id, image) = (layer.diff_id, layer.origin.image.clone());
    context.warn(&image, &format!("layer `{}`", layer.digest), &warnings);
    context.reporter.report(Event::LayerVerified { diff_id, image });
    let artifact = guard.artifact();
    let expected = Expected { digest: layer.erofs, ..Expected::default() };
    let record = blocking(artifact, move || committed(ingest.commit(guard, expected))).await?;
    if let Some(partial) = partial {
        partial.discard();
    }
    Ok(record)
}

/// An image that is complete and checked but not committed, and what was noticed on the way.
pub(super) type Built = (Ingest, Warnings);

/// A transfer that did not give an image.
struct Broken {
    error: Error,
    /// Others than the source itself have sent some of the bytes, and will not do so again.
    others_to_blame: bool,
}

impl<E: Into<Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self { error: error.into(), others_to_blame: false }
    }
}

/// One transfer and the image it makes.
async fn transfer(
    context: &Context,
    source: &Source,
    layer: &FetchLayer,
    partial: Option<Arc<Partial>>,
) -> Result<Built, Broken> {
    let artifact = Artifact::Layer(layer.diff_id);
    let ingest = context.run.ingest(image_bytes_max(&context.limits))?;
    let (wanted, limits) = (layer.clone(), context.limits);
    let kept_bytes = partial.as_ref().map_or(0, |partial| partial.kept_bytes());
    let progress = Progress::begin(&context.reporter, layer, kept_bytes);
    match source.blob(layer.digest, layer.size, kept_bytes)? {
        Blob::Local(blob) => {
            let blob = Watched::new(blob, progress);
            Ok(blocking(artifact, move || build(blob, &wanted, ingest, &limits)).await?)
        }
        Blob::Stream(stream) => {
            if kept_bytes > 0 {
                let subject = layer.origin.source.to_string();
                context.reporter.report(Event::Resumed { subject, offset_bytes: kept_bytes });
            }
            let senders = stream.senders();
            let (sender, reader) = pipe();
            let feeding = feed(stream, sender, progress);
            let building = blocking(artifact, move || match partial {
                Some(partial) => {
                    let blob = partial.reader(reader, Keep::UntilSoonFetched);
                    build(blob, &wanted, ingest, &limits)
                }
                None => build(reader, &wanted, ingest, &limits),
            });
            let (fed, built) = tokio::join!(feeding, building);
            fed.and(built).map_err(|error| {
                let others_to_blame =
                    error.is_wrong_blob() && (senders.distrust() || kept_bytes > 0);
                Broken { error, others_to_blame }
            })
        }
    }
}

/// Passes the stream on, and reports how far it is.
pub(super) async fn feed(
    mut stream: BlobStream,
    sender: Sender,
    mut progress: Progress,
) -> Result<(), Error> {
    while let Some(bytes) = next(&mut stream, &mut progress).await? {
        progress.add(bytes.len() as u64);
        if !sender.send(bytes).await {
            return Ok(());
        }
    }
    progress.end();
    Ok(())
}

/// The next bytes. Before a pause is waited for, what came before it is told.
async fn next(stream: &mut BlobStream, progress: &mut Progress) -> Result<Option<Bytes>, Error> {
    loop {
        tokio::select! {
            biased;
            next = stream.try_next() => return Ok(next?),
            () = tokio::time::sleep(REPORT_EVERY), if progress.is_behind() => progress.tell(),
        }
    }
}

/// Reads the blob to its end and builds the image, on two threads.
pub(super) fn build(
    blob: impl Read + Send,
    layer: &FetchLayer,
    ingest: Ingest,
    limits: &Limits,
) -> Result<Built, Error> {
    let (filler, tar) = ahead();
    let (built, hashed) = thread::scope(|scope| {
        let inflating = thread::Builder::new()
            .name("inflate".to_owned())
            .spawn_scoped(scope, || inflate(blob, filler, limits))?;
        let built = image(tar, layer, ingest, limits);
        Ok((built, inflating.join().unwrap_or_else(|panic| resume_unwind(panic))))
    })
    .map_err(|error| unreadable(layer, error))?;
    let actual = hashed.map_err(|error| unreadable(layer, error))?;
    if actual != layer.digest {
        let reference = layer.origin.source.clone();
        return Err(Error::LayerDigest { expected: layer.digest, actual, reference });
    }
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

/// Hashes, parses and writes.
fn image(
    tar: AheadReader,
    layer: &FetchLayer,
    ingest: Ingest,
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
    let mut writer = LayerWriter::new(ingest).map_err(not_written)?;
    let changeset = Changeset::read(&mut tar, limits, 0, &mut writer).map_err(refused)?;
    let (_, diff_id, _) = tar.finish();
    let warnings = changeset.warnings().clone();
    let (ingest, _) =
        writer.finish(&changeset.into_overlay(), layer.diff_id).map_err(not_written)?;
    Ok(((ingest, warnings), DiffId(diff_id)))
}

fn unreadable(layer: &FetchLayer, error: io::Error) -> Error {
    Error::Layer { digest: layer.digest, source: ChangesetError::Read(ReadError::Input(error)) }
}

/// The largest image that the limits allow: all data, and 8 KiB of metadata an entry.
pub(super) const fn image_bytes_max(limits: &Limits) -> u64 {
    limits.apparent_bytes_max.saturating_add(limits.entries_max.saturating_mul(8 << 10))
}
