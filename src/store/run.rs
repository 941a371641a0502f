//! Runs: how a process adds to a store.

use std::sync::Arc;

use crate::oci::digest::Digest;
use crate::plan::artifact::{Artifact, Inventory};
use crate::store::content::ContentDigest;
use crate::store::directory::{MODE_PLAIN, MODE_SEALED};
use crate::store::error::Error;
use crate::store::guard::{ArtifactGuard, Caller, SharedGuard};
use crate::store::ingest::{Expected, Ingest, commit_partial};
use crate::store::layout::{Layout, Shelf, file_name_of};
use crate::store::partial::Partial;
use crate::store::presence::{Depth, examine, inventory};
use crate::store::record::Record;
use crate::store::stored::StoredFile;
use crate::store::workspace::Workspace;

/// A store whose directories exist and can be added to. Nothing can be deleted through it.
#[derive(Debug, Clone)]
pub struct SharedStore {
    layout: Arc<Layout>,
}

impl SharedStore {
    pub(super) const fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Sweeps what dead runs left, and begins a run that wants these artifacts: as long as it lives,
    /// nobody deletes them.
    pub fn begin_run(&self, wanted: &[Artifact], caller: Caller) -> Result<Run, Error> {
        // Whoever deletes finds a lease whole or not at all.
        let _shared = SharedGuard::take(&self.layout, &caller)?;
        let workspace = Workspace::make(Arc::clone(&self.layout), wanted, caller)?;
        Ok(Run { workspace: Arc::new(workspace) })
    }
}

/// A run under way. It ends, and its unfinished files go, when its last clone and the last
/// [`Ingest`] of it are dropped.
#[derive(Debug, Clone)]
pub struct Run {
    workspace: Arc<Workspace>,
}

/// The answer to a [`Run::claim`].
#[derive(Debug)]
pub enum Claim {
    /// The artifact is there, perhaps because another process has just committed it.
    Present(Record),
    /// The artifact is not there, and nobody else makes it while this guard lives.
    Mine(ArtifactGuard),
}

impl Run {
    /// Which of `wanted` are in the store. The run's lease was written before, so what is found stays.
    pub fn inventory(&self, wanted: &[Artifact]) -> Result<Inventory, Error> {
        let _shared = SharedGuard::take(&self.workspace.layout, &self.workspace.caller)?;
        inventory(&self.workspace.layout.shelves, wanted.iter().copied())
    }

    /// Waits until nobody else makes `artifact`, and claims it if it is still not there.
    ///
    /// Two processes that each hold one claim and wait for the other's would wait for ever, so claim one
    /// artifact, finish it, and then claim the next.
    pub fn claim(&self, artifact: Artifact) -> Result<Claim, Error> {
        let guard = ArtifactGuard::take(&self.workspace.layout, artifact, &self.workspace.caller)?;
        Ok(match examine(&self.workspace.layout.shelves, artifact, Depth::Quick)? {
            Ok((record, _)) => Claim::Present(record),
            Err(_) => Claim::Mine(guard),
        })
    }

    /// Claims an artifact that was found damaged. Every byte is read again, so what another process
    /// healed meanwhile is present; else the damaged file is moved to `quarantine/`.
    pub fn claim_damaged(&self, artifact: Artifact) -> Result<Claim, Error> {
        let guard = ArtifactGuard::take(&self.workspace.layout, artifact, &self.workspace.caller)?;
        let _shared = SharedGuard::take(&self.workspace.layout, &self.workspace.caller)?;
        if let Ok((record, _)) = examine(&self.workspace.layout.shelves, artifact, Depth::Full)? {
            return Ok(Claim::Present(record));
        }
        self.workspace.retire(artifact)?;
        Ok(Claim::Mine(guard))
    }

    /// Moves an artifact to `quarantine/` that is as its record says and wrong all the same, unless it is
    /// another file than that of `content` by now.
    pub fn set_aside(&self, artifact: Artifact, content: ContentDigest) -> Result<(), Error> {
        let _guard = ArtifactGuard::take(&self.workspace.layout, artifact, &self.workspace.caller)?;
        let _shared = SharedGuard::take(&self.workspace.layout, &self.workspace.caller)?;
        match examine(&self.workspace.layout.shelves, artifact, Depth::Quick)? {
            Ok((record, _)) if record.content == content => self.workspace.retire(artifact),
            _ => Ok(()),
        }
    }

