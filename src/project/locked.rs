//! What a store is held to by a lock that has digests of artifacts.

use std::collections::BTreeMap;

use tracing::debug;

use crate::engine::error::Error;
use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::plan::locked::{check_format, locked_digests};
use crate::plan::selection::Selection;
use crate::plan::wanted;
use crate::project::Project;
use crate::spec::lockfile::Lock;
use crate::spec::name::ImageName;
use crate::store::Store;
use crate::store::error::Error as StoreError;
use crate::store::guard::Caller;
use crate::store::stored::StoredFile;

impl Project {
    /// Opens `artifact`, if it is there and, where `lock` has a digest for it that this tool can judge, has that
    /// digest by its record.
    pub fn open(&self, lock: &Lock, artifact: Artifact) -> Result<StoredFile, Error> {
        open(self.store(), artifact, &digests(lock))
    }

    /// What the store holds of `selection` with another digest than `lock` gives it: each artifact once, for the
    /// first image that wants it. What is not there is not told.
    pub fn differing(&self, lock: &Lock, selection: &Selection) -> Vec<(ImageName, Error)> {
        differing(self.store(), lock, selection).into_values().collect()
    }
}

/// The digests by which this tool can judge artifacts.
pub(super) fn digests(lock: &Lock) -> BTreeMap<Artifact, Digest> {
    if check_format(lock).is_ok() { locked_digests(lock) } else { BTreeMap::new() }
}

fn open(
    store: &Store,
    artifact: Artifact,
    locked: &BTreeMap<Artifact, Digest>,
) -> Result<StoredFile, Error> {
    let file = store.open(artifact)?;
    match locked.get(&artifact) {
        Some(&expected) => match file.sha256()? {
            actual if actual == expected => Ok(file),
            actual => Err(Error::ArtifactDiffers { artifact, expected, actual }),
        },
        None => Ok(file),
    }
}

/// Has the store keep the SHA-256 of those of `artifacts` that it holds, as far as it can be written to: what is
/// compared with a lock again and again need not be read each time.
pub(super) fn note_sha256(
    store: &Store,
    artifacts: impl IntoIterator<Item = Artifact>,
    caller: &Caller,
) {
    if let Err(error) = try_note_sha256(store, artifacts, caller) {
        debug!("the store does not keep all SHA-256 of its layer images: {error}");
    }
}

fn try_note_sha256(
    store: &Store,
    artifacts: impl IntoIterator<Item = Artifact>,
    caller: &Caller,
) -> Result<(), StoreError> {
    let reader = store.reader()?;
    let is_unknown = |artifact: &Artifact| {
        let verdict = reader.look(*artifact);
        verdict.is_ok_and(|seen| seen.is_ok_and(|record| record.sha256.is_none()))
    };
    let unknown: Vec<Artifact> = artifacts.into_iter().filter(is_unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let run = store.shared()?.begin_run(&unknown, caller.clone())?;
    unknown.into_iter().try_for_each(|artifact| run.note_sha256(artifact))
}

/// What the store holds of `selection` with another digest than `lock` gives it, each once, and for whom it
/// was noticed first. What is not there is not told.
pub(super) fn differing(
    store: &Store,
    lock: &Lock,
    selection: &Selection,
) -> BTreeMap<Artifact, (ImageName, Error)> {
    let mut found = BTreeMap::new();
    let locked = digests(lock);
    if locked.is_empty() {
        return found;
    }
    for (name, platforms) in &selection.images {
        let images = [(name.clone(), platforms.clone())].into();
        for artifact in wanted(lock, &Selection { images, skipped: Vec::new() }) {
            if let Err(error @ Error::ArtifactDiffers { .. }) = open(store, artifact, &locked) {
                found.entry(artifact).or_insert((name.clone(), error));
            }
        }
    }
    found
}
