//! Decisions: what should be in the store, what is missing, and what to do about it. No I/O.
//!
//! [`plan`] only adds. A store may serve several projects, so what is made from one lock must not decide
//! what to delete: [`sweep`](sweep::sweep) looks at everybody who keeps something, and only takes away. A dry
//! run is a plan that nobody carries out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::platform::Platform;
use crate::plan::action::{Action, DocumentKind, FetchDocument, FetchLayer, Origin, Stack};
use crate::plan::artifact::{Artifact, Inventory};
use crate::plan::event::Totals;
use crate::plan::extent::{Content, Documents, Extent};
use crate::plan::selection::Selection;
use crate::spec::lockfile::{Lock, LockedDocument, LockedImage, LockedLayer, LockedPlatform};
use crate::spec::name::ImageName;

pub mod artifact;

pub mod action;

pub mod selection;

pub mod extent;

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

    /// The same, but for what is built of something that it does not make.
    #[must_use]
    pub fn anew(mut self) -> Self {
        let mut made = BTreeSet::new();
        // What others need comes before them.
        self.actions.retain(|action| {
            let is_anew = match action {
                Action::BuildFsmeta(_) | Action::WriteDisk(_) => action.needs().is_subset(&made),
                _ => true,
            };
            if is_anew {
                made.insert(action.makes());
            }
            is_anew
        });
        self
    }

    /// The same, but for what makes something of `lost`, or cannot be made without it.
    #[must_use]
    pub fn without(mut self, mut lost: BTreeSet<Artifact>) -> Self {
        // What others need comes before them.
        self.actions.retain(|action| {
            let is_lost = lost.contains(&action.makes()) || !action.needs().is_disjoint(&lost);
            if is_lost {
                lost.insert(action.makes());
            }
            !is_lost
        });
        self
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
        for (kind, document) in image.documents() {
            let artifact = Artifact::Blob(document.digest);
            missing.add(artifact, || Action::FetchDocument(image.fetch_document(kind, document)));
        }
    }
    match extent.content {
        Content::Nothing => {}
        Content::Blobs => {
            for (image, layer) in lacking_blobs(&wanted, have) {
                let artifact = Artifact::Blob(layer.digest);
                missing.add(artifact, || Action::FetchBlob(image.fetch_layer(layer)));
            }
        }
        Content::Disk => missing.add_disks(&wanted),
    }
    Plan { actions: missing.actions }
}

/// Every artifact that `selection` wants of `lock`.
pub fn wanted(lock: &Lock, selection: &Selection) -> BTreeSet<Artifact> {
    wanted_within(lock, selection, Extent::default())
}

/// As [`wanted`], and of each image as much as `extent` says. Some of it may be replaced by its [`substitutes`].
pub fn wanted_within(lock: &Lock, selection: &Selection, extent: Extent) -> BTreeSet<Artifact> {
    let wanted: Vec<Wanted<'_>> = wanted_platforms(lock, selection, extent).collect();
    let documents = wanted.iter().flat_map(Wanted::documents);
    let mut artifacts: BTreeSet<Artifact> =
        documents.map(|(_, document)| Artifact::Blob(document.digest)).collect();
    match extent.content {
        Content::Nothing => {}
        Content::Blobs => {
            let nothing = Inventory::new();
            let blobs = lacking_blobs(&wanted, &nothing);
            artifacts.extend(blobs.map(|(_, layer)| Artifact::Blob(layer.digest)));
        }
        Content::Disk => {
            for image in &wanted {
                artifacts.extend(image.locked.diff_ids().map(Artifact::Layer));
                artifacts
                    .extend([Artifact::Fsmeta(image.chain_id), Artifact::Disk(image.chain_id)]);
            }
        }
    }
    artifacts
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

/// The compressed layers of all that `selection` wants of `lock`, by their digests. Two of them may hold one
/// layer, packed differently.
pub fn layer_blobs(lock: &Lock, selection: &Selection) -> BTreeMap<Digest, FetchLayer> {
    let wanted: Vec<Wanted<'_>> = wanted_platforms(lock, selection, Extent::default()).collect();
    let mut blobs = BTreeMap::new();
    for (image, layer) in layers(&wanted) {
        blobs.entry(layer.digest).or_insert_with(|| image.fetch_layer(layer));
    }
    blobs
}

/// The blob of each layer of `lock`, and the image that is built of it.
pub fn images_of_blobs(lock: &Lock) -> BTreeMap<Artifact, Artifact> {
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
    /// Adds the `action` that makes `artifact`, if nothing does yet.
    fn add(&mut self, artifact: Artifact, action: impl FnOnce() -> Action) {
        if !self.have.contains(&artifact) && self.made.insert(artifact) {
            self.actions.push(action());
        }
    }

    /// Adds the images of layers, and what is built of them. A layer that is compressed in several ways is built of a
    /// blob that is there.
    fn add_disks(&mut self, wanted: &[Wanted<'_>]) {
        let have = self.have;
        let has_blob = |layer: &LockedLayer| have.contains(&Artifact::Blob(layer.digest));
        for (image, layer) in layers(wanted).filter(|(_, layer)| has_blob(layer)) {
            let artifact = Artifact::Layer(layer.diff_id);
            self.add(artifact, || Action::BuildLayer(image.fetch_layer(layer)));
        }
        for (image, layer) in layers(wanted).filter(|(_, layer)| !has_blob(layer)) {
            let artifact = Artifact::Layer(layer.diff_id);
            self.add(artifact, || Action::FetchLayer(image.fetch_layer(layer)));
        }
        for image in wanted {
            self.add(Artifact::Fsmeta(image.chain_id), || Action::BuildFsmeta(image.stack()));
        }
        for image in wanted {
            self.add(Artifact::Disk(image.chain_id), || Action::WriteDisk(image.stack()));
        }
    }
}

/// One image on one platform, wanted.
struct Wanted<'l> {
    name: &'l ImageName,
    platform: &'l Platform,
    image: &'l LockedImage,
    locked: &'l LockedPlatform,
    chain_id: ChainId,
    documents: Documents,
}

fn wanted_platforms<'l>(
    lock: &'l Lock,
    selection: &'l Selection,
    extent: Extent,
) -> impl Iterator<Item = Wanted<'l>> {
    let documents = extent.documents;
    selection.images.iter().flat_map(move |(name, platforms)| {
        let image = lock.image(name.as_str());
        platforms.iter().filter_map(move |platform| {
            let image = image?;
            let locked = image.platforms.get(platform)?;
            let chain_id = locked.chain_id();
            Some(Wanted { name, platform, image, locked, chain_id, documents })
        })
    })
}

