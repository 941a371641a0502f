//! microsandbox's cache: images that `msb run --pull never` starts with no network.
//!
//! ```text
//! layers/sha256_<diff_id>.erofs       the image of a layer: the store's file under a second name, or a copy
//! fsmeta/sha256_<manifest>.erofs      the merged metadata, by the digest of the platform's manifest
//! vmdk/sha256_<manifest>.vmdk         the disk; its extents are relative, so the cache can be moved
//! manifests/<key>.json                what is known of the image; written last, one for each reference
//! ```
//!
//! Layers and metadata are as the crate `microsandbox-image` 0.7.13 reads them. The names in `manifests` have no
//! platform, so only the host's is published. A layer that its readers take for damaged is published
//! without what they do not know (see [`portable`](crate::disk::erofs::portable)); the merged metadata keep it.
//!
//! The locks are taken in this order: the pull locks of the references, the leases of all files, the locks
//! of those who make layers and metadata, the gate of one reference at a time. Then, what a crash after
//! each step leaves:
//!
//! 1. What is not linked is written to a `.part`, which nobody reads: the next one replaces it.
//! 2. The note in the store names all that follows: nothing is there that is not noted as ours.
//! 3. Layers, then metadata, then the disk get their names, complete and durable: nobody asks for them yet.
//! 4. Each reference's document is replaced: the image is there.

mod names;

mod metadata;

mod lock;

mod note;

mod folders;

mod content;

mod copy;

mod place;

mod withdraw;

use std::collections::BTreeSet;
use std::path::Path;

use self::content::Content;
use self::folders::Folders;
use self::note::{Note, id_of};
use self::place::Placing;
use crate::engine::collect::Staying;
use crate::engine::collect::withdrawal::Withdrawn;
use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::publish::error::Error;
use crate::spec::lockfile::LockedPlatform;
use crate::spec::source::ImageSource;
use crate::store::Store;
use crate::store::exclusive::ExclusiveStore;
use crate::store::guard::Caller;

/// An image of a lock, on the host's platform.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Where it comes from, which is how it is asked for.
    pub source: &'a ImageSource,
    /// What the source resolved to.
    pub digest: Digest,
    /// Its documents and layers.
    pub locked: &'a LockedPlatform,
    /// Whether the source's tag is this image's, and not that of another image with the same tag.
    pub owns_tag: bool,
}

/// What came of publishing an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// What it can be asked for by.
    pub references: BTreeSet<String>,
    /// Whether anything was written.
    pub changed: bool,
    /// Files that are the store's own under a second name.
    pub linked: u64,
    /// Files that were copied, or share the blocks of the store's.
    pub copied: u64,
    /// Layers that were published without attributes that microsandbox does not read.
    pub altered: u64,
}

impl Image<'_> {
    /// The canonical texts of the references by which it can be asked for: the tag, the tag with the digest,
    /// the digest, and the digest of the platform's manifest.
    pub fn references(&self) -> Result<BTreeSet<String>, Error> {
        let Some(reference) = self.source.reference() else {
            return Err(Error::Local(self.source.clone()));
        };
        let name = format!("{}/{}", reference.registry(), reference.repository());
        let mut texts = BTreeSet::from([
            format!("{name}@{}", self.digest),
            format!("{name}@{}", self.locked.manifest.digest),
        ]);
        if let Some(tag) = reference.tag() {
            texts.insert(format!("{name}:{tag}@{}", self.digest));
            if self.owns_tag {
                texts.insert(format!("{name}:{tag}"));
            }
        }
        Ok(texts)
    }

    /// What of the store is published of it.
    pub fn artifacts(&self) -> BTreeSet<Artifact> {
        let LockedPlatform { manifest, config, .. } = self.locked;
        let chain_id = self.locked.chain_id();
        let layers = self.locked.diff_ids().map(Artifact::Layer);
        layers
            .chain([Artifact::Fsmeta(chain_id), Artifact::Disk(chain_id)])
            .chain([manifest.digest, config.digest].map(Artifact::Blob))
            .collect()
    }
}

