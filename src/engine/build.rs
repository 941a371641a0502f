//! What is built from layer images alone, with no network: fsmeta and disk.

use std::io::{BufWriter, Write as _};

use crate::disk::erofs::error::Error as ErofsError;
use crate::disk::erofs::fsmeta;
use crate::disk::erofs::layer::LayerImage;
use crate::disk::erofs::reader::Image;
use crate::disk::extents::{Extent, Part, stitch};
use crate::disk::file::ReadAt;
use crate::disk::vmdk::Vmdk;
use crate::engine::disk::Disk;
use crate::engine::error::{Error, not_stored};
use crate::layer::changeset::Changeset;
use crate::layer::merge::{Merged, merge};
use crate::layer::warning::Warnings;
use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::plan::action::Stack;
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::guard::ArtifactGuard;
use crate::store::ingest::{Expected, Ingest};
use crate::store::record::Record;
use crate::store::run::Run;
use crate::store::stored::StoredFile;

/// Bytes of an fsmeta: the metadata of the most entries that a stack may have.
const FSMETA_BYTES_MAX: u64 = 16 << 30;

/// Bytes that are gathered for one write.
const OUTPUT_BYTES: usize = 256 << 10;

/// Merges the layers of `stack` and commits their metadata. Answers also what was decided on the way.
pub(super) fn fsmeta(
    store: &Store,
    run: &Run,
    stack: &Stack,
    guard: ArtifactGuard,
) -> Result<(Record, Warnings), Error> {
    let images = stack
        .layers
        .iter()
        .map(|&layer| open_layer(store, layer))
        .collect::<Result<Vec<_>, _>>()?;
    let (ingest, warnings) = fsmeta_of(run, stack, &images)?;
    Ok((ingest.commit(guard, Expected::default())?, warnings))
}

/// Merges the layers of `stack`, which have these `images`, into a file that is not committed.
pub(super) fn fsmeta_of<R: ReadAt>(
    run: &Run,
    stack: &Stack,
    images: &[Image<R>],
) -> Result<(Ingest, Warnings), Error> {
    let artifact = Artifact::Fsmeta(stack.chain_id);
    let merged = merge_images(artifact, stack, images)?;
    let images: Vec<LayerImage> = stack
        .layers
        .iter()
        .zip(images)
        .map(|(&diff_id, image)| LayerImage { diff_id, blocks: image.superblock().blocks })
        .collect();
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, run.ingest(FSMETA_BYTES_MAX)?);
    let not_written = |error| not_stored(error, |error| Error::Fsmeta(artifact, error.into()));
    fsmeta::write(&merged.tree, &images, &mut out).map_err(|error| match error {
        ErofsError::Io(error) => not_written(error),
        error => Error::Fsmeta(artifact, error),
    })?;
    out.flush().map_err(not_written)?;
    let ingest = out.into_inner().map_err(|error| not_written(error.into_error()))?;
    Ok((ingest, merged.warnings))
}

fn open_layer(store: &Store, layer: DiffId) -> Result<Image<StoredFile>, Error> {
    let artifact = Artifact::Layer(layer);
    Image::open(store.open(artifact)?).map_err(|error| Error::Stored(artifact, error))
}

/// Merges the trees of the layers' images, each of which is let go when it is merged.
fn merge_images<R: ReadAt>(
    artifact: Artifact,
    stack: &Stack,
    images: &[Image<R>],
) -> Result<Merged, Error> {
    let mut failed = None;
    let mut layers = stack.layers.iter().zip(images).zip(0..);
    let changesets = std::iter::from_fn(|| {
        let ((&diff_id, image), place) = layers.next()?;
        changeset(diff_id, image, place).map_err(|error| failed = Some(error)).ok()
    });
    let merged = merge(changesets).map_err(|error| Error::Merge(artifact, error));
    match failed {
        Some(error) => Err(error),
        None => merged,
    }
}

fn changeset<R: ReadAt>(diff_id: DiffId, image: &Image<R>, place: u16) -> Result<Changeset, Error> {
    let artifact = Artifact::Layer(diff_id);
    let tree = image.tree(place).map_err(|error| Error::Stored(artifact, error))?;
    Changeset::from_overlay(tree).map_err(|error| Error::Overlay(artifact, error))
}

/// Writes the text that joins the fsmeta of `stack` and its layers, and commits it.
pub(super) fn disk(
    store: &Store,
    run: &Run,
    stack: &Stack,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let disk = Disk::open(store, stack.chain_id)?;
    let text = disk.vmdk(|part| relative_path(part.artifact))?;
    Ok(run.commit_bytes(guard, text.as_bytes())?)
}

/// The text of the disk whose fsmeta is `image`, a file of this digest.
pub(super) fn disk_text<R: ReadAt>(
    chain_id: ChainId,
    fsmeta: Digest,
    image: &Image<R>,
) -> Result<String, Error> {
    let artifact = Artifact::Disk(chain_id);
    let layers = image.devices().iter().map(LayerImage::from);
    let extents = stitch(image.superblock().blocks, layers)
        .map_err(|error| Error::TooLong(artifact, error))?;
    let named = |Extent { file, sectors }| {
        let part = match file {
            Part::Fsmeta => Artifact::Fsmeta(chain_id),
            Part::Layer(diff_id) => Artifact::Layer(diff_id),
        };
        Extent { file: relative_path(part), sectors }
    };
    let vmdk = Vmdk::new(&fsmeta, extents.into_iter().map(named).collect());
    vmdk.render().map_err(|error| Error::Vmdk(artifact, error))
}

/// From the folder of a disk, `f1/disks/sha256`, to `artifact`, which is in the same `f1`.
fn relative_path(artifact: Artifact) -> String {
    artifact.path().replacen("f1/", "../../", 1)
}
