//! Digests of artifacts in a lock: of the files that are built from its layers.
//!
//! They are a function of the layers and of the artifact format, which the lock names in its head, so whoever
//! builds can tell whether the result is everybody's. A lock has all of them or none: what is in between is
//! the work of a merge, and makes a block inconsistent.

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::platform::Platform;
use crate::spec::lockfile::{Lock, LockedImage, LockedPlatform};
use crate::spec::name::ImageName;

/// Digests of artifacts, by what they are built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactDigests {
    /// Of layers' EROFS images.
    pub layers: BTreeMap<DiffId, Digest>,
    /// Of merged metadata.
    pub fsmetas: BTreeMap<ChainId, Digest>,
}

impl ArtifactDigests {
    /// Adds those in the block of `image`. One that is known already stays.
    pub fn add(&mut self, image: &LockedImage) {
        for platform in image.platforms.values() {
            for layer in &platform.layers {
                if let Some(erofs) = layer.erofs {
                    self.layers.entry(layer.diff_id).or_insert(erofs);
                }
            }
            if let Some(fsmeta) = platform.fsmeta {
                self.fsmetas.entry(platform.chain_id()).or_insert(fsmeta);
            }
        }
    }

    /// Gives the platform those that it lacks.
    fn complete(&self, platform: &mut LockedPlatform) {
        let chain_id = platform.chain_id();
        platform.fsmeta = platform.fsmeta.or_else(|| self.fsmetas.get(&chain_id).copied());
        for layer in &mut platform.layers {
            layer.erofs = layer.erofs.or_else(|| self.layers.get(&layer.diff_id).copied());
        }
    }
}

impl LockedPlatform {
    /// The digest of each of its artifacts, where it is locked.
    fn artifact_digests(&self) -> impl Iterator<Item = Option<Digest>> {
        std::iter::once(self.fsmeta).chain(self.layers.iter().map(|layer| layer.erofs))
    }
}

impl Lock {
    /// All digests of artifacts in it.
    pub fn artifact_digests(&self) -> ArtifactDigests {
        let mut digests = ArtifactDigests::default();
        self.images().for_each(|(_, image)| digests.add(image));
        digests
    }

    /// The platforms that lack the digest of an artifact.
    pub fn without_artifact_digests(&self) -> BTreeMap<ImageName, BTreeSet<Platform>> {
        let mut found: BTreeMap<ImageName, BTreeSet<Platform>> = BTreeMap::new();
        for (name, image) in self.images() {
            for (platform, locked) in &image.platforms {
                if locked.artifact_digests().any(|digest| digest.is_none()) {
                    found.entry(name.clone()).or_default().insert(platform.clone());
                }
            }
        }
        found
    }

    /// Makes it a lock with digests of artifacts in `format`, and gives each platform those of `known` that it
    /// lacks.
    pub fn add_artifact_digests(&mut self, format: u64, known: &ArtifactDigests) {
        self.artifact_format = Some(format);
        let platforms = self.images.values_mut().flat_map(|image| image.platforms.values_mut());
        platforms.for_each(|platform| known.complete(platform));
    }

    /// Takes all digests of artifacts out of it.
    pub fn remove_artifact_digests(&mut self) {
        self.artifact_format = None;
        let platforms = self.images.values_mut().flat_map(|image| image.platforms.values_mut());
        for platform in platforms {
            platform.fsmeta = None;
            platform.layers.iter_mut().for_each(|layer| layer.erofs = None);
        }
    }

    /// How the block of `image` and the head contradict each other, as the end of a sentence about the block.
    pub fn artifact_contradiction(&self, image: &LockedImage) -> Option<&'static str> {
        let mut digests = image.platforms.values().flat_map(LockedPlatform::artifact_digests);
        match self.artifact_format {
            Some(_) if digests.any(|digest| digest.is_none()) => {
                Some("lacks digests of artifacts, which the lock is to have")
            }
            None if digests.any(|digest| digest.is_some()) => {
                Some("has digests of artifacts, and the lock does not say in which format")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../../../tests/data/locks/v1-artifacts.lock");

    fn contradiction(lock: &Lock) -> Option<&'static str> {
        lock.images().find_map(|(_, image)| lock.artifact_contradiction(image))
    }

    #[test]
    fn digests_are_taken_out_and_put_in_again() {
        let lock = Lock::parse(LOCK).unwrap();
        assert!(lock.without_artifact_digests().is_empty());
        let mut other = lock.clone();
        other.remove_artifact_digests();
        assert!(!other.render().contains("erofs") && !other.render().contains("fsmeta"));
        assert_eq!(other.without_artifact_digests().len(), lock.images().len());
        other.add_artifact_digests(1, &lock.artifact_digests());
        assert_eq!(other.render(), LOCK);
    }

    #[test]
    fn a_lock_has_all_digests_of_artifacts_or_none() {
        let mut lock = Lock::parse(LOCK).unwrap();
        assert_eq!(contradiction(&lock), None);
        let without_head = LOCK.replace("artifact-format = 1\n", "");
        let told = contradiction(&Lock::parse(&without_head).unwrap());
        assert!(told.unwrap().starts_with("has digests of artifacts"));
        lock.remove_artifact_digests();
        assert_eq!(contradiction(&lock), None);
        lock.add_artifact_digests(1, &ArtifactDigests::default());
        assert!(contradiction(&lock).unwrap().starts_with("lacks digests"));
    }
}
