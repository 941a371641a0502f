//! Pull: images without a lock, or with one, made whole in a store and described.
//!
//! What a source named when it was last pulled is noted in the store, so that the next pull can do without a
//! registry. From then on everything goes as in a sync: the chain is checked whole, layers that are there are
//! used, and what fails leaves nothing that is visible. A pull that is given up, by dropping its future, leaves
//! the store as a killed process does: consistent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;

use crate::engine::context::blocking;
use crate::engine::error::Error;
use crate::engine::layers_dir::{HandedOut, LayersFormat, hand_out};
use crate::engine::source::Sources;
use crate::oci::digest::{DiffId, Digest};
use crate::oci::document::Document;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::parsed::CONFIG_BYTES_MAX;
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter, Totals};
use crate::plan::selection::{GroupChoice, Selection, SelectionError, of_groups};
use crate::project::files::Inputs;
use crate::project::relock::{IMAGES_AT_ONCE, resolve_one};
use crate::project::sync::{Noted, Synced, sync_pulled};
use crate::project::telling::{Events, channel};
use crate::project::{Project, Session};
use crate::spec::edit::name_for;
use crate::spec::lockfile::{Lock, LockedImage, LockedPlatform};
use crate::spec::manifest_file::ImageSpec;
use crate::spec::name::{GroupName, ImageName};
use crate::spec::source::{ImageSource, LocalSource};
use crate::store::Store;
use crate::store::pulled::PulledImage;

/// Whether a registry is asked what a tag names now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Only if the image was not pulled before. What is missing of one that was is fetched by its digest.
    #[default]
    IfMissing,
    /// Always. Layers that are there are used.
    Always,
    /// Never, and nothing is fetched.
    Never,
}

/// What is to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The image. A local source with a relative path is relative to the process's working directory.
    pub source: ImageSource,
    /// The platform it is for, or the best of the index whose programs run there.
    pub platform: Platform,
    /// Whether its registry is asked.
    pub policy: PullPolicy,
}

impl PullRequest {
    /// Pulls `reference` for this machine, if it was not pulled before. Without a tag and a digest it is
    /// `latest`.
    pub fn new(reference: Reference) -> Self {
        Self {
            source: ImageSource::Registry(reference.or_latest()),
            platform: Platform::host_linux(),
            policy: PullPolicy::default(),
        }
    }
}

/// An image that is whole in the store.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What it was called in events.
    pub name: ImageName,
    /// Where it comes from, canonically.
    pub source: ImageSource,
    /// The platform that was asked for.
    pub platform: Platform,
    /// What the source names: an index or a manifest.
    pub digest: Digest,
    /// Its manifest for the platform.
    pub manifest: Digest,
    /// Its layers, bottom to top.
    pub layers: Vec<PulledLayer>,
    /// The merged metadata.
    pub fsmeta: PathBuf,
    /// The disk: a VMDK that joins the files.
    pub disk: PathBuf,
    /// How it is started.
    pub config: ImageConfig,
    /// Whether all of it was in the store before.
    pub cached: bool,
}

impl Pulled {
    /// Puts each layer of the image, which is in `store`, into the directory `into`, and answers where they are,
    /// bottom to top. Tells what a directory lacks as warnings.
    pub async fn hand_out(
        &self,
        store: &Store,
        into: &Path,
        format: LayersFormat,
        session: &Session,
    ) -> Result<Vec<HandedOut>, Error> {
        let layers = stream::iter(self.layers.iter().map(|layer| layer.diff_id));
        let handed_out = layers.map(|layer| {
            let (store, into) = (store.clone(), into.to_owned());
            let artifact = Artifact::Layer(layer);
            blocking(artifact, move || hand_out(&store, layer, &into, format))
        });
        let handed_out: Vec<HandedOut> =
            handed_out.buffered(session.jobs.get()).try_collect().await?;
        for HandedOut { path, warnings, .. } in &handed_out {
            for warning in warnings {
                session.reporter.report(Event::Warning {
                    code: "layers-dir".to_owned(),
                    image: Some(self.name.clone()),
                    message: format!("`{}`: {warning}", path.display()),
                });
            }
        }
        Ok(handed_out)
    }
}

