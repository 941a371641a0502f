//! Why each thing is made, for the log.

use std::collections::BTreeSet;

use tracing::{debug, trace};

use crate::plan::Plan;
use crate::plan::action::Action;
use crate::plan::artifact::Artifact;
use crate::project::Project;

/// Says what of `wanted` the store has, and why each other thing is made.
pub(super) fn log(project: &Project, wanted: &BTreeSet<Artifact>, missing: &Plan) {
    let lacking: BTreeSet<Artifact> = missing.actions.iter().map(Action::makes).collect();
    let there: BTreeSet<&Artifact> = wanted.difference(&lacking).collect();
    for artifact in &there {
        trace!("has {artifact}");
    }
    debug!("the store has {} of {} artifacts", there.len(), wanted.len());
    for action in &missing.actions {
        let (artifact, image) = (action.makes(), &action.origin().image);
        let why = match project.store().open(artifact) {
            Err(error) => error.to_string(),
            Ok(_) => "it has come meanwhile".to_owned(),
        };
        let bytes = action.download_bytes();
        debug!("makes {artifact} for {image}, fetching {bytes} bytes: {why}");
    }
}
