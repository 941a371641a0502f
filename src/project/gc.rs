//! What a project says about what a store keeps: its root, and the collection of what nobody wants.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::engine::collect::withdrawal::Withdrawn;
use crate::engine::collect::{
    Collection, Error, Request, RootFile, Staying, ThisProject, collect, preview, roots,
    try_collect,
};
use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::plan::extent::Content;
use crate::plan::selection::Selection;
use crate::plan::{images_of_blobs, wanted};
use crate::project::{Project, Session};
use crate::publish::microsandbox;
use crate::spec::lockfile::Lock;
use crate::store::Store;
use crate::store::error::Error as StoreError;
use crate::store::exclusive::ExclusiveStore;
use crate::store::root::{Root, seconds};

/// How long `sync` leaves what its project dropped: a week in which an image may come back, or the branch
/// be switched, without a download.
pub const DROPPED_GRACE: Duration = Duration::from_hours(7 * 24);

impl Project {
    /// This project, which wants all of `lock`, as it speaks for itself beside its root.
    pub fn speaks(&self, lock: &Lock) -> Result<ThisProject, StoreError> {
        let path = Store::absolute(self.lock_path())?;
        let root = match self.store().root(&path) {
            Err(StoreError::KeeperDamaged { .. } | StoreError::TooLarge { .. }) => None,
            read => read?,
        };
        Ok(ThisProject { wanted: self.kept(lock, root.as_ref()), lock: path })
    }

    /// What the project keeps: all of `lock`, every document too, and compressed layers. Those are all of them
    /// where they stay; else only those of its previous root of which no image is there yet.
    pub(super) fn kept(&self, lock: &Lock, previous: Option<&Root>) -> BTreeSet<Artifact> {
        let mut kept = wanted(lock, &Selection::everything(lock));
        let mut blobs = images_of_blobs(lock);
        if !self.store().keeps_blobs() && self.extent().content != Content::Blobs {
            blobs.retain(|blob, _| previous.is_some_and(|root| root.wanted.contains(blob)));
        }
        if !self.store().keeps_blobs() && !blobs.is_empty() {
            // What cannot be looked at is not known to be there.
            let built = self.store().inventory(blobs.values().copied()).unwrap_or_default();
            blobs.retain(|_, image| !built.contains(image));
        }
        kept.extend(blobs.into_keys());
        kept
    }

    /// What [`Project::gc`] would do at `now`. Writes nothing.
    pub fn preview_gc(&self, request: &Request, now: SystemTime) -> Result<Collection, Error> {
        preview(self.store(), request, now, &|staying| microsandbox::preview(self.store(), staying))
    }

    /// Waits until nobody else uses the store, and deletes what `request` asks for.
    pub fn gc(&self, request: &Request, session: &Session) -> Result<Collection, Error> {
        let caller = session.caller.clone();
        collect(self.store(), request, session.now, caller, &self.withdraw())
    }

    /// What is published and goes is taken out of where it was published to.
    fn withdraw(&self) -> impl Fn(&ExclusiveStore, &Staying) -> Vec<Withdrawn> {
        |exclusive, staying| microsandbox::withdraw(self.store(), exclusive, staying)
    }

    /// Every root of the store, whether it is alive at `now`, and why.
    pub fn roots(&self, now: SystemTime) -> Result<Vec<RootFile>, StoreError> {
        roots(self.store(), now)
    }

    /// Makes the store keep all that `lock` names, whatever becomes of the lock. Fetches nothing. Answers
    /// whether that changed anything.
    pub fn pin(&self, lock: &Lock, session: &Session) -> Result<bool, StoreError> {
        let ThisProject { lock: path, wanted } = self.speaks(lock)?;
        self.store().pin_root(&path, &wanted, session.now, session.caller.clone())
    }

    /// Takes roots away. What they kept stays until somebody collects.
    pub fn remove_roots(&self, ids: &[Digest], session: &Session) -> Result<(), StoreError> {
        let exclusive = self.store().exclusive(session.caller.clone())?;
        ids.iter().try_for_each(|id| exclusive.remove_root(*id))
    }

    /// Deletes what this project, which now wants all of `lock`, dropped at least `grace` ago, and what
    /// nobody else keeps. Does not wait, and reads one small file where there is nothing to do. `None` if
    /// the store is in use, or cannot be written to.
    pub fn gc_dropped(
        &self,
        lock: &Lock,
        grace: Duration,
        session: &Session,
    ) -> Result<Option<Collection>, Error> {
        let now = seconds(session.now);
        let path = Store::absolute(self.lock_path())?;
        let root = self.store().root(&path)?;
        let dropped = root.iter().flat_map(|root| &root.dropped);
        let mut ages = dropped.map(|dropped| now.saturating_sub(dropped.since));
        if !ages.any(|age| age >= grace.as_secs()) {
            return Ok(Some(Collection::default()));
        }
        let project = ThisProject { wanted: self.kept(lock, root.as_ref()), lock: path };
        let request = Request::Dropped { project, grace };
        let caller = session.caller.clone();
        match try_collect(self.store(), &request, session.now, caller, &self.withdraw()) {
            Err(Error::Store(StoreError::ReadOnly { .. } | StoreError::Denied { .. })) => Ok(None),
            collected => collected,
        }
    }
}
