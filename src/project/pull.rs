//! Pull: images without a lock, or with one, made whole in a store and described.
//!
//! What a source named when it was last pulled is noted in the store, so that the next pull can do without a
//! registry. From then on everything goes as in a sync: the chain is checked whole, layers that are there are
//! used, and what fails leaves nothing that is visible. A pull that is given up, by dropping its future, leaves
//! the store as a killed process does: consistent.

mod pulling;

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
use crate::oci::digest::{DiffId, Digest};
use crate::oci::document::config::ImageConfig;
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter};
use crate::plan::selection::{GroupChoice, SelectionError, of_groups};
use crate::project::files::Inputs;
use crate::project::pull::pulling::{Pulling, Wanted};
use crate::project::sync::Synced;
use crate::project::telling::{Events, channel};
use crate::project::{Project, Session};
use crate::spec::edit::name_for;
use crate::spec::lockfile::{LockedImage, LockedPlatform};
use crate::spec::manifest_file::ImageSpec;
use crate::spec::name::{GroupName, ImageName};
use crate::spec::source::ImageSource;
use crate::store::Store;

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
    let Some(name) = name_for(source).or_else(|| "image".parse().ok()) else {
        return Err(PullError(Box::default()));
    };
    let wanted = Wanted { name: name.clone(), spec: spec(source, platform), locked: None };
    let project = Project::with_files(PathBuf::new(), PathBuf::new(), store.clone());
    let pulling = Pulling { project: &project, platform, policy: *policy, session };
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