/// A layer of an image that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledLayer {
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The digest of its compressed bytes.
    pub digest: Digest,
    /// Its EROFS image.
    pub path: PathBuf,
}

/// Not everything could be pulled. What could be is in the store.
#[derive(Debug)]
pub struct PullError(Box<Synced>);

impl PullError {
    /// What was done, what failed and what is missing.
    pub fn synced(&self) -> &Synced {
        &self.0
    }

    fn of(name: &ImageName, error: impl Into<Error>) -> Self {
        let failures = vec![(name.clone(), error.into())];
        Self(Box::new(Synced { failures, ..Synced::default() }))
    }
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.0.failures.iter().map(|(name, _)| name);
        let lacking = self.0.out_of_reach.iter().map(|action| &action.origin().image);
        let names: BTreeSet<&ImageName> = failed.chain(lacking).collect();
        let names: Vec<&str> = names.into_iter().map(ImageName::as_str).collect();
        write!(f, "cannot pull `{}`", names.join("`, `"))
    }
}

impl std::error::Error for PullError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.failures.first().map(|(_, error)| error as _)
    }
}

/// Makes one image whole in `store`, and notes what its source named.
pub async fn pull(
    store: &Store,
    request: &PullRequest,
    session: &Session,
) -> Result<Pulled, PullError> {
    let PullRequest { source, platform, policy } = request;
    let unnamed = || "image".parse().expect("that is a name");
    let wanted = Wanted {
        name: name_for(source).unwrap_or_else(unnamed),
        spec: spec(source, platform),
        locked: None,
    };
    let project = Project::with_files(PathBuf::new(), PathBuf::new(), store.clone());
    let pulling = Pulling { project: &project, platform, policy: *policy, session };
    let name = wanted.name.clone();
    let mut pulled = pulling.all(vec![wanted]).await?;
    let lost = || Error::NotPulled { reference: source.clone(), platform: platform.clone() };
    pulled.pop().ok_or_else(|| PullError::of(&name, lost()))
}

/// As [`pull`], on a task of its own, with a stream of what happens. `session` makes the session, which tells
/// the reporter that it is given: [`Session::telling`] does.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn pull_with_progress(
    store: Store,
    request: PullRequest,
    session: impl FnOnce(Arc<dyn Reporter>) -> Session,
) -> (Events, PullHandle) {
    let (reporter, events) = channel();
    let session = session(reporter);
    let task = tokio::spawn(async move { pull(&store, &request, &session).await });
    (events, PullHandle(task))
}

/// A pull under way. Awaiting it gives its result, dropping it ends it.
#[derive(Debug)]
pub struct PullHandle(JoinHandle<Result<Pulled, PullError>>);

impl Future for PullHandle {
    type Output = Result<Pulled, PullError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|ended| match ended {
            Ok(result) => result,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // Only this handle ends its task, and whoever drops it does not poll it.
            Err(_) => Err(PullError(Box::default())),
        })
    }
}

impl Drop for PullHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Project {
    /// Makes the images of `group` whole in the store, each by its pin if `sandbox-images.lock` has a fresh
    /// one, else as [`pull`]. Writes no lock. With [`PullPolicy::Always`] tags are asked for all the same.
    pub async fn pull_group(
        &self,
        inputs: &Inputs,
        group: &GroupName,
        platform: &Platform,
        policy: PullPolicy,
        session: &Session,
    ) -> Result<Result<Vec<Pulled>, PullError>, SelectionError> {
        let choice = GroupChoice::Named(BTreeSet::from([group.clone()]));
        let names = of_groups(&inputs.image_set, &choice)?;
        let wanted = names.into_iter().filter_map(|name| {
            let mut spec = inputs.image_set.images.get(name)?.clone();
            let platforms = platform.compatible().into_iter();
            let is_stale = inputs.stale.iter().any(|stale| stale.image.as_ref() == Some(name));
            let locked = inputs.lock.image(name.as_str()).filter(|_| !is_stale);
            let locked = locked.and_then(|locked| {
                let mut platforms = platforms.filter_map(|one| locked.platforms.get(&one));
                Some(only(locked, platform, platforms.next()?))
            });
            spec.platforms = BTreeSet::from([platform.clone()]);
            spec.platforms_named = true;
            Some(Wanted { name: name.clone(), spec, locked })
        });
        let pulling = Pulling { project: self, platform, policy, session };
        Ok(pulling.all(wanted.collect()).await)
    }
}

