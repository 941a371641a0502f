//! Repair: what cannot be used is moved to `quarantine/`, and made again as far as anybody wants it.
//!
//! For the lock, derived files are made of what is there, and everything else is fetched. Of what only others
//! want, derived files are made again where their layers are there and a config in the store says in which order
//! they lie. The rest is left for those others, who know where it comes from. What nobody wants is not made
//! again: whoever will want it makes it of the same layers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::build::again;
use crate::engine::context::blocking;
use crate::engine::error::Error;
use crate::plan::artifact::Artifact;
use crate::plan::images_of_blobs;
use crate::project::sync::{Synced, fetch_again};
use crate::project::verify::{Flaw, Request, Verified, parts_of, stacks};
use crate::project::{Project, Session};
use crate::spec::lockfile::Lock;
use crate::store::Store;
use crate::store::root::Root;

/// What came of a repair.
#[derive(Debug, Default)]
pub struct Repaired {
    /// What became of each artifact that had a flaw.
    pub outcomes: BTreeMap<Artifact, Outcome>,
    /// What was made again, and why the rest was not.
    pub synced: Synced,
}

/// What became of an artifact that could not be used.
#[derive(Debug)]
pub enum Outcome {
    /// It was made again, and is right.
    Repaired,
    /// It was moved away, and nobody wants it.
    SetAside,
    /// It was moved away, and others want it, who know where it comes from.
    WantedBy(Others),
    /// It is still flawed.
    Left(Flaw),
}

/// Who wants something, other than the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// The locks of other projects.
    pub locks: Vec<String>,
    /// What was pulled: a source and a platform, with a space between them.
    pub pulled: Vec<String>,
}

impl Others {
    /// Those of `roots` that want `artifact`.
    fn of(roots: &[Root], artifact: Artifact) -> Self {
        let mut others = Self::default();
        for root in roots.iter().filter(|root| root.wanted.contains(&artifact)) {
            let names = if root.expires.is_some() { &mut others.pulled } else { &mut others.locks };
            names.push(root.lock.clone());
        }
        others
    }

    /// All of them.
    pub fn names(&self) -> Vec<String> {
        [self.locks.as_slice(), &self.pulled].concat()
    }

    const fn is_nobody(&self) -> bool {
        self.locks.is_empty() && self.pulled.is_empty()
    }
}

impl Project {
    /// Repairs the flaws that `verified` found by the same `request`.
    pub async fn repair(
        &self,
        verified: &Verified,
        request: Request<'_>,
        session: &Session,
    ) -> Result<Repaired, Error> {
        let Some((&first, _)) = verified.flaws.first_key_value() else {
            return Ok(Repaired::default());
        };
        let (store, caller) = (self.store().clone(), session.caller.clone());
        let flawed: BTreeSet<Artifact> = verified.flaws.keys().copied().collect();
        let wrong: BTreeSet<Artifact> = verified
            .flaws
            .iter()
            .filter_map(|(&artifact, flaw)| matches!(flaw, Flaw::Wrong(_)).then_some(artifact))
            .collect();
        let set_aside = move || {
            let all: Vec<Artifact> = flawed.iter().copied().collect();
            let run = store.shared()?.begin_run(&all, caller)?;
            for artifact in all {
                // A file that is whole is wrong only as long as it is the one that was looked at.
                match store.open(artifact) {
                    Ok(file) if wrong.contains(&artifact) => {
                        run.set_aside(artifact, file.record().content)?;
                    }
                    _ => drop(run.claim_damaged(artifact)?),
                }
            }
            Ok(())
        };
        blocking(first, set_aside).await?;
        let synced = match request.lock {
            Some(lock) => {
                let synced = self.sync(lock, &verified.selection, request.inputs, session).await;
                fetch_again(self, lock, &self.lost_blobs(verified, lock)?, session, synced).await
            }
            None => Synced::default(),
        };
        let roots = self.others(request)?;
        let flawed = || verified.flaws.keys().copied();
        let derived = flawed().filter(|artifact| !Others::of(&roots, *artifact).is_nobody());
        self.derive(derived.collect(), request.lock, session).await?;
        let outcomes = self.outcomes(verified, request, &roots, session).await?;
        Ok(Repaired { outcomes, synced })
    }

    /// The compressed layers among what `verified` found, which the project keeps beside what is built of them.
    /// A sync misses none of them, so they would not come again.
    fn lost_blobs(&self, verified: &Verified, lock: &Lock) -> Result<BTreeSet<Artifact>, Error> {
        let kept = self.speaks(lock)?.wanted;
        let blobs = images_of_blobs(lock).into_keys();
        Ok(blobs.filter(|it| kept.contains(it) && verified.flaws.contains_key(it)).collect())
    }

    /// The roots that are not of the lock.
    fn others(&self, request: Request<'_>) -> Result<Vec<Root>, Error> {
        let own = Store::absolute(self.lock_path())?;
        let mut roots = self.store().roots()?;
        roots.retain(|root| request.lock.is_none() || own != Path::new(&root.lock));
        Ok(roots)
    }

    /// Makes those of `artifacts` again that are derived, of known layers, all of which are there.
    async fn derive(
        &self,
        artifacts: Vec<Artifact>,
        lock: Option<&Lock>,
        session: &Session,
    ) -> Result<(), Error> {
        let Some(&first) = artifacts.first() else {
            return Ok(());
        };
        let stacks = stacks(self.store(), lock)?;
        let (store, caller) = (self.store().clone(), session.caller.clone());
        let work = move || {
            let run = store.shared()?.begin_run(&artifacts, caller)?;
            let reader = store.reader()?;
            // A disk comes after its fsmeta, as it does in the order of artifacts.
            for &artifact in &artifacts {
                let (Artifact::Fsmeta(chain_id) | Artifact::Disk(chain_id)) = artifact else {
                    continue;
                };
                let parts: Vec<Artifact> = parts_of(artifact, &stacks).into_iter().collect();
                if let Some(layers) = stacks.get(&chain_id)
                    && run.inventory(&parts)?.len() == parts.len()
                {
                    again(&reader, &run, artifact, layers)?;
                }
            }
            Ok(())
        };
        blocking(first, work).await
    }

    async fn outcomes(
        &self,
        verified: &Verified,
        request: Request<'_>,
        roots: &[Root],
        session: &Session,
    ) -> Result<BTreeMap<Artifact, Outcome>, Error> {
        let flawed: BTreeSet<Artifact> = verified.flaws.keys().copied().collect();
        let mut left = self.examine(&flawed, request, &session.reporter).await?;
        let mut wanted_here = BTreeSet::new();
        if let Some(lock) = request.lock {
            wanted_here.extend(self.wanted(lock, &verified.selection));
            wanted_here.extend(self.lost_blobs(verified, lock)?);
        }
        let mut outcome = |artifact| match left.remove(&artifact) {
            None => Outcome::Repaired,
            Some(flaw) if flaw.is_missing() && !wanted_here.contains(&artifact) => {
                let others = Others::of(roots, artifact);
                if others.is_nobody() { Outcome::SetAside } else { Outcome::WantedBy(others) }
            }
            Some(flaw) => Outcome::Left(flaw),
        };
        Ok(flawed.into_iter().map(|artifact| (artifact, outcome(artifact))).collect())
    }
}
