//! The façade: a directory with `sandbox-images.toml` and `sandbox-images.lock`, and a store.
//!
//! The steps are separate, so that a caller may look between them, and each says what it may touch:
//! [`Project::texts`] and [`Inputs::parse`] read the two files and compare them, [`Project::lock`] asks the
//! sources of stale images, [`Project::write_lock`] writes the lock, [`Project::plan`] looks at the store,
//! and [`Project::sync`] carries a plan out; [`Project::gc`] deletes what nobody wants any more. Whoever stops before a step has done nothing of it.

pub mod files;

pub mod relock;

pub mod outdated;

mod documents;

pub mod locked;

mod parts;

pub mod sync;

pub mod publish;

pub mod gc;

pub mod export;

pub mod import;

pub mod artifacts;

pub mod rederive;

mod reading;

pub mod verify;

pub mod repair;

pub mod telling;

pub mod pull;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::engine::error::Error;
use crate::engine::export::item::{Target, Written};
use crate::engine::source::Sources;
use crate::layer::limits::Limits;
use crate::plan::action::{Action, FetchLayer};
use crate::plan::artifact::{Artifact, Inventory};
use crate::plan::event::{Reporter, Silent};
use crate::plan::extent::{Content, Documents, Extent};
use crate::plan::selection::Selection;
use crate::plan::{Plan, plan_within, substitutes, wanted_within};
use crate::project::artifacts::Completed;
use crate::project::files::{FileError, Inputs, Texts};
use crate::project::import::{Bundle, Imported};
use crate::project::outdated::Tracked;
use crate::project::relock::Relocked;
use crate::project::sync::Synced;
use crate::registry::Registry;
use crate::spec::lockfile::Lock;
use crate::spec::name::ImageName;
use crate::store::Store;
use crate::store::error::Error as StoreError;
use crate::store::guard::Caller;

/// The two files and the store.
#[derive(Debug, Clone)]
pub struct Project {
    image_set_path: PathBuf,
    lock_path: PathBuf,
    store: Store,
    extent: Extent,
}

/// With what a project's steps are done.
#[derive(Clone)]
pub struct Session {
    /// The registries, or nothing where there is to be no network.
    pub registry: Option<Registry>,
    /// What a layer may hold.
    pub limits: Limits,
    /// How many layers, fsmetas and disks are worked on at once.
    pub jobs: NonZeroUsize,
    /// On whose behalf the store is used, and how long to wait for others.
    pub caller: Caller,
    /// Who is told what happens.
    pub reporter: Arc<dyn Reporter>,
    /// When this is.
    pub now: SystemTime,
}

impl Session {
    /// A session with the default limits, that waits ten minutes for other processes and tells nobody.
    pub fn new(registry: Option<Registry>, now: SystemTime) -> Self {
        Self {
            registry,
            limits: Limits::default(),
            jobs: default_jobs(),
            caller: Caller::quiet("sandbox-images", WAIT_MAX),
            reporter: Arc::new(Silent),
            now,
        }
    }
}

/// How long other processes are waited for, if nobody says otherwise: a large image on a slow link.
const WAIT_MAX: Duration = Duration::from_mins(10);

/// As many layers as keep the processors busy while some wait for the network.
fn default_jobs() -> NonZeroUsize {
    const JOBS_MIN: usize = 4;
    const JOBS_MAX: usize = 16;
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new((processors * 2).clamp(JOBS_MIN, JOBS_MAX)).unwrap_or(NonZeroUsize::MIN)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { registry, jobs, caller, .. } = self;
        f.debug_struct("Session")
            .field("registry", registry)
            .field("jobs", jobs)
            .field("caller", caller)
            .finish_non_exhaustive()
    }
}

impl Project {
    /// The project in `directory`, with files of the usual names. Reads nothing.
    pub fn new(directory: impl AsRef<Path>, store: Store) -> Self {
        let directory = directory.as_ref();
        Self::with_files(
            directory.join("sandbox-images.toml"),
            directory.join("sandbox-images.lock"),
            store,
        )
    }

    /// The project of these two files. Reads nothing.
    pub fn with_files(image_set_path: PathBuf, lock_path: PathBuf, store: Store) -> Self {
        Self { image_set_path, lock_path, store, extent: Extent::default() }
    }

    /// The same project with another lock.
    #[must_use]
    pub fn with_lock(self, lock_path: PathBuf) -> Self {
        Self { lock_path, ..self }
    }

    /// The same project, of whose images as much is wanted in the store as `extent` says.
    #[must_use]
    pub fn with_extent(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }

    /// How much of its images is wanted in the store.
    pub const fn extent(&self) -> Extent {
        self.extent
    }

    /// Where `sandbox-images.toml` is.
    pub fn image_set_path(&self) -> &Path {
        &self.image_set_path
    }

    /// Where `sandbox-images.lock` is.
    pub fn lock_path(&self) -> &Path {
        &self.lock_path
    }

    /// Where the artifacts are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads the two files.
    pub fn texts(&self) -> Result<Texts, FileError> {
        Texts::read(&self.image_set_path, &self.lock_path)
    }

    /// Makes a lock that satisfies the image set with the least change: only what is stale is resolved, and
    /// an image whose line is the same keeps its pin. Writes nothing.
    pub async fn lock(&self, inputs: &Inputs, session: &Session) -> Relocked {
        relock::relock(inputs, &BTreeSet::new(), &self.sources(session), session).await
    }

