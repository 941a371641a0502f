//! Outdated: what the images' tags name now, beside what is locked. Writes nothing.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;

use crate::engine::error::Error;
use crate::engine::source::Sources;
use crate::oci::digest::Digest;
use crate::project::files::Inputs;
use crate::project::relock::IMAGES_AT_ONCE;
use crate::spec::manifest_file::ImageSpec;
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

/// How an image's tag and its pin compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The tag names what is locked.
    Current,
    /// The tag names something else.
    Moved,
    /// There is no such tag any more.
    TagGone,
    /// The image is given by digest alone: there is no tag to compare.
    Pinned,
    /// The image is not locked, or for another source.
    NotLocked,
}

/// An image, as it is locked and as its source has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tracked {
    /// Where it comes from.
    pub source: ImageSource,
    /// The digest that is locked for this source.
    pub locked: Option<Digest>,
    /// The digest that the tag names now.
    pub current: Option<Digest>,
    /// How the two compare.
    pub state: State,
    /// Whether the registry does not have the locked digest any more.
    pub vanished: bool,
}

impl Tracked {
    /// Whether there is something that a person should look at.
    pub fn is_outdated(&self) -> bool {
        self.vanished || !matches!(self.state, State::Current | State::Pinned)
    }
}

/// Each image of the image set with what was found of it, in the order of their names.
pub(super) async fn outdated(
    inputs: &Inputs,
    sources: &Sources,
) -> Vec<(ImageName, Result<Tracked, Error>)> {
    let images = inputs.image_set.images.iter();
    let tracked = images.map(|(name, spec)| async move {
        let locked = inputs.lock.image(name.as_str());
        let locked = locked.filter(|locked| locked.source == spec.source);
        (name.clone(), track(spec, locked.map(|locked| locked.digest), sources).await)
    });
    let mut found: Vec<_> = stream::iter(tracked).buffer_unordered(IMAGES_AT_ONCE).collect().await;
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

async fn track(
    spec: &ImageSpec,
    locked: Option<Digest>,
    sources: &Sources,
) -> Result<Tracked, Error> {
    let named = spec.source.without_digest();
    let current = match &named {
        Some(named) => digest_of(named, sources).await?,
        None => None,
    };
    let state = match (locked, current) {
        (None, _) => State::NotLocked,
        (Some(_), _) if named.is_none() => State::Pinned,
        (Some(_), None) => State::TagGone,
        (Some(locked), Some(current)) if locked == current => State::Current,
        (Some(_), Some(_)) => State::Moved,
    };
    let vanished = match (locked, &spec.source) {
        (Some(digest), ImageSource::Registry(reference)) if state != State::Current => {
            let pinned = ImageSource::Registry(reference.clone().with_digest(digest));
            digest_of(&pinned, sources).await?.is_none()
        }
        _ => false,
    };
    Ok(Tracked { source: spec.source.clone(), locked, current, state, vanished })
}

/// The digest of what `source` names now, if it has it.
async fn digest_of(source: &ImageSource, sources: &Sources) -> Result<Option<Digest>, Error> {
    let open = sources.open(source).await?.ok_or_else(|| Error::NoNetwork(source.clone()))?;
    match open.digest().await {
        Ok(digest) => Ok(Some(digest)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
