//! Verify: every byte against its record, and what a lock wants against what is there. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::engine::chain::Block;
use crate::engine::context::blocking;
use crate::engine::error::Error;
use crate::engine::structure::{self, Stacks};
use crate::oci::digest::{ChainId, Digest};
use crate::oci::document::config::ImageConfig;
use crate::oci::document::parsed::{CONFIG_BYTES_MAX, Parsed as _};
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter};
use crate::plan::selection::{Selection, SelectionRequest, select};
use crate::project::Project;
use crate::project::documents::{Desk, Documents};
use crate::project::files::Inputs;
use crate::project::locked::digests;
use crate::project::reading::Reading;
use crate::project::rederive::allows_mismatch;
use crate::spec::lockfile::{Lock, LockedPlatform};
use crate::spec::name::ImageName;
use crate::store::Store;
use crate::store::error::{Damage, Error as StoreError};
use crate::store::survey::Strays;
use crate::words::with_causes;

/// What is to be verified.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is locked, where there is a lock that can be read.
    pub lock: Option<&'a Lock>,
    /// The two files, where they can be read.
    pub inputs: Option<&'a Inputs>,
    /// Whether artifacts must also hold what such artifacts must hold, and the images' documents agree with
    /// the lock.
    pub deep: bool,
    /// How many files are read at once.
    pub jobs: NonZeroUsize,
}

/// What was found.
#[derive(Debug)]
pub struct Verified {
    /// What of the lock should be in the store: what a sync without flags wants, and each image on each platform
    /// that was synced.
    pub selection: Selection,
    /// How many artifacts were looked at.
    pub examined: usize,
    /// Those of them that cannot be used.
    pub flaws: BTreeMap<Artifact, Flaw>,
    /// Images whose documents contradict the lock.
    pub contradictions: Vec<(ImageName, Error)>,
    /// What lies there and is no artifact.
    pub strays: Strays,
}

/// Why an artifact cannot be used.
#[derive(Debug)]
pub enum Flaw {
    /// It is not as it was committed.
    Damaged(Damage),
    /// It is as it was committed, and that was wrong.
    Wrong(Error),
}

impl Flaw {
    /// `missing`, `size`, `digest`, `unreadable` or `unexpected`.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Damaged(damage) => damage.class(),
            Self::Wrong(Error::ArtifactDiffers { .. } | Error::NotDerived { .. }) => "digest",
            Self::Wrong(Error::PartSize { .. }) => "size",
            Self::Wrong(_) => "unreadable",
        }
    }

    /// Whether nothing is wrong with it but that it is not there.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Damaged(Damage::Missing))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(damage) => damage.fmt(f),
            Self::Wrong(Error::ArtifactDiffers { expected, actual, .. }) => {
                write!(f, "the file is `{actual}`, the lock says `{expected}`")
            }
            Self::Wrong(Error::NotDerived { expected, actual, .. }) => {
                write!(f, "the file is `{actual}`, its layers make `{expected}`")
            }
            Self::Wrong(error) => f.write_str(&with_causes(error)),
        }
    }
}

impl Project {
    /// Reads all that has a record and looks for all that the lock wants. `reporter` is told how far that is.
    pub async fn verify(
        &self,
        request: Request<'_>,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Verified, Error> {
        let recorded: BTreeSet<Artifact> = self.store().recorded()?.into_iter().collect();
        let selection =
            request.lock.map(|lock| expected(lock, request.inputs, &recorded)).unwrap_or_default();
        let mut artifacts = recorded;
        artifacts.extend(request.lock.iter().flat_map(|lock| self.wanted(lock, &selection)));
        let flaws = self.examine(&artifacts, request, reporter).await?;
        let contradictions = match request.lock.filter(|_| request.deep) {
            Some(lock) => self.contradictions(lock, request.inputs, &selection).await?,
            None => Vec::new(),
        };
        let mut strays = self.store().strays()?;
        strays
            .unrecorded
            .retain(|leftover, _| !flaws.keys().any(|artifact| artifact.path() == leftover.path));
        Ok(Verified { selection, examined: artifacts.len(), flaws, contradictions, strays })
    }

