//! Digests of artifacts in the lock: who writes them, who keeps them, and who must not.

use sandbox_images::plan::locked::check_format;
use sandbox_images::project::artifacts::Completed;
use sandbox_images::project::files::Inputs;
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::lockfile::Lock;

use crate::cli::Done;
use crate::cli::failure::{Failure, Kind};
use crate::cli::incomplete::failure_of;

/// What is to become of the digests of artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A lock that has them keeps them.
    Keep,
    /// The lock is to have them.
    Write,
    /// The lock is to have none.
    Drop,
}

impl Wish {
    /// Whether the lock that follows on `before` has them.
    pub(crate) fn is_for(self, before: &Lock) -> bool {
        match self {
            Self::Keep => before.artifact_format().is_some(),
            Self::Write => true,
            Self::Drop => false,
        }
    }

    /// Fails if `lock` is not as wished.
    pub(crate) fn require(self, lock: &Lock) -> Done {
        let (message, flag) = match (self, lock.artifact_format().is_some()) {
            (Self::Write, false) => ("the lock has no digests of artifacts", "--artifacts"),
            (Self::Drop, true) => ("the lock has digests of artifacts", "--no-artifacts"),
            (Self::Write, true) => return require_format(lock),
            _ => return Ok(()),
        };
        let help = format!("run `sandbox-images lock {flag}` and commit the result");
        Err(Failure::new(Kind::Stale, "artifact-digests", message).help(help))
    }
}

/// The new `lock` as wished, with what it lacks built into the store. Fails as `sync` would.
pub(crate) async fn complete(
    project: &Project,
    inputs: &Inputs,
    mut lock: Lock,
    wish: Wish,
    session: &Session,
) -> Result<Lock, Failure> {
    if !wish.is_for(&inputs.lock) {
        lock.remove_artifact_digests();
        return Ok(lock);
    }
    if wish == Wish::Keep {
        if lock.without_artifact_digests().is_empty() {
            return Ok(lock);
        }
        require_format(&inputs.lock)?;
    }
    let Completed { lock, synced } = project.lock_artifacts(lock, inputs, session).await;
    match failure_of(&synced) {
        Some(failure) => Err(failure.note("the lock is as it was")),
        None => Ok(lock),
    }
}

/// Fails if the lock's digests of artifacts are of a format that this tool does not write.
pub(crate) fn require_format(lock: &Lock) -> Done {
    check_format(lock).map_err(|error| {
        Failure::of(Kind::Stale, "artifact-format", &error).help(
            "use the sandbox-images that wrote it, or write the lock anew with `lock --artifacts` or `--no-artifacts`",
        )
    })
}
