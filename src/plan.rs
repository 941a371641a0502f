//! Decisions: what should be in the store, what is missing, and what to do about it. No I/O.
//!
//! [`plan`] only adds. A store may serve several projects, so what is made from one lock must not decide
//! what to delete: [`sweep`](sweep::sweep) looks at everybody who keeps something, and only takes away. A dry
//! run is a plan that nobody carries out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::oci::digest::Digest;
use crate::plan::action::{Action, DocumentKind, FetchDocument, FetchLayer, Origin, Stack};
use crate::plan::artifact::{Artifact, Inventory};
use crate::plan::event::Totals;
use crate::plan::selection::Selection;
use crate::spec::lockfile::{Lock, LockedDocument, LockedImage, LockedPlatform};

pub mod artifact;

pub mod action;

pub mod selection;

pub mod event;

pub mod event_schema;

pub mod diff;

pub mod usage;

pub mod room;

pub mod cache_key;

pub mod root_life;

pub mod locked;
pub mod sweep;

#[cfg(test)]
mod tests;

/// What is to be done, in an order in which it can be done one after the other: documents, layers, merged
/// metadata, disks, each in the order of the images' names. Nothing is in it twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The actions.
    pub actions: Vec<Action>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// How much there is to do. Bytes are what is transferred if nothing is there in another form.
    pub fn totals(&self) -> Totals {
        self.actions.iter().fold(Totals::default(), |mut totals, action| {
            totals.add(action);
            totals
        })
    }
}

/// What a store must be given so that it holds all that `selection` wants of `lock`, beyond what it `have`s.
pub fn plan(lock: &Lock, selection: &Selection, have: &Inventory) -> Plan {
    let mut missing = Missing { have, made: BTreeSet::new(), actions: Vec::new() };
    let wanted: Vec<Wanted<'_>> = wanted_platforms(lock, selection).collect();
    for image in &wanted {
        image.documents().for_each(|action| missing.add(action));
    }
    for image in &wanted {
        image.layers().for_each(|action| missing.add(action));
    }
    for image in &wanted {
        missing.add(Action::BuildFsmeta(image.stack()));
    }
    for image in &wanted {
        missing.add(Action::WriteDisk(image.stack()));
    }
    Plan { actions: missing.actions }
}

/// Every artifact that `selection` wants of `lock`.
pub fn wanted(lock: &Lock, selection: &Selection) -> BTreeSet<Artifact> {
    plan(lock, selection, &Inventory::new()).actions.iter().map(Action::makes).collect()
}

/// The compressed layers of all that `selection` wants of `lock`, by their digests. Two of them may hold one
/// layer, packed differently.
pub fn layer_blobs(lock: &Lock, selection: &Selection) -> BTreeMap<Digest, FetchLayer> {
    let mut blobs = BTreeMap::new();
    for image in wanted_platforms(lock, selection) {
        for action in image.layers() {
            if let Action::FetchLayer(layer) = action {
                blobs.entry(layer.digest).or_insert(layer);
            }
        }
    }
    blobs
}

/// Collects the actions that make something new.
struct Missing<'h> {
    have: &'h Inventory,
    made: BTreeSet<Artifact>,
    actions: Vec<Action>,
}

impl Missing<'_> {
    fn add(&mut self, action: Action) {
        let artifact = action.makes();
        if !self.have.contains(&artifact) && self.made.insert(artifact) {
            self.actions.push(action);
        }
    }
}

/// One image on one platform, wanted.
struct Wanted<'l> {
    origin: Origin,
    image: &'l LockedImage,
    locked: &'l LockedPlatform,
}

fn wanted_platforms<'l>(
    lock: &'l Lock,
    selection: &'l Selection,
) -> impl Iterator<Item = Wanted<'l>> {
    selection.images.iter().flat_map(|(name, platforms)| {
        let image = lock.image(name.as_str());
        platforms.iter().filter_map(move |platform| {
            let image = image?;
            let locked = image.platforms.get(platform)?;
            let origin = Origin {
                image: name.clone(),
                platform: platform.clone(),
                source: image.source.clone(),
            };
            Some(Wanted { origin, image, locked })
        })
    })
}

impl Wanted<'_> {
    /// The index, if there is one, the manifest and the config.
    fn documents(&self) -> impl Iterator<Item = Action> {
        let root = LockedDocument { digest: self.image.digest, size: self.image.size };
        let index = self.image.media_type.is_index().then_some((DocumentKind::Index, root));
        let rest = [
            (DocumentKind::Manifest, self.locked.manifest),
            (DocumentKind::Config, self.locked.config),
        ];
        index.into_iter().chain(rest).map(|(kind, LockedDocument { digest, size })| {
            Action::FetchDocument(FetchDocument { kind, digest, size, origin: self.origin.clone() })
        })
    }

    fn layers(&self) -> impl Iterator<Item = Action> {
        self.locked.layers.iter().map(|layer| {
            Action::FetchLayer(FetchLayer {
                digest: layer.digest,
                size: layer.size,
                diff_id: layer.diff_id,
                layer_type: layer.layer_type,
                manifest: self.locked.manifest.digest,
                config: self.locked.config.digest,
                erofs: layer.erofs,
                origin: self.origin.clone(),
            })
        })
    }

    fn stack(&self) -> Stack {
        Stack {
            chain_id: self.locked.chain_id(),
            layers: self.locked.diff_ids().collect(),
            fsmeta: self.locked.fsmeta,
            origin: self.origin.clone(),
        }
    }
}
