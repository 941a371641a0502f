//! What differs between two locks: which images moved, and what that means for who syncs them.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::oci::digest::Digest;
use crate::oci::platform::Platform;
use crate::spec::lockfile::{Lock, LockedImage, LockedPlatform};
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

/// An image that is locked to something else, or in one lock only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageChange {
    /// Its name.
    pub image: ImageName,
    /// Where it comes from, by the new lock if it has it.
    pub source: ImageSource,
    /// Its digest in the old lock.
    pub old: Option<Digest>,
    /// Its digest in the new lock.
    pub new: Option<Digest>,
    /// The platforms of which something differs.
    pub platforms: Vec<PlatformChange>,
}

/// An image's platform that is locked to something else, or in one lock only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformChange {
    /// Which.
    pub platform: Platform,
    /// The manifest's digest in the old lock.
    pub old: Option<Digest>,
    /// The manifest's digest in the new lock.
    pub new: Option<Digest>,
    /// Layers that only the new lock has for it.
    pub layers_added: usize,
    /// Layers that only the old lock has for it.
    pub layers_removed: usize,
    /// Compressed bytes of the added layers that no image of the old lock has.
    pub download_bytes: u64,
}

/// Every image that differs, in the order of their names.
pub fn changes(old: &Lock, new: &Lock) -> Vec<ImageChange> {
    let names: BTreeSet<&ImageName> =
        old.images().chain(new.images()).map(|(name, _)| name).collect();
    let known = layers(old.images().flat_map(|(_, image)| image.platforms.values()));
    let change = |name: &ImageName| {
        let (old, new) = (old.image(name.as_str()), new.image(name.as_str()));
        let source = new.or(old).filter(|_| old != new)?.source.clone();
        let digest = |image: &LockedImage| image.digest;
        let platforms = platforms(old, new, &known);
        let (old, new) = (old.map(digest), new.map(digest));
        Some(ImageChange { image: name.clone(), source, old, new, platforms })
    };
    names.into_iter().filter_map(change).collect()
}

fn platforms(
    old: Option<&LockedImage>,
    new: Option<&LockedImage>,
    known: &BTreeSet<Digest>,
) -> Vec<PlatformChange> {
    let both = old.into_iter().chain(new);
    let names: BTreeSet<&Platform> = both.flat_map(|image| image.platforms.keys()).collect();
    let change = |platform: &Platform| {
        let of = |image: Option<&'_ LockedImage>| image?.platforms.get(platform).cloned();
        let (old, new) = (of(old), of(new));
        (old != new).then(|| platform_change(platform, old.as_ref(), new.as_ref(), known))
    };
    names.into_iter().filter_map(change).collect()
}

fn platform_change(
    platform: &Platform,
    old: Option<&LockedPlatform>,
    new: Option<&LockedPlatform>,
    known: &BTreeSet<Digest>,
) -> PlatformChange {
    let (before, after) = (layers(old), layers(new));
    let added: BTreeSet<Digest> = after.difference(&before).copied().collect();
    let fetched = added.difference(known);
    let size = |digest: &Digest| {
        let layer = new?.layers.iter().find(|layer| layer.digest == *digest)?;
        Some(layer.size)
    };
    let manifest = |locked: &LockedPlatform| locked.manifest.digest;
    PlatformChange {
        platform: platform.clone(),
        old: old.map(manifest),
        new: new.map(manifest),
        layers_added: added.len(),
        layers_removed: before.difference(&after).count(),
        download_bytes: fetched.filter_map(size).fold(0, u64::saturating_add),
    }
}

fn layers<'l>(platforms: impl IntoIterator<Item = &'l LockedPlatform>) -> BTreeSet<Digest> {
    platforms.into_iter().flat_map(|locked| &locked.layers).map(|layer| layer.digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::document::kind::Kind;
    use crate::oci::document::layer_type::LayerType;
    use crate::spec::lockfile::{LockedDocument, LockedLayer};

    /// An image of these layers, each as many bytes as its text.
    fn image(layers: &[&str]) -> LockedImage {
        let root = Digest::of(layers.concat());
        let layer = |text: &&str| LockedLayer {
            digest: Digest::of(text),
            size: text.len() as u64,
            diff_id: Digest::of(text).to_string().parse().unwrap(),
            layer_type: LayerType::of_own_layer("application/vnd.oci.image.layer.v1.tar").unwrap(),
            erofs: None,
        };
        let document = LockedDocument { digest: root, size: 1 };
        let layers = layers.iter().map(layer).collect();
        let locked = LockedPlatform { manifest: document, config: document, fsmeta: None, layers };
        LockedImage {
            source: ImageSource::parse("r.io/a:1", "docker.io").unwrap(),
            digest: root,
            media_type: Kind::from_media_type("application/vnd.oci.image.manifest.v1+json")
                .unwrap(),
            size: 1,
            absent_platforms: BTreeSet::new(),
            platforms: [("linux/amd64".parse().unwrap(), locked)].into(),
        }
    }

    fn lock(images: &[(&str, &[&str])]) -> Lock {
        let mut lock = Lock::new();
        for (name, layers) in images {
            lock.insert(name.parse().unwrap(), image(layers));
        }
        lock
    }

    #[test]
    fn only_layers_that_no_image_had_are_to_be_fetched() {
        let old = lock(&[("a", &["base", "app-1"]), ("b", &["other"]), ("gone", &["x"])]);
        let new = lock(&[("a", &["base", "other", "application-2"]), ("b", &["other"])]);
        let found = changes(&old, &new);
        let names: Vec<&str> = found.iter().map(|change| change.image.as_str()).collect();
        assert_eq!(names, ["a", "gone"]);
        let [moved] = &found[0].platforms[..] else { panic!("one platform") };
        assert_eq!((moved.layers_added, moved.layers_removed), (2, 1));
        assert_eq!(moved.download_bytes, "application-2".len() as u64);
        assert_eq!((found[1].new, found[1].platforms[0].layers_removed), (None, 1));
        assert_eq!(changes(&new, &new), []);
    }
}
