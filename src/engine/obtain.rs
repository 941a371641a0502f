//! How a layer gets into a store: as an image, as a blob, or as both.
//!
//! An image is built of the blob in the store, if that is there; else of what an earlier run kept of it and of
//! the rest, which comes from where the image comes from. A blob that is to stay is committed before the image
//! that was built of it: a run that dies in between has lost nothing.
//!
//! Who makes the image of a layer takes the guard of the image first and then that of the blob, and who makes
//! the blob alone takes only the latter. So no two wait for each other, and of two processes that need the
//! same blob one fetches it.

use std::sync::Arc;

use crate::engine::context::{Context, blocking};
use crate::engine::error::{Error, committed};
use crate::engine::fetch::{BlobReader, Fetch, Fetched};
use crate::engine::layer::{Built, build, drain, image_bytes_max};
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::plan::event::Event;
use crate::store::error::Error as StoreError;
use crate::store::guard::ArtifactGuard;
use crate::store::ingest::Expected;
use crate::store::partial::{Keep, Partial};
use crate::store::record::Record;
use crate::store::run::Claim;

/// Makes the image of `layer` under `guard`.
pub(super) async fn image(
    context: &Context,
    layer: &FetchLayer,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let (built, partial) = match of_stored(context, layer).await? {
        Stored::Built(built) => (built, None),
        Stored::Lacking(blob) => of_source(context, layer, blob).await?,
    };
    let record = commit(context, layer, built, guard).await?;
    if let Some(partial) = partial {
        partial.discard();
    }
    Ok(record)
}

/// Makes the blob of `layer` under `guard`, and builds nothing of it.
pub(super) async fn blob(
    context: &Context,
    layer: &FetchLayer,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    started(context, layer, false);
    let ((), partial) = match context.sources.open(&layer.origin.source).await? {
        Some(source) => {
            let fetch = Fetch { context, source: &source, layer, stays: true };
            fetch.pass(|| Ok(drainer(layer))).await?
        }
        None => of_partial(context, layer, guard.artifact(), drainer(layer)).await?,
    };
    // A blob that is to stay always has one.
    let partial = partial.ok_or(Error::Aborted(guard.artifact()))?;
    keep(context, layer, guard, partial).await
}

/// What came of looking for the blob of a layer in the store.
enum Stored {
    /// It is there, and this is the image.
    Built(Built),
    /// It is not there, and nobody else makes it while this guard lives.
    Lacking(ArtifactGuard),
}

/// Builds the image of `layer` of the blob in the store, if there is one. A blob that is damaged is moved away if
/// another can be had, and else is the error.
async fn of_stored(context: &Context, layer: &FetchLayer) -> Result<Stored, Error> {
    let (run, blob) = (context.run.clone(), Artifact::Blob(layer.digest));
    let claim = blocking(blob, move || Ok(run.claim(blob)?)).await?;
    started(context, layer, matches!(claim, Claim::Present(_)));
    if let Claim::Mine(guard) = claim {
        return Ok(Stored::Lacking(guard));
    }
    match build_stored(context, layer).await {
        Err(error) if error.is_wrong_blob() => {}
        built => return Ok(Stored::Built(built?)),
    }
    let can_be_fetched = matches!(context.sources.open(&layer.origin.source).await, Ok(Some(_)));
    let (run, store) = (context.run.clone(), context.store.clone());
    let claim = move || {
        if can_be_fetched {
            return Ok(run.claim_damaged(blob)?);
        }
        Ok(Claim::Present(store.open_whole(blob)?.record().clone()))
    };
    match blocking(blob, claim).await? {
        Claim::Mine(guard) => {
            started(context, layer, false);
            Ok(Stored::Lacking(guard))
        }
        // Somebody else has healed it meanwhile.
        Claim::Present(_) => Ok(Stored::Built(build_stored(context, layer).await?)),
    }
}

async fn build_stored(context: &Context, layer: &FetchLayer) -> Result<Built, Error> {
    let (store, expected) = (context.store.clone(), layer.size);
    let (artifact, build) = (Artifact::Blob(layer.digest), builder(context, layer)?);
    let (diff_id, image) = (layer.diff_id, layer.origin.image.clone());
    context.reporter.report(Event::LayerBuilding { diff_id, image });
    let work = move || {
        let file = store.open(artifact)?;
        let actual = file.record().size_bytes;
        if actual != expected {
            return Err(StoreError::WrongSize { artifact, expected, actual }.into());
        }
        build(Box::new(file.into_reader()))
    };
    blocking(artifact, work).await
}

