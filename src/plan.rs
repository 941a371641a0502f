//! Decisions: what should be in the store, what is missing, and what to do about it. No I/O.
//!
//! [`plan`] only adds. A store may serve several projects, so what is made from one lock must not decide
//! what to delete: [`sweep`](sweep::sweep) looks at everybody who keeps something, and only takes away. A dry
//! run is a plan that nobody carries out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::oci::digest::DiffId;
use crate::plan::action::{Action, DocumentKind, FetchDocument, FetchLayer, Origin, Stack};
use crate::plan::artifact::{Artifact, Inventory};
use crate::plan::event::Totals;
use crate::plan::extent::{Content, Documents, Extent};
use crate::plan::selection::Selection;
use crate::spec::lockfile::{Lock, LockedDocument, LockedImage, LockedPlatform};

pub mod artifact;

pub mod action;

pub mod selection;

pub mod extent;

pub mod event;

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
    plan_within(lock, selection, Extent::default(), have)
}

/// As [`plan`], and of each image as much is wanted as `extent` says.
pub fn plan_within(lock: &Lock, selection: &Selection, extent: Extent, have: &Inventory) -> Plan {
    let mut missing = Missing { have, made: BTreeSet::new(), actions: Vec::new() };
    let wanted: Vec<Wanted<'_>> = wanted_platforms(lock, selection, extent).collect();
    for image in &wanted {
        image.documents().for_each(|action| missing.add(action));
    }
    let layers: Vec<FetchLayer> = wanted.iter().flat_map(Wanted::layers).collect();
    match extent.content {
        Content::Nothing => {}
        Content::Blobs => missing.add_blobs(layers),
        Content::Disk => {
            missing.add_images(layers);
            for image in &wanted {
                missing.add(Action::BuildFsmeta(image.stack()));
            }
            for image in &wanted {
                missing.add(Action::WriteDisk(image.stack()));
            }
        }
    }
    Plan { actions: missing.actions }
}

/// Every artifact that `selection` wants of `lock`.
pub fn wanted(lock: &Lock, selection: &Selection) -> BTreeSet<Artifact> {
    wanted_within(lock, selection, Extent::default())
}

/// As [`wanted`], and of each image as much as `extent` says. Some of it may be replaced by its [`substitutes`].
pub fn wanted_within(lock: &Lock, selection: &Selection, extent: Extent) -> BTreeSet<Artifact> {
    let all = plan_within(lock, selection, extent, &Inventory::new());
    all.actions.iter().map(Action::makes).collect()
}

/// What may stand in for something that is wanted and that a store does not `have`: the blob of a layer of
/// which the image is built, or the image that makes its blob superfluous.
pub fn substitutes(
    lock: &Lock,
    selection: &Selection,
    extent: Extent,
    have: &Inventory,
) -> BTreeSet<Artifact> {
    let mut substitutes = BTreeSet::new();
    for wanted in wanted_platforms(lock, selection, extent) {
        for layer in &wanted.locked.layers {
            let (blob, image) = (Artifact::Blob(layer.digest), Artifact::Layer(layer.diff_id));
            match extent.content {
                Content::Disk if !have.contains(&image) => drop(substitutes.insert(blob)),
                Content::Blobs if !have.contains(&blob) => substitutes.extend([blob, image]),
                Content::Disk | Content::Blobs | Content::Nothing => {}
            }
        }
    }
    substitutes
}

/// The compressed layers of `lock`, each with the image that is built of it.
pub fn layer_blobs(lock: &Lock) -> BTreeMap<Artifact, Artifact> {
    let platforms = lock.images().flat_map(|(_, image)| image.platforms.values());
    let layers = platforms.flat_map(|platform| &platform.layers);
    layers.map(|layer| (Artifact::Blob(layer.digest), Artifact::Layer(layer.diff_id))).collect()
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

    /// Adds the images of `layers`. One that is compressed in several ways is built of a blob that is there.
    fn add_images(&mut self, layers: Vec<FetchLayer>) {
        let is_there = |layer: &FetchLayer| self.have.contains(&Artifact::Blob(layer.digest));
        let (kept, others): (Vec<_>, Vec<_>) = layers.into_iter().partition(is_there);
        for layer in kept {
            self.add(Action::BuildLayer(layer));
        }
        for layer in others {
            self.add(Action::FetchLayer(layer));
        }
    }

    /// Adds the blobs of `layers`. Of one that is compressed in several ways, one is enough.
    fn add_blobs(&mut self, layers: Vec<FetchLayer>) {
        let is_there = |layer: &&FetchLayer| {
            let forms = [Artifact::Blob(layer.digest), Artifact::Layer(layer.diff_id)];
            forms.iter().any(|form| self.have.contains(form))
        };
        let there = layers.iter().filter(is_there).map(|layer| layer.diff_id);
        let mut covered: BTreeSet<DiffId> = there.collect();
        for layer in layers {
            if covered.insert(layer.diff_id) {
                self.add(Action::FetchBlob(layer));
            }
        }
    }
}

/// One image on one platform, wanted.
struct Wanted<'l> {
    origin: Origin,
    image: &'l LockedImage,
    locked: &'l LockedPlatform,
    documents: Documents,
}

fn wanted_platforms<'l>(
    lock: &'l Lock,
    selection: &'l Selection,
    extent: Extent,
) -> impl Iterator<Item = Wanted<'l>> {
    selection.images.iter().flat_map(move |(name, platforms)| {
        let image = lock.image(name.as_str());
        platforms.iter().filter_map(move |platform| {
            let image = image?;
            let locked = image.platforms.get(platform)?;
            let origin = Origin {
                image: name.clone(),
                platform: platform.clone(),
                source: image.source.clone(),
            };
            Some(Wanted { origin, image, locked, documents: extent.documents })
        })
    })
}

impl Wanted<'_> {
    /// Of the index, if there is one, the manifest and the config those that are wanted.
    fn documents(&self) -> impl Iterator<Item = Action> {
        let root = LockedDocument { digest: self.image.digest, size: self.image.size };
        let index = self.image.media_type.is_index().then_some((DocumentKind::Index, root));
        let manifest = (DocumentKind::Manifest, self.locked.manifest);
        let config = (DocumentKind::Config, self.locked.config);
        let needs_all = self.documents == Documents::All;
        let upper = index.into_iter().chain([manifest]).filter(move |_| needs_all);
        upper.chain([config]).map(|(kind, LockedDocument { digest, size })| {
            Action::FetchDocument(FetchDocument { kind, digest, size, origin: self.origin.clone() })
        })
    }

    fn layers(&self) -> impl Iterator<Item = FetchLayer> {
        let manifest = Some(self.locked.manifest.digest);
        let manifest = manifest.filter(|_| self.documents == Documents::All);
        self.locked.layers.iter().map(move |layer| FetchLayer {
            digest: layer.digest,
            size: layer.size,
            diff_id: layer.diff_id,
            layer_type: layer.layer_type,
            manifest,
            config: self.locked.config.digest,
            erofs: layer.erofs,
            origin: self.origin.clone(),
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