    /// Has the record of `artifact` say the SHA-256 of its file, which is read for it, unless it does. What is not
    /// there, or not what its record says, is left alone.
    pub fn note_sha256(&self, artifact: Artifact) -> Result<(), Error> {
        let Workspace { layout, caller, .. } = &*self.workspace;
        let _guard = ArtifactGuard::take(layout, artifact, caller)?;
        let (record, file) = match examine(&layout.shelves, artifact, Depth::Quick)? {
            Ok((record, file)) if record.sha256.is_none() => (record, file),
            _ => return Ok(()),
        };
        let Shelf { files, records } = layout.shelf(artifact);
        let path = files.path_of(file_name_of(artifact));
        let sha256 = match StoredFile::new(artifact, record.clone(), file, path).sha256() {
            Err(Error::Damaged { .. }) => return Ok(()),
            sha256 => Some(sha256?),
        };
        let noted = Record { sha256, ..record };
        let _shared = SharedGuard::take(layout, caller)?;
        let name = Record::name_of(artifact);
        self.workspace.publish_bytes(&noted.to_json(), records, &name, MODE_SEALED)
    }

    /// Begins a file that may grow to `limit_bytes`.
    pub fn ingest(&self, limit_bytes: u64) -> Result<Ingest, Error> {
        Ingest::new(Arc::clone(&self.workspace), limit_bytes)
    }

    /// What an earlier run has kept of the blob `digest` of `size_bytes`, and room for the rest. `None` if
    /// another run is using it, or if it cannot be used: then the blob comes whole from its source.
    pub fn partial(&self, digest: Digest, size_bytes: u64) -> Option<Arc<Partial>> {
        let partial = Partial::open(&self.workspace.layout, digest, size_bytes);
        partial.ok().flatten().map(Arc::new)
    }

    /// As [`Run::partial`], for a blob that is to stay: waits for who is using it, and fails if it cannot be
    /// used. What is kept and longer than `bytes_max` is dropped.
    pub fn partial_alone(&self, digest: Digest, bytes_max: u64) -> Result<Arc<Partial>, Error> {
        let Workspace { layout, caller, .. } = &*self.workspace;
        Partial::open_alone(layout, digest, bytes_max, caller).map(Arc::new)
    }

    /// Makes `partial`, all of which was read, the blob that `guard` guards. Its `size_bytes` and `digest` are
    /// those of what was read.
    pub fn keep(
        &self,
        guard: ArtifactGuard,
        partial: &Partial,
        size_bytes: u64,
        digest: Digest,
    ) -> Result<Record, Error> {
        commit_partial(&self.workspace, guard, partial, Record::new(size_bytes, digest))
    }

    /// Makes `bytes` the artifact that `guard` guards.
    pub fn commit_bytes(&self, guard: ArtifactGuard, bytes: &[u8]) -> Result<Record, Error> {
        let mut ingest = self.ingest(bytes.len() as u64)?;
        ingest.append(bytes)?;
        ingest.commit(guard, Expected::default())
    }

    /// What the run works with.
    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Writes a project's root, whole and durable.
    pub(super) fn publish_root(&self, name: &str, json: &[u8]) -> Result<(), Error> {
        let roots = &self.workspace.layout.roots;
        self.workspace.publish_bytes(json, roots, name, MODE_PLAIN)
    }

    /// Writes what was pulled, whole and durable.
    pub(super) fn publish_ref(&self, name: &str, json: &[u8]) -> Result<(), Error> {
        let refs = &self.workspace.layout.refs;
        self.workspace.publish_bytes(json, refs, name, MODE_PLAIN)
    }

    /// Writes the lease of a process, whole and durable.
    pub(super) fn publish_lease(&self, name: &str, json: &[u8]) -> Result<(), Error> {
        let leases = &self.workspace.layout.leases;
        self.workspace.publish_bytes(json, leases, name, MODE_PLAIN)
    }
}
