//! Two locks compared, for who reviews the change.
//!
//! The question is what a machine that has the one would fetch for the other, and why: so the bytes to
//! download are those of the plan from the one to the other, and content that both have, under whatever
//! name, costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::oci::digest::{DiffId, Digest};
use crate::oci::platform::Platform;
use crate::plan::selection::Selection;
use crate::plan::{plan, wanted};
use crate::spec::lockfile::{Lock, LockedImage, LockedLayer, LockedPlatform};
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

/// How two locks differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockDiff {
    /// The images that differ, in the order of their names.
    pub images: Vec<ImageDiff>,
    /// How many are the same.
    pub unchanged: usize,
    /// Bytes to fetch by who has all of the old lock and wants all of the new one.
    pub download_bytes: u64,
}

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the new lock has it.
    Added,
    /// Only the old lock has it.
    Removed,
    /// Both have it, and not the same of it.
    Changed,
}

/// A value in the old lock and in the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    /// In the old lock; nothing where it has none.
    pub old: Option<T>,
    /// In the new lock; nothing where it has none.
    pub new: Option<T>,
}

impl<T: PartialEq> Sides<T> {
    /// Whether both sides are the same.
    pub fn is_same(&self) -> bool {
        self.old == self.new
    }

    /// What happened; of two sides that are the same, nothing.
    pub fn change(&self) -> Option<Change> {
        match (&self.old, &self.new) {
            (None, Some(_)) => Some(Change::Added),
            (Some(_), None) => Some(Change::Removed),
            _ if self.is_same() => None,
            _ => Some(Change::Changed),
        }
    }
}

/// One image that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageDiff {
    /// Its name.
    pub image: ImageName,
    /// What happened to it.
    pub change: Change,
    /// Where it comes from.
    pub source: Sides<ImageSource>,
    /// Its index or manifest.
    pub digest: Sides<Digest>,
    /// The platforms that differ.
    pub platforms: Vec<PlatformDiff>,
    /// Bytes to fetch for it. What several images need is counted at the first.
    pub download_bytes: u64,
}

/// One platform of an image that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformDiff {
    /// Which.
    pub platform: Platform,
    /// What happened to it.
    pub change: Change,
    /// Its manifest.
    pub manifest: Sides<Digest>,
    /// Its config.
    pub config: Sides<Digest>,
    /// Layers that only the new lock has here, bottom to top.
    pub layers_added: Vec<Layer>,
    /// Layers that only the old lock has here, bottom to top.
    pub layers_removed: Vec<Layer>,
    /// How many layers both have.
    pub layers_kept: usize,
}

/// A layer that one of the locks has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// The digest of its compressed bytes.
    pub digest: Digest,
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// Compressed bytes.
    pub size_bytes: u64,
}

/// How `new` differs from `old`.
pub fn diff(old: &Lock, new: &Lock) -> LockDiff {
    let downloads = downloads(old, new);
    let names: BTreeSet<&ImageName> =
        old.images().chain(new.images()).map(|(name, _)| name).collect();
    let images: Vec<ImageDiff> = names
        .iter()
        .filter_map(|&name| {
            let sides = Sides { old: old.image(name.as_str()), new: new.image(name.as_str()) };
            image(name, &sides, downloads.get(name).copied().unwrap_or(0))
        })
        .collect();
    LockDiff {
        unchanged: names.len() - images.len(),
        download_bytes: downloads.values().copied().fold(0, u64::saturating_add),
        images,
    }
}

/// Bytes to fetch, by the image that is the first to need them.
fn downloads(old: &Lock, new: &Lock) -> BTreeMap<ImageName, u64> {
    let have = wanted(old, &Selection::everything(old));
    let mut downloads: BTreeMap<ImageName, u64> = BTreeMap::new();
    for action in plan(new, &Selection::everything(new), &have).actions {
        let bytes = downloads.entry(action.origin().image.clone()).or_default();
        *bytes = bytes.saturating_add(action.download_bytes());
    }
    downloads
}

fn image<'l>(
    name: &ImageName,
    sides: &Sides<&'l LockedImage>,
    download_bytes: u64,
) -> Option<ImageDiff> {
    let images = [sides.old, sides.new].into_iter().flatten();
    let names: BTreeSet<&Platform> = images.flat_map(|image| image.platforms.keys()).collect();
    let platforms = names.into_iter().filter_map(|name| {
        let of = |image: &'l LockedImage| image.platforms.get(name);
        platform(name, &Sides { old: sides.old.and_then(of), new: sides.new.and_then(of) })
    });
    Some(ImageDiff {
        image: name.clone(),
        change: sides.change()?,
        source: each(sides, |image| image.source.clone()),
        digest: each(sides, |image| image.digest),
        platforms: platforms.collect(),
        download_bytes,
    })
}

fn platform<'l>(name: &Platform, sides: &Sides<&'l LockedPlatform>) -> Option<PlatformDiff> {
    let layers = |of: Option<&'l LockedPlatform>| of.map_or(&[][..], |of| &of.layers);
    let (old, new) = (layers(sides.old), layers(sides.new));
    let added = missing_in(old, new);
    Some(PlatformDiff {
        platform: name.clone(),
        change: sides.change()?,
        manifest: each(sides, |locked| locked.manifest.digest),
        config: each(sides, |locked| locked.config.digest),
        layers_kept: new.len() - added.len(),
        layers_added: added,
        layers_removed: missing_in(new, old),
    })
}

fn each<S, T>(sides: &Sides<&S>, part: impl Fn(&S) -> T) -> Sides<T> {
    Sides { old: sides.old.map(&part), new: sides.new.map(&part) }
}

