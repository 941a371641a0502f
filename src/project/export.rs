//! Export: what a lock names leaves the store, as a bundle, an OCI layout or an archive for `docker load`.
//!
//! Everything is decided before anything is written: what is missing in the store, what cannot be fetched, and
//! whether the documents are those that the lock pins. The archive is a function of the lock and the request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::archive::bundle::contents::{CONTENTS, Contents, Member, MemberKind};
use crate::archive::index::{self, MARKER_TEXT};
use crate::archive::saved::{self, SavedImage};
use crate::engine::chain::Block;
use crate::engine::error::Error;
use crate::engine::export::Exporter;
use crate::engine::export::item::{Item, ItemContent, Target, Written};
use crate::oci::digest::Digest;
use crate::oci::platform::Platform;
use crate::plan::action::{Action, FetchLayer};
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Totals};
use crate::plan::selection::Selection;
use crate::plan::{layer_blobs, plan, wanted};
use crate::project::documents::{Desk, Documents};
use crate::project::sync::subset::pairs;
use crate::project::{Project, Session};
use crate::spec::lockfile::Lock;
use crate::spec::name::ImageName;
use crate::store::error::Error as StoreError;

/// What kind of archive is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI layout with the lock and artifacts in it, which `import` reads.
    Bundle(Content),
    /// An OCI layout.
    Oci,
    /// What `docker load` reads.
    DockerArchive,
}

/// What a bundle holds of an image, beside its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The compressed layers: a whole OCI layout, of which import builds the artifacts.
    Oci,
    /// The artifacts: what `sync --frozen` needs.
    Artifacts,
    /// Both.
    Both,
}

/// What is to be exported.
#[derive(Debug)]
pub struct Request<'l> {
    /// The lock.
    pub lock: &'l Lock,
    /// Its text, as the bundle has it.
    pub lock_text: &'l str,
    /// Which images of it, and which platforms.
    pub selection: Selection,
    /// In which form.
    pub format: Format,
    /// Artifacts and blobs that are left out of a bundle, because who receives it has them.
    pub left_out: BTreeSet<Artifact>,
}

/// Why nothing was exported.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The store lacks something that is not fetched on the way.
    NotInSync(Vec<Action>),
    /// Blobs are to be fetched, and there is no network.
    OutOfReach(Vec<FetchLayer>),
    /// An archive for `docker load` has one platform of an image.
    Several(ImageName, Vec<Platform>),
    /// The store cannot be read.
    Store(StoreError),
    /// Documents contradict the lock, or what is to be written could not be had or written.
    Failed(Vec<(Option<ImageName>, Error)>),
}

impl Content {
    const fn has_blobs(self) -> bool {
        matches!(self, Self::Oci | Self::Both)
    }

    const fn has_artifacts(self) -> bool {
        matches!(self, Self::Artifacts | Self::Both)
    }
}

/// All that a bundle of `selection` would hold: artifacts, documents and blobs.
pub fn everything(lock: &Lock, selection: &Selection) -> BTreeSet<Artifact> {
    let mut all = wanted(lock, selection);
    all.extend(layer_blobs(lock, selection).into_keys().map(Artifact::Blob));
    all
}

/// Documents by their digests.
type DocumentBytes = BTreeMap<Digest, Vec<u8>>;

