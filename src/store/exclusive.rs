//! Deleting, which is possible only while nobody reads for a plan or commits.
//!
//! An [`ExclusiveStore`] is the proof that this process holds the store's guard alone. It is taken afresh,
//! never in exchange for a shared one: two who hold it shared and wait for each other would wait for ever.
//! What lies in the store and who keeps what is read **after** it was taken. A run writes its lease before
//! it looks at the store, both under the shared guard, so whoever looks later finds only what stays.
//!
//! The order of deletion, and what a crash after each step leaves:
//!
//! 1. The records of all that goes are removed, and their directories made durable: the artifacts do not
//!    exist any more, and their files are left over.
//! 2. The files are removed. What is left over of them goes with a later sweep.
//!
//! ```
//! # use std::time::{Duration, SystemTime};
//! # use sandbox_images::store::Store;
//! # use sandbox_images::store::guard::Caller;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::at(folder.path().join("store"));
//! let exclusive = store.exclusive(Caller::quiet("example", Duration::ZERO))?;
//! let survey = exclusive.survey(SystemTime::UNIX_EPOCH)?;
//! exclusive.remove(&survey.holdings.artifacts.into_keys().collect())?;
//! # Ok(())
//! # }
//! ```
//!
//! Without the exclusive guard there is nothing to call:
//!
//! ```compile_fail
//! # use std::collections::BTreeSet;
//! # use sandbox_images::store::Store;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::at(folder.path().join("store"));
//! let shared = store.shared()?;
//! shared.remove(&BTreeSet::new())?;
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::plan::sweep::{Leftover, LeftoverKind};
use crate::store::Store;
use crate::store::directory::{Directory, MODE_PLAIN};
use crate::store::error::Error;
use crate::store::guard::{Caller, ExclusiveGuard, Share, try_lock};
use crate::store::layout::{Layout, file_name_of, open_version};
use crate::store::record::Record;
use crate::store::root::Root;
use crate::store::survey::Survey;
use crate::store::workspace::Workspace;
use crate::words::listed;

/// A store that nobody else plans by or adds to, until this is dropped.
#[derive(Debug)]
pub struct ExclusiveStore {
    store: Store,
    workspace: Workspace,
    // Held for its lock, and dropped after the workspace.
    _guard: ExclusiveGuard,
}

impl Store {
    /// Waits until nobody plans by the store or commits to it, and then keeps others from it. Makes what
    /// directories are missing, and removes what dead runs left.
    pub fn exclusive(&self, caller: Caller) -> Result<ExclusiveStore, Error> {
        let layout = self.make_layout()?;
        let guard = ExclusiveGuard::take(&layout, &caller)?;
        self.guarded(layout, guard, caller)
    }

    /// As [`Store::exclusive`], but `None` where it would have to wait.
    pub fn try_exclusive(&self, caller: Caller) -> Result<Option<ExclusiveStore>, Error> {
        let layout = self.make_layout()?;
        match ExclusiveGuard::try_take(&layout, &caller)? {
            Some(guard) => self.guarded(layout, guard, caller).map(Some),
            None => Ok(None),
        }
    }

    fn guarded(
        &self,
        layout: Arc<Layout>,
        guard: ExclusiveGuard,
        caller: Caller,
    ) -> Result<ExclusiveStore, Error> {
        let workspace = Workspace::make(layout, &[], caller)?;
        Ok(ExclusiveStore { store: self.clone(), workspace, _guard: guard })
    }
}

impl ExclusiveStore {
    /// What lies in the store, and who keeps what. As long as this lives, nothing is added to it.
    pub fn survey(&self, now: SystemTime) -> Result<Survey, Error> {
        self.store.survey(now)
    }

    /// Deletes `artifacts`: the records of all, durably, and then the files. What cannot be deleted does not
    /// keep the others.
    pub fn remove(&self, artifacts: &BTreeSet<Artifact>) -> Result<(), Left> {
        let layout = &self.workspace.layout;
        let mut left = Leaving::default();
        let mut unrecorded: BTreeMap<&str, Vec<Artifact>> = BTreeMap::new();
        for &artifact in artifacts {
            match layout.shelf(artifact).records.unlink(&Record::name_of(artifact)) {
                Ok(()) => unrecorded.entry(artifact.kind()).or_default().push(artifact),
                Err(error) => left.leave([artifact], error),
            }
        }
        let mut certain = Vec::new();
        for (kind, shelf) in layout.shelves.iter() {
            let Some(unrecorded) = unrecorded.remove(kind) else { continue };
            match shelf.records.sync() {
                Ok(()) => certain.extend(unrecorded),
                // If it is not certain that a record is gone, its file must stay.
                Err(error) => left.leave(unrecorded, error),
            }
        }
        for artifact in certain {
            let removed = remove_file(&layout.shelf(artifact).files, &file_name_of(artifact));
            if let Err(error) = removed {
                left.leave([artifact], error);
            }
        }
        left.0.map_or(Ok(()), Err)
    }

    /// Deletes a leftover, unless somebody is using it.
    pub fn remove_leftover(&self, leftover: &Leftover) -> Result<(), Error> {
        let (folder, name) = leftover.path.rsplit_once('/').unwrap_or(("", &leftover.path));
        let version = open_version(self.store.path())?;
        let Some(directory) = version.and_then(|version| version.descend(folder).transpose())
        else {
            return Ok(());
        };
        let directory = directory?;
        if leftover.kind != LeftoverKind::Partial {
            return remove_file(&directory, name);
        }
        match try_lock(&directory, name, Share::One)? {
            Some(_unused) => remove_file(&directory, name),
            None => Ok(()),
        }
    }

    /// Deletes the root `id`, if there is one, readable or not. What it kept is for a sweep to find.
    pub fn remove_root(&self, id: Digest) -> Result<(), Error> {
        let roots = &self.workspace.layout.roots;
        roots.unlink(&Root::file_name(id))?;
        roots.sync()
    }

    /// Deletes the lease `name`, which nobody holds any more.
    pub fn remove_lease(&self, name: &str) -> Result<(), Error> {
        self.workspace.layout.leases.unlink(name)
    }

    /// With what it writes.
    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Replaces the root `id`.
    pub fn replace_root(&self, id: Digest, root: &Root) -> Result<(), Error> {
        let roots = &self.workspace.layout.roots;
        self.workspace.publish_bytes(&root.to_json(), roots, &Root::file_name(id), MODE_PLAIN)
    }
}

/// Not all was deleted.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be removed", listed(.artifacts))]
pub struct Left {
    /// What was not, or not certainly. A later collection takes it, or what is left over of it.
    pub artifacts: BTreeSet<Artifact>,
    /// Why: the first error of all.
    pub source: Error,
}

/// What is left so far.
#[derive(Default)]
struct Leaving(Option<Left>);

impl Leaving {
    fn leave(&mut self, artifacts: impl IntoIterator<Item = Artifact>, error: Error) {
        let first = || Left { artifacts: BTreeSet::new(), source: error };
        self.0.get_or_insert_with(first).artifacts.extend(artifacts);
    }
}

/// Removes `name` if it is a file. What somebody put in its place is theirs.
fn remove_file(directory: &Directory, name: &str) -> Result<(), Error> {
    if directory.has_other_than_file(name)? { Ok(()) } else { directory.unlink(name) }
}
