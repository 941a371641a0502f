//! Digests of artifacts for a lock: what it lacks is built into the store and looked up there.

use crate::engine::error::Error;
use crate::plan::artifact::{Artifact, FORMAT};
use crate::plan::selection::Selection;
use crate::plan::wanted;
use crate::project::files::Inputs;
use crate::project::locked::note_sha256;
use crate::project::sync::Synced;
use crate::project::{Project, Session};
use crate::spec::lockfile::Lock;
use crate::spec::lockfile::artifacts::ArtifactDigests;
use crate::spec::name::ImageName;

/// A lock that was to get the digests of its artifacts.
#[derive(Debug)]
pub struct Completed {
    /// The lock. It lacks some if not all was built.
    pub lock: Lock,
    /// What came of building what it lacked.
    pub synced: Synced,
}

/// Gives `lock` the digests that it lacks: those that the previous lock had for the same layers, and for the
/// rest, all platforms of it, those of what is built. So the result does not depend on who builds, or where.
pub(super) async fn complete(
    project: &Project,
    mut lock: Lock,
    inputs: &Inputs,
    session: &Session,
) -> Completed {
    let format = u64::from(FORMAT);
    if lock.artifact_format() != Some(format) {
        lock.remove_artifact_digests();
    }
    lock.add_artifact_digests(format, &known(&inputs.lock));
    let images = lock.without_artifact_digests();
    if images.is_empty() {
        return Completed { lock, synced: Synced::default() };
    }
    let selection = Selection { images, skipped: Vec::new() };
    let mut synced = project.sync(&lock, &selection, Some(inputs), session).await;
    if synced.is_complete() {
        note_sha256(project.store(), wanted(&lock, &selection), &session.caller);
        match built(project, &lock, &selection) {
            Ok(digests) => lock.add_artifact_digests(format, &digests),
            Err(failure) => synced.failures.push(failure),
        }
    }
    Completed { lock, synced }
}

/// The digests in those blocks of `lock` that nobody edited.
fn known(lock: &Lock) -> ArtifactDigests {
    let mut known = ArtifactDigests::default();
    if lock.artifact_format() == Some(u64::from(FORMAT)) {
        let images = lock.images().filter(|(name, _)| lock.is_consistent(name.as_str()));
        images.for_each(|(_, image)| known.add(image));
    }
    known
}

/// The digests of what the store holds of `selection`, by its records; or what is not there, and for whom.
fn built(
    project: &Project,
    lock: &Lock,
    selection: &Selection,
) -> Result<ArtifactDigests, (ImageName, Error)> {
    let mut digests = ArtifactDigests::default();
    for (name, platforms) in &selection.images {
        let images = [(name.clone(), platforms.clone())].into();
        for artifact in wanted(lock, &Selection { images, skipped: Vec::new() }) {
            let record = || Ok(project.store().open(artifact)?.sha256()?);
            let failed = |error| (name.clone(), error);
            match artifact {
                Artifact::Layer(id) => digests.layers.insert(id, record().map_err(failed)?),
                Artifact::Fsmeta(id) => digests.fsmetas.insert(id, record().map_err(failed)?),
                Artifact::Blob(_) | Artifact::Disk(_) => None,
            };
        }
    }
    Ok(digests)
}