/// Every layer, with whom it is wanted for.
fn layers<'w, 'l>(
    wanted: &'w [Wanted<'l>],
) -> impl Iterator<Item = (&'w Wanted<'l>, &'l LockedLayer)> {
    wanted.iter().flat_map(|image| image.locked.layers.iter().map(move |layer| (image, layer)))
}

/// The layers of which neither a blob nor an image is there, each once. Of one that is compressed in several ways,
/// one is enough.
fn lacking_blobs<'w, 'l>(
    wanted: &'w [Wanted<'l>],
    have: &Inventory,
) -> impl Iterator<Item = (&'w Wanted<'l>, &'l LockedLayer)> {
    let is_there = |layer: &LockedLayer| {
        let forms = [Artifact::Blob(layer.digest), Artifact::Layer(layer.diff_id)];
        forms.iter().any(|form| have.contains(form))
    };
    let there = layers(wanted).filter(|(_, layer)| is_there(layer));
    let mut covered: BTreeSet<DiffId> = there.map(|(_, layer)| layer.diff_id).collect();
    layers(wanted).filter(move |(_, layer)| covered.insert(layer.diff_id))
}

impl Wanted<'_> {
    /// Of the index, if there is one, the manifest and the config those that are wanted.
    fn documents(&self) -> impl Iterator<Item = (DocumentKind, LockedDocument)> {
        let root = LockedDocument { digest: self.image.digest, size: self.image.size };
        let index = self.image.media_type.is_index().then_some((DocumentKind::Index, root));
        let manifest = (DocumentKind::Manifest, self.locked.manifest);
        let config = (DocumentKind::Config, self.locked.config);
        let needs_all = self.documents == Documents::All;
        index.into_iter().chain([manifest]).filter(move |_| needs_all).chain([config])
    }

    fn fetch_document(&self, kind: DocumentKind, document: LockedDocument) -> FetchDocument {
        let LockedDocument { digest, size } = document;
        FetchDocument { kind, digest, size, origin: self.origin() }
    }

    fn fetch_layer(&self, layer: &LockedLayer) -> FetchLayer {
        let has_manifest = self.documents == Documents::All;
        FetchLayer {
            digest: layer.digest,
            size: layer.size,
            diff_id: layer.diff_id,
            layer_type: layer.layer_type,
            manifest: has_manifest.then_some(self.locked.manifest.digest),
            config: self.locked.config.digest,
            erofs: layer.erofs,
            origin: self.origin(),
        }
    }

    fn stack(&self) -> Stack {
        Stack {
            chain_id: self.chain_id,
            layers: self.locked.diff_ids().collect(),
            fsmeta: self.locked.fsmeta,
            origin: self.origin(),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            image: self.name.clone(),
            platform: self.platform.clone(),
            source: self.image.source.clone(),
        }
    }
}
