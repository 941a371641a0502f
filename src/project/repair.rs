//! Repair: what cannot be used is moved to `quarantine/`, and made again as far as the lock wants it.
//!
//! Derived files are made of what is there, everything else is fetched. What another project wants is left for
//! that project's next sync, which knows where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::context::blocking;
use crate::engine::error::Error;
use crate::plan::artifact::Artifact;
use crate::plan::layer_blobs;
use crate::project::sync::{Synced, fetch_again};
use crate::project::verify::{Flaw, Request, Verified};
use crate::project::{Project, Session};
use crate::spec::lockfile::Lock;
use crate::store::Store;

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
    /// It was moved away, and the projects of these locks want it.
    WantedBy(Vec<String>),
    /// It is still flawed.
    Left(Flaw),
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
                        run.set_aside(artifact, file.record().digest)?;
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
        let outcomes = self.outcomes(verified, request).await?;
        Ok(Repaired { outcomes, synced })
    }

    /// The compressed layers among what `verified` found, which the project keeps beside what is built of them.
    /// A sync misses none of them, so they would not come again.
    fn lost_blobs(&self, verified: &Verified, lock: &Lock) -> Result<BTreeSet<Artifact>, Error> {
        let kept = self.speaks(lock)?.wanted;
        let blobs = layer_blobs(lock).into_keys();
        Ok(blobs.filter(|it| kept.contains(it) && verified.flaws.contains_key(it)).collect())
    }

    async fn outcomes(
        &self,
        verified: &Verified,
        request: Request<'_>,
    ) -> Result<BTreeMap<Artifact, Outcome>, Error> {
        let flawed: BTreeSet<Artifact> = verified.flaws.keys().copied().collect();
        let mut left = self.examine(&flawed, request).await?;
        let mut wanted_here: BTreeSet<Artifact> =
            request.lock.iter().flat_map(|lock| self.wanted(lock, &verified.selection)).collect();
        if let Some(lock) = request.lock {
            wanted_here.extend(self.lost_blobs(verified, lock)?);
        }
        let own = Store::absolute(self.lock_path())?;
        let mut roots = self.store().roots()?;
        roots.retain(|root| own != Path::new(&root.lock));
        let mut outcome = |artifact| match left.remove(&artifact) {
            None => Outcome::Repaired,
            Some(flaw) if flaw.is_missing() && !wanted_here.contains(&artifact) => {
                let wanting = roots.iter().filter(|root| root.wanted.contains(&artifact));
                let locks: Vec<String> = wanting.map(|root| root.lock.clone()).collect();
                if locks.is_empty() { Outcome::SetAside } else { Outcome::WantedBy(locks) }
            }
            Some(flaw) => Outcome::Left(flaw),
        };
        Ok(flawed.into_iter().map(|artifact| (artifact, outcome(artifact))).collect())
    }
}
