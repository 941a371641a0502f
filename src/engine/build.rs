//! What is built from layer images alone, with no network: fsmeta and disk.

use std::io::{self, BufWriter, Write as _};
use std::panic::resume_unwind;
use std::thread;

use crate::disk::erofs::error::Error as ErofsError;
use crate::disk::erofs::fsmeta;
use crate::disk::erofs::layer::LayerImage;
use crate::disk::erofs::reader::Image;
use crate::disk::extents::Extent;
use crate::disk::file::ReadAt;
use crate::engine::disk::{Disk, extents, vmdk};
use crate::engine::error::{Error, committed, not_stored};
use crate::layer::changeset::Changeset;
use crate::layer::merge::{Merged, merge};
use crate::layer::warning::Warnings;
use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::plan::artifact::Artifact;
use crate::store::guard::ArtifactGuard;
use crate::store::ingest::{Expected, Ingest};
use crate::store::reader::Reader;
use crate::store::record::Record;
use crate::store::run::{Claim, Run};
use crate::store::stored::StoredFile;

/// Bytes of an fsmeta: the metadata of the most entries that a stack may have.
const FSMETA_BYTES_MAX: u64 = 16 << 30;

/// Bytes that are gathered for one write.
const OUTPUT_BYTES: usize = 256 << 10;

/// A layer and its image, open.
pub(super) type OpenLayer<R> = (DiffId, Image<R>);

/// Makes `artifact`, the fsmeta or the disk of `layers`, unless it is there. For whom is not known, so it is held
/// to the digest of no lock.
pub(crate) fn again(
    reader: &Reader,
    run: &Run,
    artifact: Artifact,
    layers: &[DiffId],
) -> Result<(), Error> {
    let Claim::Mine(guard) = run.claim(artifact)? else {
        return Ok(());
    };
    match artifact {
        Artifact::Fsmeta(_) => fsmeta(reader, run, layers, None, guard, || ()).map(drop),
        Artifact::Disk(chain_id) => disk(reader, run, chain_id, guard).map(drop),
        Artifact::Blob(_) | Artifact::Layer(_) => Ok(()),
    }
}

