//! What a project hands to other programs: the images of its lock, on the platform of this machine.

use std::collections::BTreeMap;
use std::path::Path;

use crate::oci::digest::Digest;
use crate::oci::platform::Platform;
use crate::plan::selection::Selection;
use crate::project::{Project, Session};
use crate::publish::error::Error;
use crate::publish::microsandbox::{Image, Published, is_published, publish};
use crate::spec::lockfile::{Lock, LockedImage};
use crate::spec::name::ImageName;

/// Where images are published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target<'a> {
    /// microsandbox's cache in this directory.
    Microsandbox(&'a Path),
}

impl Project {
    /// Hands what `selection` wants of `lock` to another program, each image with its own answer. All of it must
    /// be in the store. Only images for the platform of this machine are handed over: other programs have one
    /// place for all platforms.
    pub fn publish(
        &self,
        lock: &Lock,
        selection: &Selection,
        target: Target<'_>,
        session: &Session,
    ) -> Vec<(ImageName, Result<Published, Error>)> {
        let Target::Microsandbox(cache) = target;
        let publish_one = |(name, image): (ImageName, Image<'_>)| {
            (name, publish(self.store(), cache, &image, &session.caller))
        };
        images(lock, selection).map(publish_one).collect()
    }

    /// The images that [`Project::publish`] would write anything of, as far as the store has them: what is
    /// still to be synced is among them.
    pub fn unpublished(
        &self,
        lock: &Lock,
        selection: &Selection,
        target: Target<'_>,
        session: &Session,
    ) -> Vec<ImageName> {
        let Target::Microsandbox(cache) = target;
        let is_whole = |image: &Image<'_>| {
            matches!(is_published(self.store(), cache, image, &session.caller), Ok(true))
        };
        images(lock, selection)
            .filter(|(_, image)| !is_whole(image))
            .map(|(name, _)| name)
            .collect()
    }
}

/// The selected images that this machine runs. A tag that several of the lock's images have is that of the
/// one that follows it; among those that are pinned by digest, of the first by name.
fn images<'a>(
    lock: &'a Lock,
    selection: &'a Selection,
) -> impl Iterator<Item = (ImageName, Image<'a>)> {
    let owners = tag_owners(lock);
    let host = Platform::host_linux();
    selection.images.iter().filter_map(move |(name, platforms)| {
        let found = lock.image(name.as_str())?;
        let platform = platforms.iter().find(|platform| {
            platform.os() == host.os() && platform.architecture() == host.architecture()
        })?;
        let image = Image {
            source: &found.source,
            digest: found.digest,
            locked: found.platforms.get(platform)?,
            owns_tag: tag_of(found).is_none_or(|tag| owners.get(&tag) == Some(&found.digest)),
        };
        Some((name.clone(), image))
    })
}

/// Which digest each tag stands for.
fn tag_owners(lock: &Lock) -> BTreeMap<String, Digest> {
    let mut owners = BTreeMap::new();
    for is_pinned in [false, true] {
        for (_, image) in lock.images().filter(|(_, image)| image.source.is_pinned() == is_pinned) {
            if let Some(tag) = tag_of(image) {
                owners.entry(tag).or_insert(image.digest);
            }
        }
    }
    owners
}

fn tag_of(image: &LockedImage) -> Option<String> {
    Some(image.source.without_digest()?.reference()?.to_string())
}