/// Publishes `image`, all of which is in `store`, to the cache in the directory `cache`, which is made if it
/// is missing. What is there already is left as it is; if all of it is, nothing is written anywhere, and only what dead
/// runs left in the store goes.
pub fn publish(
    store: &Store,
    cache: &Path,
    image: &Image<'_>,
    caller: &Caller,
) -> Result<Published, Error> {
    let content = Content::of(store, image)?;
    if let Some(folders) = Folders::open(cache)? {
        let id = id_of(folders.path())?;
        let note = Note::read(store.publication(id)?, folders.path())?;
        if Placing::new(&folders, &content, note, caller).is_done()? {
            // What dead runs left goes also where there is nothing to do; what stays harms nobody.
            let _ = store.sweep_remains(&BTreeSet::new());
            return Ok(Published { references: content.references, ..Published::default() });
        }
    }
    let wanted: Vec<Artifact> = image.artifacts().into_iter().collect();
    let run = store.shared()?.begin_run(&wanted, caller.clone())?;
    // Whoever deletes may have come before the run's lease was there.
    let content = Content::of(store, image)?;
    let folders = Folders::make(cache)?;
    let publication = run.publication(id_of(folders.path())?)?;
    let note = Note::read(publication.read()?, folders.path())?;
    Placing::new(&folders, &content, note, caller).place(&publication)
}

/// Whether [`publish`] would write anything. Takes no lock and writes nothing.
pub fn is_published(
    store: &Store,
    cache: &Path,
    image: &Image<'_>,
    caller: &Caller,
) -> Result<bool, Error> {
    let Some(folders) = Folders::open(cache)? else {
        return Ok(false);
    };
    let content = Content::of(store, image)?;
    let note = Note::read(store.publication(id_of(folders.path())?)?, folders.path())?;
    Placing::new(&folders, &content, note, caller).is_done()
}

/// Takes out of every cache the images that were published from `store` and were made of anything that is gone, or
/// is about to be deleted. Only what was published is deleted, and nothing that is in use; nothing is waited
/// for. What stays is whole without the store, and goes another time.
pub fn withdraw(store: &Store, exclusive: &ExclusiveStore, staying: &Staying) -> Vec<Withdrawn> {
    withdraw::withdraw(store, exclusive, staying)
}

/// What [`withdraw`] would do now, if nobody used anything: no lock is taken to find out. Writes nothing.
pub fn preview(store: &Store, staying: &Staying) -> Vec<Withdrawn> {
    withdraw::preview(store, staying)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::reference::Reference;
    use crate::spec::lockfile::Lock;

    const LOCK: &str = include_str!("../../tests/data/locks/v1.lock");

    #[track_caller]
    fn check(source: &ImageSource, owns_tag: bool, expected: &[&str]) {
        let lock = Lock::parse(LOCK).unwrap();
        let (_, locked) = lock.images().next().unwrap();
        let platform = locked.platforms.values().next().unwrap();
        let digest = Digest::of("index");
        let image = Image { source, digest, locked: platform, owns_tag };
        let manifest = platform.manifest.digest.to_string();
        let found: BTreeSet<String> = image
            .references()
            .unwrap()
            .into_iter()
            .map(|text| text.replace(&manifest, "MANIFEST").replace(&digest.to_string(), "INDEX"))
            .collect();
        assert_eq!(found, expected.iter().map(|&text| text.to_owned()).collect());
    }

    #[test]
    fn an_image_is_asked_for_by_tag_and_by_both_digests() {
        let source = |text: &str| ImageSource::Registry(text.parse::<Reference>().unwrap());
        let of_tag = [
            "docker.io/library/app:1",
            "docker.io/library/app:1@INDEX",
            "docker.io/library/app@INDEX",
            "docker.io/library/app@MANIFEST",
        ];
        check(&source("app:1"), true, &of_tag);
        check(&source("app:1"), false, &of_tag[1..]);
        let digest = Digest::of("index");
        check(&source(&format!("app@{digest}")), true, &of_tag[2..]);
    }
}
