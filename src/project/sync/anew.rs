//! What a sync makes of nothing that was there before: most of a first one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::apply::{self, Admission, Failure};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::oci::platform::Platform;
use crate::plan::action::{Action, Origin};
use crate::plan::artifact::Artifact;
use crate::plan::extent::{Content, Extent};
use crate::plan::{Plan, wanted_within};
use crate::project::sync::subset::only;
use crate::project::sync::{Synced, Work};
use crate::spec::name::ImageName;
use crate::store::error::Error as StoreError;
use crate::store::reader::Reader;

/// What could not be made.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) documents: BTreeSet<Artifact>,
    pub(super) others: BTreeSet<Artifact>,
}

/// Images whose layers are fetched when their documents are there and make the chain that the lock states. Where they
/// do not, whatever the reason, the layers are left to who finds out what it is.
struct Chains<'w> {
    work: &'w Work<'w>,
    reader: &'w Reader,
    judged: Mutex<BTreeMap<(ImageName, Platform), bool>>,
}

impl Admission for Chains<'_> {
    fn needs(&self, action: &Action) -> BTreeSet<Artifact> {
        let mut needs = action.needs();
        if action.is_of_layer() {
            let Origin { image, platform, .. } = action.origin();
            let extent = Extent { content: Content::Nothing, ..self.work.project.extent() };
            needs.extend(wanted_within(self.work.lock, &only(image, platform), extent));
        }
        needs
    }

    async fn admits(&self, action: &Action) -> bool {
        if !action.is_of_layer() {
            return true;
        }
        let Origin { image, platform, .. } = action.origin();
        let pair = (image.clone(), platform.clone());
        let judged = || self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let known = judged().get(&pair).copied();
        if let Some(known) = known {
            return known;
        }
        let checked = self.work.check(self.reader, (image, platform), None).await;
        let is_right = matches!(checked, Some(Ok(())));
        judged().insert(pair, is_right);
        is_right
    }
}

impl Work<'_> {
    /// Does what is missing and builds upon nothing that was there before: each image's documents, then, when their
    /// chain is found right, its layers, and what is built of them. No image waits for the documents of others.
    pub(super) async fn do_anew(
        &self,
        context: &Arc<Context>,
        todo: &Plan,
        synced: &mut Synced,
    ) -> Result<Lost, StoreError> {
        let chains = Chains { work: self, reader: &context.reader, judged: Mutex::default() };
        let failures = apply::admitted(context, &todo.clone().anew().actions, &chains).await;
        let mut lost = Lost::default();
        for Failure { action, error } in &failures {
            match (action, error) {
                (_, Error::Skipped { .. }) => {}
                (Action::FetchDocument(_), _) => drop(lost.documents.insert(action.makes())),
                _ => drop(lost.others.insert(action.makes())),
            }
        }
        synced.note(failures);
        Ok(lost)
    }
}