/// The layers of `there` that are not among `here`.
fn missing_in(here: &[LockedLayer], there: &[LockedLayer]) -> Vec<Layer> {
    let known: BTreeSet<Digest> = here.iter().map(|layer| layer.digest).collect();
    let others = there.iter().filter(|layer| !known.contains(&layer.digest));
    let layer = |layer: &LockedLayer| Layer {
        digest: layer.digest,
        diff_id: layer.diff_id,
        size_bytes: layer.size,
    };
    others.map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::document::kind::Kind;
    use crate::spec::lockfile::LockedDocument;

    /// A lock of images `name tag platform:layers…`, with a semicolon between them. A layer is a letter and
    /// has 10 bytes; a capital is its small letter, compressed otherwise. A document has one byte.
    fn lock(text: &str) -> Lock {
        let mut lock = Lock::new();
        for line in text.split(';').filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, tag, platforms @ ..] = &words[..] else { panic!("{line}") };
            let platforms = platforms.iter().map(|words| {
                let (arch, layers) = words.split_once(':').unwrap();
                (format!("linux/{arch}").parse().unwrap(), locked(layers))
            });
            let image = LockedImage {
                source: ImageSource::parse(&format!("{name}:{tag}"), "docker.io").unwrap(),
                digest: Digest::of(format!("{words:?}").replace(tag, "")),
                media_type: Kind::OciIndex,
                size: 1,
                absent_platforms: BTreeSet::new(),
                platforms: platforms.collect(),
            };
            lock.insert(name.parse().unwrap(), image);
        }
        lock
    }

    fn locked(layers: &str) -> LockedPlatform {
        let document =
            |of: &str| LockedDocument { digest: Digest::of(format!("{of} {layers}")), size: 1 };
        let layer = |letter: char| LockedLayer {
            digest: Digest::of(letter.to_string()),
            size: 10,
            diff_id: DiffId(Digest::of(letter.to_lowercase().to_string())),
            layer_type: "tar+gzip".parse().unwrap(),
            erofs: None,
        };
        LockedPlatform {
            manifest: document("manifest"),
            config: document("config"),
            fsmeta: None,
            layers: layers.chars().map(layer).collect(),
        }
    }

    /// Each difference as words, and the bytes to fetch.
    #[track_caller]
    fn check(old: &str, new: &str, expected: &[&str], download_bytes: u64) {
        let diff = diff(&lock(old), &lock(new));
        let mut words = Vec::new();
        for ImageDiff { image, change, source, platforms, download_bytes, .. } in &diff.images {
            let moved = if source.is_same() { "" } else { " source" };
            words.push(format!("{image} {change:?}{moved} {download_bytes}"));
            words.extend(platforms.iter().map(|platform| {
                let PlatformDiff {
                    platform,
                    change,
                    layers_added,
                    layers_removed,
                    layers_kept,
                    ..
                } = platform;
                let (added, removed) = (layers_added.len(), layers_removed.len());
                format!("  {platform} {change:?} +{added} -{removed} ={layers_kept}")
            }));
        }
        assert_eq!(words, expected);
        assert_eq!(diff.download_bytes, download_bytes);
        assert_eq!(
            diff.images.iter().map(|image| image.download_bytes).sum::<u64>(),
            download_bytes
        );
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        check("a 1 amd64:x; b 1 arm64:y", "a 1 amd64:x; b 1 arm64:y", &[], 0);
    }

    #[test]
    fn an_image_comes_and_goes() {
        let image = "a 1 amd64:xy";
        check("", image, &["a Added source 23", "  linux/amd64 Added +2 -0 =0"], 23);
        check(image, "", &["a Removed source 0", "  linux/amd64 Removed +0 -2 =0"], 0);
    }

    #[test]
    fn a_new_layer_is_fetched_and_the_others_stay() {
        let expected = ["a Changed 13", "  linux/amd64 Changed +1 -1 =2"];
        check("a 1 amd64:xyz", "a 1 amd64:xyw", &expected, 13);
    }

    #[test]
    fn only_the_platform_that_moved_is_told() {
        let expected = ["a Changed 13", "  linux/arm64 Changed +1 -0 =1"];
        check("a 1 amd64:x arm64:x", "a 1 amd64:x arm64:xy", &expected, 13);
        // Only the index is new: the documents of the platforms are the same here, as their layers are.
        let expected = ["a Changed 1", "  linux/arm64 Added +1 -0 =0"];
        check("a 1 amd64:x", "a 1 amd64:x arm64:x", &expected, 1);
    }

    #[test]
    fn a_tag_that_moved_to_the_same_content_costs_nothing() {
        check("a 1 amd64:x", "a 2 amd64:x", &["a Changed source 0"], 0);
    }

    #[test]
    fn what_two_images_need_is_fetched_once_and_what_another_has_is_not() {
        let expected = [
            "b Added source 13",
            "  linux/amd64 Added +2 -0 =0",
            "c Added source 1",
            "  linux/amd64 Added +2 -0 =0",
        ];
        check("a 1 amd64:x", "a 1 amd64:x; b 1 amd64:xy; c 1 amd64:xy", &expected, 14);
    }

    #[test]
    fn a_sum_ends_at_what_can_be_counted() {
        let mut huge = Lock::new();
        for (name, image) in lock("a 1 amd64:x; b 1 amd64:y").images() {
            let mut image = image.clone();
            image.platforms.values_mut().for_each(|locked| locked.layers[0].size = u64::MAX);
            huge.insert(name.clone(), image);
        }
        assert_eq!(diff(&Lock::new(), &huge).download_bytes, u64::MAX);
    }

    #[test]
    fn a_layer_that_was_only_compressed_anew_is_told_and_not_fetched() {
        let expected = ["a Changed 3", "  linux/amd64 Changed +1 -1 =0"];
        check("a 1 amd64:x", "a 1 amd64:X", &expected, 3);
    }
}