/// Merges `layers` and commits their metadata, whose digest is `expected` by a lock that has one. Tells when the one
/// is done and the other begins, and answers also what was decided on the way.
///
/// It merges on a thread that ends then. Memory that a thread has used is kept for the thread itself by some
/// allocators, and for the next one when it has ended: here what the largest layer has used, most of the time.
pub(super) fn fsmeta(
    reader: &Reader,
    run: &Run,
    layers: &[DiffId],
    expected: Option<Digest>,
    guard: ArtifactGuard,
    writing: impl FnOnce() + Send,
) -> Result<(Record, Warnings), Error> {
    let (layers, artifact) = (open_layers(reader, layers)?, guard.artifact());
    let (ingest, warnings) = thread::scope(|scope| {
        let merging = thread::Builder::new()
            .name("fsmeta".to_owned())
            .spawn_scoped(scope, || ingest_fsmeta(run, artifact, &layers, writing))
            .map_err(|error| Error::Fsmeta(artifact, error.into()))?;
        merging.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    drop(layers);
    let expected = Expected { digest: expected, ..Expected::default() };
    Ok((committed(ingest.commit(guard, expected))?, warnings))
}

/// As [`write_fsmeta`], into a file that is not committed.
pub(super) fn ingest_fsmeta<R: ReadAt>(
    run: &Run,
    artifact: Artifact,
    layers: &[OpenLayer<R>],
    writing: impl FnOnce(),
) -> Result<(Ingest, Warnings), Error> {
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, run.ingest(FSMETA_BYTES_MAX)?);
    let warnings = write_fsmeta(artifact, layers, writing, &mut out)?;
    let not_written = |error| not_stored(error, |error| Error::Fsmeta(artifact, error.into()));
    out.flush().map_err(not_written)?;
    let ingest = out.into_inner().map_err(|error| not_written(error.into_error()))?;
    Ok((ingest, warnings))
}

/// Writes the merged metadata of `layers`, bottom to top, which are those of `artifact`. Calls `writing` when
/// they are merged.
pub(super) fn write_fsmeta<R: ReadAt>(
    artifact: Artifact,
    layers: &[OpenLayer<R>],
    writing: impl FnOnce(),
    out: &mut impl io::Write,
) -> Result<Warnings, Error> {
    let merged = merge_layers(artifact, layers)?;
    writing();
    let images: Vec<LayerImage> = layers
        .iter()
        .map(|(diff_id, image)| LayerImage { diff_id: *diff_id, blocks: image.superblock().blocks })
        .collect();
    fsmeta::write(&merged.tree, &images, out).map_err(|error| match error {
        ErofsError::Io(error) => not_stored(error, |error| Error::Fsmeta(artifact, error.into())),
        error => Error::Fsmeta(artifact, error),
    })?;
    Ok(merged.warnings)
}

/// Opens the images of `layers`.
pub(super) fn open_layers(
    reader: &Reader,
    layers: &[DiffId],
) -> Result<Vec<OpenLayer<StoredFile>>, Error> {
    layers.iter().map(|&layer| Ok((layer, open_layer(reader, layer)?))).collect()
}

/// Opens the image of a layer.
pub(super) fn open_layer(reader: &Reader, layer: DiffId) -> Result<Image<StoredFile>, Error> {
    let artifact = Artifact::Layer(layer);
    Image::open(reader.open(artifact)?).map_err(|error| Error::Stored(artifact, error))
}

/// Merges the trees of the layers' images, each of which is let go when it is merged.
fn merge_layers<R: ReadAt>(artifact: Artifact, layers: &[OpenLayer<R>]) -> Result<Merged, Error> {
    let mut failed = None;
    let mut layers = layers.iter().zip(0..);
    let changesets = std::iter::from_fn(|| {
        let ((diff_id, image), place) = layers.next()?;
        changeset(*diff_id, image, place).map_err(|error| failed = Some(error)).ok()
    });
    let merged = merge(changesets).map_err(|error| Error::Merge(artifact, error));
    match failed {
        Some(error) => Err(error),
        None => merged,
    }
}

/// Reads the image of a layer back.
pub(super) fn changeset<R: ReadAt>(
    diff_id: DiffId,
    image: &Image<R>,
    place: u16,
) -> Result<Changeset, Error> {
    let artifact = Artifact::Layer(diff_id);
    let tree = image.tree(place).map_err(|error| Error::Stored(artifact, error))?;
    Changeset::from_overlay(tree).map_err(|error| Error::Overlay(artifact, error))
}

/// Writes the text that joins the fsmeta of `chain_id` and its layers, and commits it.
pub(super) fn disk(
    reader: &Reader,
    run: &Run,
    chain_id: ChainId,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let text = disk_text(reader, chain_id)?;
    Ok(run.commit_bytes(guard, text.as_bytes())?)
}

/// The text that joins the fsmeta of `chain_id` and its layers.
pub(super) fn disk_text(reader: &Reader, chain_id: ChainId) -> Result<String, Error> {
    Disk::open_by(reader, chain_id)?.vmdk(|part| relative_path(part.artifact))
}

/// As [`disk_text`], of an fsmeta that is in no store: a file of this digest that is the image `fsmeta`.
pub(super) fn disk_text_of<R: ReadAt>(
    chain_id: ChainId,
    digest: Digest,
    fsmeta: &Image<R>,
) -> Result<String, Error> {
    let named = |Extent { file, sectors }| Extent { file: relative_path(file), sectors };
    let extents = extents(chain_id, fsmeta)?.into_iter().map(named).collect();
    vmdk(chain_id, digest, extents)
}

/// From the folder of a disk, `f1/disks/sha256`, to `artifact`, which is in the same `f1`.
fn relative_path(artifact: Artifact) -> String {
    artifact.path().replacen("f1/", "../../", 1)
}