    /// As [`Project::lock`], and the tags of `images` are resolved again too. An image that is given by digest
    /// does not move, and one that is found as it was keeps its block. Writes nothing.
    pub async fn update(
        &self,
        inputs: &Inputs,
        images: &BTreeSet<ImageName>,
        session: &Session,
    ) -> Relocked {
        relock::relock(inputs, images, &self.sources(session), session).await
    }

    /// What the images' tags name now, beside what is locked: each image with its own answer. Writes nothing.
    pub async fn outdated(
        &self,
        inputs: &Inputs,
        session: &Session,
    ) -> Vec<(ImageName, Result<Tracked, Error>)> {
        outdated::outdated(inputs, &self.sources(session)).await
    }

    /// Gives `lock`, made from `inputs`, the digests of its artifacts: what lacks one is built into the store, on
    /// all platforms. Writes no lock.
    pub async fn lock_artifacts(
        &self,
        lock: Lock,
        inputs: &Inputs,
        session: &Session,
    ) -> Completed {
        artifacts::complete(self, lock, inputs, session).await
    }

    /// Replaces the lock with `text`, whole or not at all, if it is another text.
    pub fn write_lock(&self, text: &str) -> Result<bool, FileError> {
        files::replace(&self.lock_path, text)
    }

    /// Makes the two files hold `after`, both or neither as far as the file system allows. A text that is
    /// `None` stays as it is. If one of them does not hold `before` any more, nothing is written.
    pub fn write_texts(&self, before: &Texts, after: &Texts) -> Result<(), FileError> {
        if self.texts()? != *before {
            return Err(FileError::Changed(self.image_set_path.clone()));
        }
        if let Some(text) = &after.image_set {
            files::replace(&self.image_set_path, text)?;
        }
        let Some(text) = &after.lock else { return Ok(()) };
        let written = self.write_lock(text);
        if let (Err(_), Some(text)) = (&written, &before.image_set) {
            files::replace(&self.image_set_path, text)?;
        }
        written.map(drop)
    }

    /// What `selection` wants of `lock`, as much as this project wants of its images.
    pub fn wanted(&self, lock: &Lock, selection: &Selection) -> BTreeSet<Artifact> {
        wanted_within(lock, selection, self.extent)
    }

    /// What is missing in the store. Writes nothing.
    pub fn plan(&self, lock: &Lock, selection: &Selection) -> Result<Plan, StoreError> {
        self.plan_by(lock, selection, |artifacts| self.store.inventory(artifacts.iter().copied()))
    }

    /// What is missing by an inventory that `scan` takes. Substitutes are looked for only where something is
    /// missing.
    fn plan_by(
        &self,
        lock: &Lock,
        selection: &Selection,
        scan: impl Fn(&[Artifact]) -> Result<Inventory, StoreError>,
    ) -> Result<Plan, StoreError> {
        let wanted: Vec<Artifact> = self.wanted(lock, selection).into_iter().collect();
        let mut have = scan(&wanted)?;
        let substitutes = substitutes(lock, selection, self.extent, &have);
        if !substitutes.is_empty() {
            have.extend(scan(&substitutes.into_iter().collect::<Vec<_>>())?);
        }
        Ok(plan_within(lock, selection, self.extent, &have))
    }

    /// Whether `action` cannot be done without a network: it fetches, and nothing that came before is whole.
    pub fn needs_network(&self, action: &Action) -> bool {
        let is_kept = match action {
            Action::FetchLayer(FetchLayer { digest, size, .. })
            | Action::FetchBlob(FetchLayer { digest, size, .. }) => {
                self.store.has_whole_partial(*digest, *size).unwrap_or(false)
                    || self.store.open(Artifact::Blob(*digest)).is_ok()
            }
            _ => false,
        };
        action.needs_network() && !is_kept
    }

    /// Makes the store hold what `selection` wants of `lock`, and notes in the store that this project wants
    /// all of `lock`. What fails takes only the images with it that need it.
    pub async fn sync(
        &self,
        lock: &Lock,
        selection: &Selection,
        inputs: Option<&Inputs>,
        session: &Session,
    ) -> Synced {
        sync::sync(self, lock, selection, inputs, session).await
    }

    /// Writes what `request` wants of the lock to `target`, fetching by digest the compressed layers that the
    /// store does not hold. Nothing is written before it is known that all can be had.
    pub async fn export(
        &self,
        request: &export::Request<'_>,
        target: Target,
        session: &Session,
    ) -> Result<Written, export::Refusal> {
        export::export(self, request, target, session).await
    }

    /// Makes the store hold what `bundle` holds, and the project have its lock if it has none. Uses no network,
    /// and publishes nothing before all of the bundle is verified.
    pub async fn import(
        &self,
        bundle: Bundle,
        session: &Session,
    ) -> Result<Imported, import::Refusal> {
        import::import(self, bundle, session).await
    }

    /// Makes the store hold index, manifest and config of all that `selection` wants of `lock`, also where syncs
    /// of this project want the config alone, and checks that they agree. Fetches nothing else.
    pub async fn fetch_documents(
        &self,
        lock: &Lock,
        selection: &Selection,
        inputs: Option<&Inputs>,
        session: &Session,
    ) -> Synced {
        let extent = Extent { documents: Documents::All, content: Content::Nothing };
        self.clone().with_extent(extent).sync(lock, selection, inputs, session).await
    }

    fn sources(&self, session: &Session) -> Sources {
        Sources::new(self.directory().to_owned(), session.registry.clone(), session.limits)
    }

    /// What local sources are relative to.
    fn directory(&self) -> &Path {
        self.image_set_path.parent().unwrap_or(Path::new(""))
    }
}