    /// What is wrong with `artifacts`.
    pub(super) async fn examine(
        &self,
        artifacts: &BTreeSet<Artifact>,
        request: Request<'_>,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<BTreeMap<Artifact, Flaw>, Error> {
        let Some(&first) = artifacts.first() else {
            return Ok(BTreeMap::new());
        };
        let (store, jobs, all) = (self.store().clone(), request.jobs, artifacts.clone());
        let reading = Reading::new(artifacts.len(), Arc::clone(reporter));
        let read = move || Ok(store.verify(&all, jobs, &|told| reading.take(&told))?);
        let locked = request.lock.map(digests).unwrap_or_default();
        let mut flaws = BTreeMap::new();
        for (artifact, verdict) in blocking(first, read).await?.verdicts {
            let flaw = match (verdict, locked.get(&artifact)) {
                (Err(damage), _) => Flaw::Damaged(damage),
                (Ok(_), Some(&expected)) => match self.store().open(artifact)?.sha256()? {
                    actual if actual == expected => continue,
                    actual => Flaw::Wrong(Error::ArtifactDiffers { artifact, expected, actual }),
                },
                (Ok(_), None) => continue,
            };
            flaws.insert(artifact, flaw);
        }
        if request.deep {
            self.examine_structures(artifacts, request, &mut flaws).await?;
        }
        let [artifacts, flawed] = [artifacts.len(), flaws.len()].map(|count| count as u64);
        reporter.report(Event::VerifyDone { artifacts, flawed });
        Ok(flaws)
    }

    /// Adds what is wrong with the structure of those `artifacts` that have no flaw yet, and whose parts have
    /// none. Layers come first, then what is made of them.
    async fn examine_structures(
        &self,
        artifacts: &BTreeSet<Artifact>,
        request: Request<'_>,
        flaws: &mut BTreeMap<Artifact, Flaw>,
    ) -> Result<(), Error> {
        let stacks = Arc::new(stacks(self.store(), request.lock)?);
        for kind in ["layer", "fsmeta", "disk"] {
            let sound = artifacts.iter().copied().filter(|artifact| {
                let parts = parts_of(*artifact, &stacks);
                artifact.kind() == kind
                    && !flaws.contains_key(artifact)
                    && parts.iter().all(|part| !flaws.contains_key(part))
            });
            let checks = sound.map(|artifact| {
                let (store, stacks) = (self.store().clone(), Arc::clone(&stacks));
                let check = move || Ok(structure::check(&store, artifact, &stacks));
                async move { (artifact, blocking(artifact, check).await) }
            });
            let checks: Vec<_> = checks.collect();
            let mut checks = stream::iter(checks).buffer_unordered(request.jobs.get());
            while let Some((artifact, checked)) = checks.next().await {
                if let Err(error) = checked? {
                    let (artifact, flaw) = blame(artifact, error)?;
                    flaws.entry(artifact).or_insert(flaw);
                }
            }
        }
        Ok(())
    }