pub(super) async fn export(
    project: &Project,
    request: &Request<'_>,
    target: Target,
    session: &Session,
) -> Result<Written, Refusal> {
    let started = Instant::now();
    require_one_platform(request)?;
    require_stored(project, request)?;
    let documents = documents(project, request).await?;
    let exporter = Exporter {
        store: project.store().clone(),
        sources: project.sources(session),
        limits: session.limits,
        jobs: session.jobs.get(),
        reporter: std::sync::Arc::clone(&session.reporter),
    };
    let items = items(project, request, documents)?;
    let fetched = require_reach(&items, &exporter, session)?;
    let totals = Totals {
        layers: fetched.len() as u64,
        download_bytes: fetched.iter().map(|layer| layer.size).sum(),
        ..Totals::default()
    };
    session.reporter.report(Event::Planned(totals));
    let written = exporter.write(items, target).await;
    session.reporter.report(Event::Done {
        success: written.is_ok(),
        totals: if written.is_ok() { totals } else { Totals::default() },
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    written.map_err(|error| Refusal::Failed(vec![(None, error)]))
}

fn require_one_platform(request: &Request<'_>) -> Result<(), Refusal> {
    if request.format != Format::DockerArchive {
        return Ok(());
    }
    let several = request.selection.images.iter().find(|(_, platforms)| platforms.len() > 1);
    several.map_or(Ok(()), |(name, platforms)| {
        Err(Refusal::Several(name.clone(), platforms.iter().cloned().collect()))
    })
}

/// Demands what only a sync puts into the store.
fn require_stored(project: &Project, request: &Request<'_>) -> Result<(), Refusal> {
    let Request { lock, selection, format, left_out, .. } = request;
    let has_artifacts = matches!(format, Format::Bundle(content) if content.has_artifacts());
    let is_wanted = |artifact: &Artifact| match artifact {
        Artifact::Blob(_) => true,
        artifact => has_artifacts && !left_out.contains(artifact),
    };
    let needed = wanted(lock, selection).into_iter().filter(is_wanted);
    let needed: BTreeSet<Artifact> = needed.collect();
    let present = project.store().inventory(needed.iter().copied()).map_err(Refusal::Store)?;
    let missing = plan(lock, selection, &present).actions.into_iter();
    let missing: Vec<Action> = missing.filter(|action| needed.contains(&action.makes())).collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal::NotInSync(missing)) }
}

/// The documents of all images, which agree with the lock.
async fn documents(project: &Project, request: &Request<'_>) -> Result<DocumentBytes, Refusal> {
    let mut documents = BTreeMap::new();
    let mut failures = Vec::new();
    let reader = project.store().reader().map_err(Refusal::Store)?;
    for (name, platform) in pairs(&request.selection) {
        let Some(image) = request.lock.image(name.as_str()) else { continue };
        let Some(locked) = image.platforms.get(platform) else { continue };
        let block = Block { name, image, platform, locked };
        let desk = Desk::Store { reader: &reader, heal: None };
        let chain = Documents { block, desk };
        // A mismatch of platforms was judged when the image was synced.
        match chain.checked(true).await {
            Ok(chain) => documents.extend(chain.into_bytes()),
            Err(error) => failures.push((Some(name.clone()), error)),
        }
    }
    if failures.is_empty() { Ok(documents) } else { Err(Refusal::Failed(failures)) }
}

/// Demands that what is to be fetched can be, and answers it.
fn require_reach(
    items: &[Item],
    exporter: &Exporter,
    session: &Session,
) -> Result<Vec<FetchLayer>, Refusal> {
    let fetched: Vec<FetchLayer> = items
        .iter()
        .filter_map(|item| match &item.content {
            ItemContent::Blob(layer) | ItemContent::Tar(layer) if !exporter.holds(layer) => {
                Some(layer.clone())
            }
            _ => None,
        })
        .collect();
    let is_out = |layer: &&FetchLayer| !layer.origin.source.is_local();
    let out_of_reach: Vec<FetchLayer> = match session.registry {
        Some(_) => Vec::new(),
        None => fetched.iter().filter(is_out).cloned().collect(),
    };
    if out_of_reach.is_empty() { Ok(fetched) } else { Err(Refusal::OutOfReach(out_of_reach)) }
}

/// All files, in their order.
fn items(
    project: &Project,
    request: &Request<'_>,
    documents: DocumentBytes,
) -> Result<Vec<Item>, Refusal> {
    match request.format {
        Format::DockerArchive => Ok(docker_items(request, &documents)),
        Format::Oci => {
            let blobs = layer_blobs(request.lock, &request.selection);
            let layout =
                layout_items(request).into_iter().map(|(kind, content)| (kind.name(), content));
            let documents = documents
                .into_iter()
                .map(|(digest, bytes)| (Artifact::Blob(digest).path(), ItemContent::Bytes(bytes)));
            let blobs = blobs
                .into_iter()
                .map(|(digest, layer)| (Artifact::Blob(digest).path(), ItemContent::Blob(layer)));
            let all = layout.chain(documents).chain(blobs);
            Ok(all.map(|(name, content)| Item { name, content }).collect())
        }
        Format::Bundle(content) => bundle_items(project, request, content, documents),
    }
}

