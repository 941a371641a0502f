//! Parts of a selection, and what becomes of those that cannot be synced.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::apply::Failure;
use crate::engine::error::Error;
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::selection::Selection;
use crate::project::sync::Synced;
use crate::spec::name::ImageName;

/// Images on platforms that cannot be synced.
pub(super) type Broken = BTreeMap<(ImageName, Platform), Option<Error>>;

impl Synced {
    /// Notes the causes among `failures`, and answers what could not be made.
    pub(super) fn note(&mut self, failures: Vec<Failure>) -> BTreeSet<Artifact> {
        let lost = failures.iter().map(|failure| failure.action.makes()).collect();
        for Failure { action, error } in failures {
            if !matches!(error, Error::Skipped { .. }) {
                self.failures.push((action.origin().image.clone(), error));
            }
        }
        lost
    }

    pub(super) fn note_broken(&mut self, broken: Broken) {
        for ((name, platform), error) in broken {
            self.is_incomplete(&name, &platform);
            self.failures.extend(error.map(|error| (name, error)));
        }
    }

    pub(super) fn is_incomplete(&mut self, name: &ImageName, platform: &Platform) {
        self.incomplete.entry(name.clone()).or_default().insert(platform.clone());
    }
}

pub(in crate::project) fn pairs(
    selection: &Selection,
) -> impl Iterator<Item = (&ImageName, &Platform)> {
    selection
        .images
        .iter()
        .flat_map(|(name, platforms)| platforms.iter().map(move |platform| (name, platform)))
}

pub(super) fn only(name: &ImageName, platform: &Platform) -> Selection {
    let images = BTreeMap::from([(name.clone(), BTreeSet::from([platform.clone()]))]);
    Selection { images, skipped: Vec::new() }
}

pub(super) fn without(selection: &Selection, broken: &Broken) -> Selection {
    let mut selection = selection.clone();
    for (name, platform) in broken.keys() {
        if let Some(platforms) = selection.images.get_mut(name) {
            platforms.remove(platform);
        }
    }
    selection
}
