//! What a lock says of the files that are built: in which format they are, and which digests they have.

use std::collections::BTreeMap;

use crate::oci::digest::Digest;
use crate::plan::artifact::{Artifact, FORMAT};
use crate::spec::lockfile::Lock;

/// A lock has digests of artifacts in a format that this tool does not write, so it cannot tell whether what
/// it builds is what is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lock has digests of artifacts in format {found}, this tool writes format {FORMAT}")]
pub struct OtherFormat {
    /// The format that the lock names.
    pub found: u64,
}

/// Refuses a lock with digests of artifacts in another format than [`FORMAT`].
pub fn check_format(lock: &Lock) -> Result<(), OtherFormat> {
    match lock.artifact_format() {
        Some(found) if found != u64::from(FORMAT) => Err(OtherFormat { found }),
        _ => Ok(()),
    }
}

/// The digest that each artifact has by the lock; nothing by a lock without digests of artifacts.
pub fn locked_digests(lock: &Lock) -> BTreeMap<Artifact, Digest> {
    let digests = lock.artifact_digests();
    let layers = digests.layers.into_iter().map(|(id, digest)| (Artifact::Layer(id), digest));
    let fsmetas = digests.fsmetas.into_iter().map(|(id, digest)| (Artifact::Fsmeta(id), digest));
    layers.chain(fsmetas).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../../tests/data/locks/v1-artifacts.lock");

    #[test]
    fn another_format_is_refused_with_both_named() {
        assert_eq!(check_format(&Lock::new()), Ok(()));
        assert_eq!(check_format(&Lock::parse(LOCK).unwrap()), Ok(()));
        let newer = LOCK.replace("artifact-format = 1", "artifact-format = 9");
        let error = check_format(&Lock::parse(&newer).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the lock has digests of artifacts in format 9, this tool writes format 1"
        );
    }

    #[test]
    fn a_locked_digest_is_found_by_its_artifact() {
        let lock = Lock::parse(LOCK).unwrap();
        let digests = locked_digests(&lock);
        for (_, image) in lock.images() {
            for platform in image.platforms.values() {
                let fsmeta = Artifact::Fsmeta(platform.chain_id());
                assert_eq!(digests.get(&fsmeta).copied(), platform.fsmeta);
                for layer in &platform.layers {
                    assert_eq!(digests.get(&Artifact::Layer(layer.diff_id)).copied(), layer.erofs);
                }
            }
        }
        assert_eq!(locked_digests(&Lock::new()), BTreeMap::new());
    }
}