    /// The images whose documents contradict the lock. Documents that are not there or damaged are told as
    /// artifacts.
    async fn contradictions(
        &self,
        lock: &Lock,
        inputs: Option<&Inputs>,
        selection: &Selection,
    ) -> Result<Vec<(ImageName, Error)>, Error> {
        let mut found = Vec::new();
        let reader = self.store().reader()?;
        for (name, platforms) in &selection.images {
            let Some(image) = lock.image(name.as_str()) else { continue };
            for (platform, locked) in
                image.platforms.iter().filter(|(platform, _)| platforms.contains(platform))
            {
                let block = Block { name, image, platform, locked };
                let desk = Desk::Store { reader: &reader, heal: None };
                let documents = Documents { block, desk };
                match documents.check(self.extent().documents, allows_mismatch(inputs, name)).await
                {
                    Ok(())
                    | Err(Error::Store(StoreError::Missing { .. } | StoreError::Damaged { .. })) => {
                    }
                    Err(error @ Error::Chain(_)) => found.push((name.clone(), error)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }
}

/// What of `lock` should be in a store that has records of `recorded`.
fn expected(lock: &Lock, inputs: Option<&Inputs>, recorded: &BTreeSet<Artifact>) -> Selection {
    let request = SelectionRequest::default_for(Platform::host_linux());
    let set = inputs.map(|inputs| &inputs.image_set);
    let mut selection = select(set, lock, &request).unwrap_or_default();
    for (name, image) in lock.images() {
        let synced = image.platforms.iter().filter(|(_, locked)| was_synced(locked, recorded));
        let platforms: BTreeSet<Platform> = synced.map(|(platform, _)| platform.clone()).collect();
        if !platforms.is_empty() {
            selection.images.entry(name.clone()).or_default().extend(platforms);
        }
    }
    selection
}

/// Whether there is something that was built for it, and a document that is its own: images of the same layers
/// share all that is built.
fn was_synced(locked: &LockedPlatform, recorded: &BTreeSet<Artifact>) -> bool {
    let chain_id = locked.chain_id();
    let built = [Artifact::Fsmeta(chain_id), Artifact::Disk(chain_id)];
    let documents =
        [locked.manifest, locked.config].map(|document| Artifact::Blob(document.digest));
    [built, documents].iter().all(|any| any.iter().any(|artifact| recorded.contains(artifact)))
}

/// The stacks that are known: by the lock, and by every config in the store.
pub(super) fn stacks(store: &Store, lock: Option<&Lock>) -> Result<Stacks, Error> {
    let mut stacks = Stacks::new();
    let locked = lock.iter().flat_map(|lock| lock.images());
    for locked in locked.flat_map(|(_, image)| image.platforms.values()) {
        stacks.insert(locked.chain_id(), locked.diff_ids().collect());
    }
    for artifact in store.recorded()? {
        let Artifact::Blob(digest) = artifact else { continue };
        if let Some(config) = config(store, digest) {
            let chain_id = ChainId::of(config.diff_ids.iter().copied());
            stacks.entry(chain_id).or_insert(config.diff_ids);
        }
    }
    Ok(stacks)
}

/// A blob as a config, if it is one. What cannot be read is told elsewhere.
fn config(store: &Store, digest: Digest) -> Option<ImageConfig> {
    let bytes = store.read_blob(digest, CONFIG_BYTES_MAX).ok()?;
    ImageConfig::parse(&bytes, None).ok()
}

/// What must be sound before `artifact` can be judged, as far as is known.
pub(super) fn parts_of(artifact: Artifact, stacks: &Stacks) -> BTreeSet<Artifact> {
    let layers =
        |chain_id| stacks.get(&chain_id).into_iter().flatten().map(|id| Artifact::Layer(*id));
    match artifact {
        Artifact::Blob(_) | Artifact::Layer(_) => BTreeSet::new(),
        Artifact::Fsmeta(chain_id) => layers(chain_id).collect(),
        Artifact::Disk(chain_id) => layers(chain_id).chain([Artifact::Fsmeta(chain_id)]).collect(),
    }
}

/// Which artifact `error`, met when `checked` was looked at, is about. What says nothing about any is an error.
fn blame(checked: Artifact, error: Error) -> Result<(Artifact, Flaw), Error> {
    Ok(match error {
        Error::Store(StoreError::Missing { artifact }) => {
            (artifact, Flaw::Damaged(Damage::Missing))
        }
        Error::Store(StoreError::Damaged { artifact, source, .. }) => {
            (artifact, Flaw::Damaged(*source))
        }
        Error::Store(_) | Error::Aborted(_) => return Err(error),
        Error::Stored(artifact, _) | Error::Overlay(artifact, _) => (artifact, Flaw::Wrong(error)),
        _ => (checked, Flaw::Wrong(error)),
    })
}
