//! What a digest names in a lock, and who has it.
//!
//! One digest may name several things: an image without an index is its own manifest, an uncompressed layer
//! is its own `diff_id`, and a stack of one layer has that layer's `diff_id` for its ChainID.

use std::fmt;

use serde::Serialize;

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::spec::lockfile::{Lock, LockedImage, LockedPlatform};
use crate::spec::name::ImageName;

/// What a digest can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An image index.
    Index,
    /// A manifest.
    Manifest,
    /// A config.
    Config,
    /// A layer as the registry serves it.
    Layer,
    /// A layer's uncompressed tar, and so the name of its EROFS image.
    DiffId,
    /// The bytes of a layer's EROFS image.
    LayerImage,
    /// A stack of layers, and so the name of its fsmeta and of its disk.
    ChainId,
    /// The bytes of an fsmeta.
    FsmetaImage,
    /// The bytes of a disk's VMDK, which no lock states.
    DiskText,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Config => "config",
            Self::Layer => "layer",
            Self::DiffId => "diff_id",
            Self::LayerImage => "layer image",
            Self::ChainId => "chain_id",
            Self::FsmetaImage => "fsmeta image",
            Self::DiskText => "disk text",
        })
    }
}

/// One place at which a lock has a digest, or from which it follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Usage {
    /// The digest.
    pub digest: Digest,
    /// What it names there.
    pub kind: Kind,
    /// The image that has it.
    pub image: ImageName,
    /// The platform that has it; nothing for an index, which has all.
    pub platform: Option<Platform>,
    /// Which layer of the platform it is about, from 0 at the bottom.
    pub layer: Option<usize>,
    /// Bytes of the content, where the lock states them.
    pub size_bytes: Option<u64>,
}

impl Usage {
    /// The artifacts of a store that are named by this digest in this role.
    pub fn artifacts(&self) -> Vec<Artifact> {
        match self.kind {
            Kind::Index | Kind::Manifest | Kind::Config | Kind::Layer => {
                vec![Artifact::Blob(self.digest)]
            }
            Kind::DiffId => vec![Artifact::Layer(DiffId(self.digest))],
            Kind::ChainId => {
                let chain_id = ChainId(self.digest);
                vec![Artifact::Fsmeta(chain_id), Artifact::Disk(chain_id)]
            }
            Kind::LayerImage | Kind::FsmetaImage | Kind::DiskText => Vec::new(),
        }
    }
}

/// All usages of `lock`, by image and platform.
pub fn usages(lock: &Lock) -> Vec<Usage> {
    let mut usages = Vec::new();
    for (name, image) in lock.images() {
        usages.extend(of_index(name, image));
        for (platform, locked) in &image.platforms {
            usages.extend(of_platform(name, platform, locked));
        }
    }
    usages
}

fn of_index(name: &ImageName, image: &LockedImage) -> Option<Usage> {
    image.media_type.is_index().then(|| Usage {
        digest: image.digest,
        kind: Kind::Index,
        image: name.clone(),
        platform: None,
        layer: None,
        size_bytes: Some(image.size),
    })
}

fn of_platform(name: &ImageName, platform: &Platform, locked: &LockedPlatform) -> Vec<Usage> {
    let usage = |kind, digest, layer, size_bytes| Usage {
        digest,
        kind,
        image: name.clone(),
        platform: Some(platform.clone()),
        layer,
        size_bytes,
    };
    let LockedPlatform { manifest, config, fsmeta, layers } = locked;
    let mut usages = vec![
        usage(Kind::Manifest, manifest.digest, None, Some(manifest.size)),
        usage(Kind::Config, config.digest, None, Some(config.size)),
    ];
    for (index, layer) in layers.iter().enumerate() {
        let index = Some(index);
        usages.push(usage(Kind::Layer, layer.digest, index, Some(layer.size)));
        usages.push(usage(Kind::DiffId, layer.diff_id.0, index, None));
        usages.extend(layer.erofs.map(|digest| usage(Kind::LayerImage, digest, index, None)));
    }
    usages.push(usage(Kind::ChainId, locked.chain_id().0, None, None));
    usages.extend(fsmeta.map(|digest| usage(Kind::FsmetaImage, digest, None, None)));
    usages
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LOCK: &str = include_str!("../../tests/data/locks/v1.lock");

    /// What the digests that begin with `prefix` are, each once.
    #[track_caller]
    fn check(prefix: &str, expected: &[Kind]) {
        let lock = Lock::parse(LOCK).unwrap();
        let usages = usages(&lock).into_iter();
        let found = usages.filter(|usage| usage.digest.hex().starts_with(prefix));
        let kinds: BTreeSet<Kind> = found.map(|usage| usage.kind).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected, "{prefix}");
    }

    #[test]
    fn every_digest_of_a_lock_is_found_as_what_it_is() {
        check("1bc04b52", &[Kind::Index]);
        check("5861314d", &[Kind::Manifest]);
        check("39a92242", &[Kind::Config]);
        check("cae66217", &[Kind::Layer]);
        // Its stack has no other layer.
        check("c10fd514", &[Kind::DiffId, Kind::ChainId]);
        // An image without an index is its manifest.
        check("62c66a7a", &[Kind::Manifest]);
        check("00000000", &[]);
    }

    #[test]
    fn a_stack_is_two_artifacts_and_a_document_one() {
        let lock = Lock::parse(LOCK).unwrap();
        for usage in usages(&lock) {
            let expected = match usage.kind {
                Kind::ChainId => 2,
                Kind::LayerImage | Kind::FsmetaImage => 0,
                _ => 1,
            };
            assert_eq!(usage.artifacts().len(), expected, "{usage:?}");
        }
    }
}