/// What makes blobs a layout.
fn layout_items(request: &Request<'_>) -> [(MemberKind, ItemContent); 2] {
    let images = request.lock.images();
    let images = images.filter(|(name, _)| request.selection.images.contains_key(*name));
    [
        (MemberKind::Marker, ItemContent::Bytes(MARKER_TEXT.into())),
        (MemberKind::Index, ItemContent::Bytes(index::index(images))),
    ]
}

fn docker_items(request: &Request<'_>, documents: &DocumentBytes) -> Vec<Item> {
    let mut images = Vec::new();
    let mut configs = BTreeMap::new();
    for (name, platform) in pairs(&request.selection) {
        let Some(image) = request.lock.image(name.as_str()) else { continue };
        let Some(locked) = image.platforms.get(platform) else { continue };
        let config = locked.config.digest;
        configs.extend(documents.get(&config).map(|bytes| (config, bytes.clone())));
        images.push(SavedImage {
            tag: saved::tag(name, &image.source),
            config,
            layers: locked.diff_ids().collect(),
        });
    }
    let layers = layer_blobs(request.lock, &request.selection).into_values();
    let layers: BTreeMap<_, _> = layers.map(|layer| (layer.diff_id, layer)).collect();
    let manifest = Item {
        name: saved::MANIFEST.to_owned(),
        content: ItemContent::Bytes(saved::manifest(&images)),
    };
    let configs = configs.into_iter().map(|(digest, bytes)| Item {
        name: saved::config_name(digest),
        content: ItemContent::Bytes(bytes),
    });
    let layers = layers.into_iter().map(|(diff_id, layer)| Item {
        name: saved::layer_name(diff_id),
        content: ItemContent::Tar(layer),
    });
    std::iter::once(manifest).chain(configs).chain(layers).collect()
}

/// A bundle: its list, the layout, the lock, documents, artifacts and blobs, so that who reads it knows of each
/// what it is for.
fn bundle_items(
    project: &Project,
    request: &Request<'_>,
    content: Content,
    documents: DocumentBytes,
) -> Result<Vec<Item>, Refusal> {
    let Request { lock, selection, left_out, .. } = request;
    let is_sent = |artifact: &Artifact| !left_out.contains(artifact);
    let mut files: Vec<(MemberKind, ItemContent)> = layout_items(request).into();
    files.push((MemberKind::Lock, ItemContent::Bytes(request.lock_text.into())));
    let documents = documents
        .into_iter()
        .map(|(digest, bytes)| (Artifact::Blob(digest), ItemContent::Bytes(bytes)));
    let artifacts = wanted(lock, selection)
        .into_iter()
        .filter(|artifact| content.has_artifacts() && !matches!(artifact, Artifact::Blob(_)));
    let artifacts = artifacts.map(|artifact| (artifact, ItemContent::Stored(artifact)));
    let blobs = layer_blobs(lock, selection).into_iter().filter(|_| content.has_blobs());
    let blobs = blobs.map(|(digest, layer)| (Artifact::Blob(digest), ItemContent::Blob(layer)));
    let sent = documents.chain(artifacts).chain(blobs).filter(|(artifact, _)| is_sent(artifact));
    files.extend(sent.map(|(artifact, content)| (MemberKind::Artifact(artifact), content)));

    let members = files.iter().map(|(kind, content)| member(project, *kind, content));
    let members = members.collect::<Result<_, _>>().map_err(Refusal::Store)?;
    let contents = Contents { images: selection.images.clone(), members };
    let list = Item { name: CONTENTS.to_owned(), content: ItemContent::Bytes(contents.to_json()) };
    let files = files.into_iter().map(|(kind, content)| Item { name: kind.name(), content });
    Ok(std::iter::once(list).chain(files).collect())
}

fn member(
    project: &Project,
    kind: MemberKind,
    content: &ItemContent,
) -> Result<Member, StoreError> {
    let (size_bytes, digest) = match content {
        ItemContent::Bytes(bytes) => (bytes.len() as u64, Digest::of(bytes)),
        ItemContent::Blob(layer) | ItemContent::Tar(layer) => (layer.size, layer.digest),
        ItemContent::Stored(artifact) => {
            let file = project.store().open(*artifact)?;
            (file.record().size_bytes, file.sha256()?)
        }
    };
    Ok(Member { kind, size_bytes, digest })
}
