//! What is there and about to be built upon is looked at, every byte.
//!
//! A sync trusts a record, a size and a superblock. That is enough to serve a file, but not to build of it: what
//! is made of a damaged layer would be wrong for ever, with a record that says it is right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::context::{Context, blocking};
use crate::engine::error::Error;
use crate::plan::action::Action;
use crate::plan::artifact::{Artifact, Inventory};
use crate::plan::selection::Selection;
use crate::plan::{Plan, plan_within};
use crate::project::Project;
use crate::spec::lockfile::Lock;
use crate::store::error::Error as StoreError;

/// The parts of a sync.
pub(super) struct Parts<'a> {
    pub(super) project: &'a Project,
    pub(super) context: &'a Arc<Context>,
    pub(super) lock: &'a Lock,
    /// Whether registries are asked.
    pub(super) has_network: bool,
}

impl Parts<'_> {
    /// Moves to `quarantine/` what is damaged of what `selection` is built of, so that it is missing and made
    /// again. Answers what cannot be made again, which stays where it is.
    pub(super) async fn set_aside_damaged(
        &self,
        selection: &Selection,
    ) -> Result<BTreeMap<Artifact, StoreError>, Error> {
        let all = plan_within(self.lock, selection, self.project.extent(), &Inventory::new());
        let mut seen = BTreeSet::new();
        let mut stuck = BTreeMap::new();
        loop {
            let look = |artifacts: &[Artifact]| self.context.run.inventory(artifacts);
            let missing = self.project.plan_by(self.lock, selection, look)?;
            let parts: BTreeSet<Artifact> = parts(&missing).difference(&seen).copied().collect();
            let damaged = self.damaged(&parts).await?;
            if damaged.is_empty() {
                return Ok(stuck);
            }
            for artifact in damaged {
                let maker = all.actions.iter().find(|action| action.makes() == artifact);
                if maker.is_some_and(|action| self.can_be_done(action)) {
                    self.set_aside(artifact).await?;
                } else if let Err(error) = self.project.store().open_whole(artifact) {
                    stuck.insert(artifact, error);
                }
            }
            seen.extend(parts);
        }
    }

    fn can_be_done(&self, action: &Action) -> bool {
        self.has_network || !self.project.needs_network(action)
    }

    async fn damaged(&self, parts: &BTreeSet<Artifact>) -> Result<Vec<Artifact>, Error> {
        let Some(&first) = parts.first() else {
            return Ok(Vec::new());
        };
        let (store, jobs, parts) = (self.project.store().clone(), self.context.jobs, parts.clone());
        let read = move || Ok(store.verify(&parts, jobs, &|_| ())?);
        let verdicts = blocking(first, read).await?.verdicts.into_iter();
        Ok(verdicts
            .filter_map(|(artifact, verdict)| verdict.is_err().then_some(artifact))
            .collect())
    }

    async fn set_aside(&self, artifact: Artifact) -> Result<(), Error> {
        let run = self.context.run.clone();
        blocking(artifact, move || Ok(run.claim_damaged(artifact).map(drop)?)).await
    }
}

/// What the actions of `plan` build upon and none of them makes. Of a layer a disk needs its length alone,
/// which the fsmeta knows. Who builds a layer of its blob reads and compares all of that anyway.
fn parts(plan: &Plan) -> BTreeSet<Artifact> {
    let made: BTreeSet<Artifact> = plan.actions.iter().map(Action::makes).collect();
    let needed = plan.actions.iter().flat_map(|action| match action {
        Action::BuildFsmeta(_) => action.needs(),
        Action::WriteDisk(stack) => BTreeSet::from([Artifact::Fsmeta(stack.chain_id)]),
        Action::FetchDocument(_)
        | Action::FetchLayer(_)
        | Action::FetchBlob(_)
        | Action::BuildLayer(_) => BTreeSet::new(),
    });
    needed.filter(|part| !made.contains(part)).collect()
}