/// The image for `platform` alone, which `locked` is for.
fn only(image: &LockedImage, platform: &Platform, locked: &LockedPlatform) -> LockedImage {
    let platforms = BTreeMap::from([(platform.clone(), locked.clone())]);
    LockedImage { platforms, absent_platforms: BTreeSet::default(), ..image.clone() }
}

fn spec(source: &ImageSource, platform: &Platform) -> ImageSpec {
    ImageSpec {
        source: source.clone(),
        platforms: BTreeSet::from([platform.clone()]),
        platforms_named: true,
        groups: BTreeSet::new(),
        allow_platform_mismatch: false,
        source_span: 0..0,
        platforms_span: None,
    }
}

/// An image that is to be pulled.
struct Wanted {
    name: ImageName,
    spec: ImageSpec,
    /// Its pin, if it has one.
    locked: Option<LockedImage>,
}

/// How images are pulled.
#[derive(Clone, Copy)]
struct Pulling<'a> {
    project: &'a Project,
    platform: &'a Platform,
    policy: PullPolicy,
    session: &'a Session,
}

impl Pulling<'_> {
    async fn all(&self, wanted: Vec<Wanted>) -> Result<Vec<Pulled>, PullError> {
        let session = &self.session();
        let sources = self.project.sources(session);
        let mut found = stream::iter(wanted)
            .map(|wanted| self.find(wanted, &sources, session))
            .buffered(IMAGES_AT_ONCE);
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        while let Some((wanted, image)) = found.next().await {
            match image {
                Ok(image) => images.push(Found { wanted, image }),
                Err(error) => failures.push((wanted.name, error)),
            }
        }
        drop(found);
        if images.is_empty() {
            let (success, totals) = (failures.is_empty(), Totals::default());
            session.reporter.report(Event::Done { success, totals, elapsed_ms: 0 });
        }
        self.fetch(&images, failures, sources, session).await
    }

    /// The session, without a network where nothing may be fetched.
    fn session(&self) -> Session {
        let mut session = self.session.clone();
        if self.policy == PullPolicy::Never {
            session.registry = None;
        }
        session
    }

    /// What `wanted` is: by its pin, by what was pulled before, or by what its source names now.
    async fn find(
        &self,
        wanted: Wanted,
        sources: &Sources,
        session: &Session,
    ) -> (Wanted, Result<LockedImage, Error>) {
        let image = self.find_image(&wanted, sources, session).await;
        (wanted, image)
    }

    async fn find_image(
        &self,
        wanted: &Wanted,
        sources: &Sources,
        session: &Session,
    ) -> Result<LockedImage, Error> {
        let Wanted { name, spec, locked } = wanted;
        if self.policy != PullPolicy::Always {
            if let Some(locked) = locked {
                return Ok(locked.clone());
            }
            let known = self.project.store().pulled(&self.anchored(&spec.source), self.platform)?;
            if let Some(image) = known.as_ref().and_then(PulledImage::image) {
                return Ok(LockedImage { source: spec.source.clone(), ..image.clone() });
            }
        }
        if self.policy == PullPolicy::Never {
            let (reference, platform) = (spec.source.clone(), self.platform.clone());
            return Err(Error::NotPulled { reference, platform });
        }
        Ok(resolve_one(name, spec, None, sources, session).await?.image)
    }

    /// The source as it is noted in a store, which knows no project: a path is absolute.
    fn anchored(&self, source: &ImageSource) -> ImageSource {
        let anchored = |local: &LocalSource| {
            let path = self.project.directory().join(&local.path);
            let path = Store::absolute(&path).unwrap_or(path);
            let path = path.to_string_lossy().into_owned();
            LocalSource { path, selector: local.selector.clone() }
        };
        match source {
            ImageSource::Registry(_) => source.clone(),
            ImageSource::OciLayout(local) => ImageSource::OciLayout(anchored(local)),
            ImageSource::DockerArchive(local) => ImageSource::DockerArchive(anchored(local)),
        }
    }

    async fn fetch(
        &self,
        images: &[Found],
        failures: Vec<(ImageName, Error)>,
        sources: Sources,
        session: &Session,
    ) -> Result<Vec<Pulled>, PullError> {
        let mut lock = Lock::new();
        for Found { wanted, image } in images {
            lock.insert(wanted.name.clone(), image.clone());
        }
        let selection = Selection::everything(&lock);
        let noted: Vec<Noted> = images.iter().map(|found| self.noted(found)).collect();
        let cached: Vec<bool> = images.iter().map(|found| self.is_there(found)).collect();
        let mut synced = if images.is_empty() {
            Synced::default()
        } else {
            sync_pulled(self.project, &lock, &selection, &noted, sources, session).await
        };
        synced.failures.extend(failures);
        if !synced.is_complete() {
            return Err(PullError(Box::new(synced)));
        }
        let described =
            images.iter().zip(cached).map(|(found, cached)| self.describe(found, cached));
        described.collect()
    }

    fn noted(&self, Found { wanted, image }: &Found) -> Noted {
        let (source, platform) = (self.anchored(&wanted.spec.source), self.platform.clone());
        Noted {
            name: wanted.name.clone(),
            image: PulledImage::new(source, platform, wanted.name.clone(), image),
            allow_platform_mismatch: wanted.spec.allow_platform_mismatch,
        }
    }

    /// Whether nothing of the image is missing. A store that cannot be looked at fails later, with a reason.
    fn is_there(&self, Found { wanted, image }: &Found) -> bool {
        let mut lock = Lock::new();
        lock.insert(wanted.name.clone(), image.clone());
        let plan = self.project.plan(&lock, &Selection::everything(&lock));
        plan.is_ok_and(|plan| plan.is_empty())
    }

    /// The image as whoever asked for it sees it. Notes that it is used.
    fn describe(&self, found: &Found, cached: bool) -> Result<Pulled, PullError> {
        let Found { wanted: Wanted { name, spec, .. }, image } = found;
        let failed = |error: Error| PullError::of(name, error);
        let (reference, platform) = (spec.source.clone(), self.platform.clone());
        let locked = image.platforms.get(self.platform).ok_or_else(|| {
            failed(Error::NotPulled { reference: reference.clone(), platform: platform.clone() })
        })?;
        let store = self.project.store();
        let config = store.read_blob(locked.config.digest, CONFIG_BYTES_MAX);
        let config = config.map_err(|error| failed(error.into()))?;
        let config: Document<ImageConfig> = Document::parse(config, None)
            .map_err(|source| failed(Error::Document { reference: reference.clone(), source }))?;
        let chain_id = locked.chain_id();
        let (fsmeta, disk) = (Artifact::Fsmeta(chain_id), Artifact::Disk(chain_id));
        let layers = locked.diff_ids().map(Artifact::Layer);
        for artifact in layers.chain([fsmeta, disk]) {
            store.touch(artifact, self.session.now).map_err(|error| failed(error.into()))?;
        }
        let layers = locked.layers.iter().map(|layer| PulledLayer {
            diff_id: layer.diff_id,
            digest: layer.digest,
            path: store.path_of(Artifact::Layer(layer.diff_id)),
        });
        Ok(Pulled {
            name: name.clone(),
            source: spec.source.clone(),
            platform,
            digest: image.digest,
            manifest: locked.manifest.digest,
            layers: layers.collect(),
            fsmeta: store.path_of(fsmeta),
            disk: store.path_of(disk),
            config: config.parsed().clone(),
            cached,
        })
    }
}

/// An image that is to be pulled, and what it is.
struct Found {
    wanted: Wanted,
    image: LockedImage,
}