/// Builds the image of `layer` while its blob comes; under `guard`, the blob is committed if it is to stay.
async fn of_source(
    context: &Context,
    layer: &FetchLayer,
    guard: ArtifactGuard,
) -> Result<Fetched<Built>, Error> {
    let stays = context.store.keeps_blobs();
    let (built, partial) = if let Some(source) = context.sources.open(&layer.origin.source).await? {
        let fetch = Fetch { context, source: &source, layer, stays };
        fetch.pass(|| builder(context, layer)).await?
    } else {
        let artifact = Artifact::Layer(layer.diff_id);
        of_partial(context, layer, artifact, builder(context, layer)?).await?
    };
    if let Some(partial) = partial.clone().filter(|_| stays) {
        keep(context, layer, guard, partial).await?;
    }
    Ok((built, partial))
}

/// Has what an earlier run kept of the blob of `layer` used, with no network, to make `artifact`. It must be all of
/// the blob; what turns out to be something else is dropped.
async fn of_partial<T: Send + 'static>(
    context: &Context,
    layer: &FetchLayer,
    artifact: Artifact,
    consumer: impl FnOnce(BlobReader) -> Result<T, Error> + Send + 'static,
) -> Result<Fetched<T>, Error> {
    let (size_bytes, reference) = (layer.size, layer.origin.source.clone());
    let offline = || Error::Offline { artifact, size_bytes, reference: reference.clone() };
    let kept = context.run.partial(layer.digest, size_bytes);
    let kept = kept.filter(|kept| kept.kept_bytes() == size_bytes).ok_or_else(offline)?;
    let blob = Box::new(kept.reader(std::io::empty(), Keep::Whole));
    match blocking(artifact, move || consumer(blob)).await {
        Ok(used) => Ok((used, Some(kept))),
        Err(error) if error.is_wrong_blob() => {
            kept.discard();
            Err(offline())
        }
        Err(error) => Err(error),
    }
}

/// Commits what is kept of the blob of `layer`, all of which was read and is right.
async fn keep(
    context: &Context,
    layer: &FetchLayer,
    guard: ArtifactGuard,
    partial: Arc<Partial>,
) -> Result<Record, Error> {
    let (run, size_bytes, digest) = (context.run.clone(), layer.size, layer.digest);
    let keep = move || {
        let record = run.keep(guard, &partial, size_bytes, digest)?;
        // Somebody else may have committed the blob meanwhile.
        partial.discard();
        Ok(record)
    };
    blocking(Artifact::Blob(digest), keep).await
}

/// Commits an image.
async fn commit(
    context: &Context,
    layer: &FetchLayer,
    (ingest, warnings): Built,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let (diff_id, image) = (layer.diff_id, layer.origin.image.clone());
    context.warn(&image, &format!("layer `{}`", layer.digest), &warnings);
    context.reporter.report(Event::LayerVerified { diff_id, image });
    let artifact = guard.artifact();
    let expected = Expected { digest: layer.erofs, ..Expected::default() };
    blocking(artifact, move || committed(ingest.commit(guard, expected))).await
}

fn started(context: &Context, layer: &FetchLayer, stored: bool) {
    context.reporter.report(Event::LayerStarted {
        diff_id: layer.diff_id,
        digest: layer.digest,
        size_bytes: layer.size,
        image: layer.origin.image.clone(),
        stored,
    });
}

/// What makes an image of a blob.
fn builder(
    context: &Context,
    layer: &FetchLayer,
) -> Result<impl FnOnce(BlobReader) -> Result<Built, Error> + Send + use<>, Error> {
    let ingest = context.run.ingest(image_bytes_max(&context.limits))?;
    let (layer, limits) = (layer.clone(), context.limits);
    Ok(move |blob| build(blob, &layer, ingest, &limits))
}

/// What only compares the digest of a blob.
fn drainer(layer: &FetchLayer) -> impl FnOnce(BlobReader) -> Result<(), Error> + Send + use<> {
    let layer = layer.clone();
    move |blob| drain(blob, &layer)
}
