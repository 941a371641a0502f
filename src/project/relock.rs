//! Lock: the least change that makes a lock satisfy its image set.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use tracing::debug;

use crate::engine::error::Error;
use crate::engine::resolve::{Resolved, resolve};
use crate::engine::source::Sources;
use crate::oci::digest::Digest;
use crate::plan::event::Event;
use crate::project::Session;
use crate::project::files::Inputs;
use crate::spec::freshness::{Needs, Reason, to_resolve};
use crate::spec::lockfile::Lock;
use crate::spec::manifest_file::ImageSpec;
use crate::spec::name::ImageName;

/// Images that are resolved at once: each is a few small requests, one after the other.
pub(super) const IMAGES_AT_ONCE: usize = 16;

/// A lock that satisfies its image set, unless something failed.
#[derive(Debug)]
pub struct Relocked {
    /// The new lock. Where images failed, it still has them as they were.
    pub lock: Lock,
    /// Images that were resolved.
    pub resolved: BTreeSet<ImageName>,
    /// Images that could not be resolved, and why.
    pub failures: Vec<(ImageName, Error)>,
}

/// Resolves what is stale, and the tags of `moving`.
pub(super) async fn relock(
    inputs: &Inputs,
    moving: &BTreeSet<ImageName>,
    sources: &Sources,
    session: &Session,
) -> Relocked {
    let mut lock = inputs.lock.clone();
    for stale in inputs.stale.iter().filter(|stale| stale.needs == Needs::Nothing) {
        let Some(name) = &stale.image else { continue };
        match inputs.image_set.images.get(name) {
            Some(spec) => lock.retain_platforms(name.as_str(), &spec.platforms),
            None => drop(lock.remove(name.as_str())),
        }
    }
    let mut relocked = Relocked { lock, resolved: BTreeSet::new(), failures: Vec::new() };
    let stale = to_resolve(&inputs.stale);
    let wanted = inputs.image_set.images.iter().filter(|(name, spec)| {
        stale.contains(name) || moving.contains(*name) && !spec.source.is_pinned()
    });
    let results = wanted.map(|(name, spec)| async move {
        let pin = if moving.contains(name) { None } else { pin(inputs, name) };
        (name, resolve_one(name, spec, pin, sources, session).await)
    });
    for (name, spec) in &inputs.image_set.images {
        log_decision(inputs, moving, name, spec);
    }
    let mut results = stream::iter(results).buffer_unordered(IMAGES_AT_ONCE);
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(resolved) if !stale.contains(name) && is_unmoved(inputs, name, &resolved) => {}
            Ok(resolved) => {
                relocked.lock.insert(name.clone(), resolved.image);
                relocked.resolved.insert(name.clone());
            }
            Err(error) => relocked.failures.push((name.clone(), error)),
        }
    }
    relocked.failures.sort_by(|(one, _), (other, _)| one.cmp(other));
    relocked
}

/// Says why an image is resolved, or that it is not.
fn log_decision(inputs: &Inputs, moving: &BTreeSet<ImageName>, name: &ImageName, spec: &ImageSpec) {
    let stale = inputs.stale.iter().filter(|stale| stale.image.as_ref() == Some(name));
    let reasons: Vec<&str> = stale.map(|stale| stale.reason.as_str()).collect();
    let source = &spec.source;
    if moving.contains(name) && !source.is_pinned() {
        debug!("resolves {name} ({source}): its tag is to be asked for again");
    } else if reasons.is_empty() {
        debug!("keeps the pin of {name} ({source})");
    } else {
        debug!("resolves {name} ({source}): {}", reasons.join(", "));
    }
}

/// Whether an image whose block is right was found where it is: its block may say more than its registry.
fn is_unmoved(inputs: &Inputs, name: &ImageName, resolved: &Resolved) -> bool {
    let locked = inputs.lock.image(name.as_str());
    locked.is_some_and(|locked| locked.digest == resolved.image.digest)
}

/// The digest that `name` stays at: its line in `sandbox-images.toml` is the same, and only what is locked
/// below that digest is to be found out again.
fn pin(inputs: &Inputs, name: &ImageName) -> Option<Digest> {
    let locked = inputs.lock.image(name.as_str())?;
    let moves = |reason| matches!(reason, Reason::Added | Reason::SourceChanged);
    let mut reasons = inputs.stale.iter().filter(|stale| stale.image.as_ref() == Some(name));
    (!reasons.any(|stale| moves(stale.reason))).then_some(locked.digest)
}

/// Resolves `spec`, and tells of it.
pub(super) async fn resolve_one(
    name: &ImageName,
    spec: &ImageSpec,
    pin: Option<Digest>,
    sources: &Sources,
    session: &Session,
) -> Result<Resolved, Error> {
    let reporter = session.reporter.as_ref();
    let (image, source) = (name.clone(), spec.source.to_string());
    reporter.report(Event::Resolving { image, source });
    let source = sources.open(&spec.source).await?;
    let source = source.ok_or_else(|| Error::NoNetwork(spec.source.clone()))?;
    let resolved = resolve(spec, &source, pin, &session.limits).await?;
    for message in &resolved.warnings {
        let (code, image, message) = ("platform".to_owned(), Some(name.clone()), message.clone());
        reporter.report(Event::Warning { code, image, message });
    }
    let layers = resolved.image.platforms.values().flat_map(|platform| &platform.layers);
    let layers: BTreeMap<Digest, u64> = layers.map(|layer| (layer.digest, layer.size)).collect();
    reporter.report(Event::Resolved {
        image: name.clone(),
        digest: resolved.image.digest,
        platforms: resolved.image.platforms.keys().cloned().collect(),
        layers: u64::try_from(layers.len()).unwrap_or(u64::MAX),
        size_bytes: layers.values().fold(0, |sum, size| sum.saturating_add(*size)),
    });
    Ok(resolved)
}
