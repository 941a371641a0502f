//! Apply: does what a plan says, several actions at once, each artifact once.
//!
//! An action that fails takes with it what needs its artifact; all others go on. Nothing here decides what
//! is to be done.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{debug, trace};

use crate::engine::context::{Context, blocking};
use crate::engine::error::Error;
use crate::engine::schedule::Schedule;
use crate::engine::source::Source;
use crate::engine::{build, obtain};
use crate::oci::document::config::ImageConfig;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::index::Index;
use crate::oci::document::manifest::Manifest;
use crate::plan::action::{Action, DocumentKind, FetchDocument, FetchLayer, Origin, Stack};
use crate::plan::artifact::Artifact;
use crate::plan::event::Event;
use crate::store::guard::ArtifactGuard;
use crate::store::reader::Reader;
use crate::store::record::Record;
use crate::store::run::{Claim, Run};

/// Documents that are fetched at once: they are small, and their cost is the way to the registry and back.
const SMALL_AT_ONCE: usize = 16;

/// An action that was not done.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub action: Action,
    /// Why.
    pub error: Error,
}

/// Who says when an action may be done, beyond what the action itself needs.
pub trait Admission {
    /// What is waited for, as far as it is among what is made.
    fn needs(&self, action: &Action) -> BTreeSet<Artifact> {
        action.needs()
    }

    /// Whether `action` may be done now that what it needs is there. If not, it is left, and what needs its artifact.
    fn admits(&self, action: &Action) -> impl Future<Output = bool> + Send;
}

/// Everything may be done.
struct All;

impl Admission for All {
    async fn admits(&self, _: &Action) -> bool {
        true
    }
}

/// Does `actions`, and answers what failed.
pub async fn all(context: &Arc<Context>, actions: &[Action]) -> Vec<Failure> {
    admitted(context, actions, &All).await
}

/// Fetches a document that is missing or damaged in the store.
pub async fn refetch(context: &Context, document: &FetchDocument) -> Result<(), Error> {
    let (run, artifact) = (context.run.clone(), Artifact::Blob(document.digest));
    match blocking(artifact, move || Ok(run.claim_damaged(artifact)?)).await? {
        Claim::Present(_) => Ok(()),
        Claim::Mine(guard) => fetch_document(context, document, guard).await.map(drop),
    }
}

/// How many actions of each size run.
#[derive(Debug, Default)]
struct Running {
    small: usize,
    large: usize,
}

impl Running {
    /// The next action for which there is room, which counts from now on.
    fn next(&mut self, schedule: &mut Schedule, large_max: usize) -> Option<Action> {
        if self.large < large_max
            && let Some(action) = schedule.next_large()
        {
            self.large += 1;
            return Some(action);
        }
        let action = if self.small < SMALL_AT_ONCE { schedule.next_small() } else { None };
        self.small += usize::from(action.is_some());
        action
    }

    const fn ended(&mut self, action: &Action) {
        if action.is_small() {
            self.small -= 1;
        } else {
            self.large -= 1;
        }
    }
}

/// Does those of `actions` that are admitted, and answers what failed.
pub async fn admitted(
    context: &Arc<Context>,
    actions: &[Action],
    admission: &impl Admission,
) -> Vec<Failure> {
    let mut schedule = Schedule::new(actions.to_vec(), |action| admission.needs(action));
    let mut tasks = JoinSet::new();
    let mut running = Running::default();
    let mut failures = Vec::new();
    loop {
        while let Some(action) = running.next(&mut schedule, context.jobs.get()) {
            if admission.admits(&action).await {
                tasks.spawn(do_one(Arc::clone(context), action));
            } else {
                running.ended(&action);
                schedule.failed(action.makes());
            }
        }
        let Some(ended) = tasks.join_next().await else {
            return failures;
        };
        let (action, done) =
            ended.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
        running.ended(&action);
        match done {
            Ok(()) => schedule.made(action.makes()),
            Err(error) => {
                let artifact = action.makes();
                failures.push(Failure { action, error });
                for skipped in schedule.failed(artifact) {
                    let error = Error::Skipped {
                        artifact: skipped.action.makes(),
                        because: skipped.because,
                    };
                    failures.push(Failure { action: skipped.action, error });
                }
            }
        }
    }
}

/// Does `action`, unless its artifact is there meanwhile, and reports what came of it.
async fn do_one(context: Arc<Context>, action: Action) -> (Action, Result<(), Error>) {
    let done = claim_and_do(&context, &action).await;
    match &done {
        Ok(Some(record)) => context.reporter.report(done_event(&action, record)),
        Ok(None) => context.reporter.report(Event::Present {
            artifact: action.makes(),
            download_bytes: action.download_bytes(),
            image: action.origin().image.clone(),
        }),
        Err(error) => context.reporter.report(Event::Failed {
            code: error.code().to_owned(),
            artifact: action.makes(),
            image: action.origin().image.clone(),
            message: error.to_string(),
        }),
    }
    (action, done.map(drop))
}

/// Does `action` if its artifact is still not there when this run alone may make it.
async fn claim_and_do(context: &Arc<Context>, action: &Action) -> Result<Option<Record>, Error> {
    let artifact = action.makes();
    let run = context.run.clone();
    let claim = blocking(artifact, move || Ok(run.claim(artifact)?)).await?;
    let guard = match claim {
        Claim::Present(_) => {
            debug!("{artifact} is in the store meanwhile");
            return Ok(None);
        }
        Claim::Mine(guard) => guard,
    };
    trace!("begins {artifact} for {}", action.origin().image);
    let record = match action {
        Action::FetchDocument(document) => fetch_document(context, document, guard).await?,
        Action::FetchLayer(layer) | Action::BuildLayer(layer) => {
            obtain::image(context, layer, guard).await?
        }
        Action::FetchBlob(layer) => obtain::blob(context, layer, guard).await?,
        Action::BuildFsmeta(stack) => {
            let (chain_id, image) = (stack.chain_id, stack.origin.image.clone());
            context.reporter.report(Event::FsmetaStarted { chain_id, image });
            let (told, image) = (Arc::clone(&context.reporter), stack.origin.image.clone());
            let writing = move || told.report(Event::FsmetaWriting { chain_id, image });
            let (record, warnings) = built(context, stack, guard, |reader, run, stack, guard| {
                build::fsmeta(reader, run, &stack.layers, stack.fsmeta, guard, writing)
            })
            .await?;
            context.warn(&stack.origin.image, "its layers together", &warnings);
            record
        }
        Action::WriteDisk(stack) => {
            let (chain_id, image) = (stack.chain_id, stack.origin.image.clone());
            context.reporter.report(Event::DiskStarted { chain_id, image });
            built(context, stack, guard, |reader, run, stack, guard| {
                build::disk(reader, run, stack.chain_id, guard)
            })
            .await?
        }
    };
    Ok(Some(record))
}

async fn fetch_document(
    context: &Context,
    document: &FetchDocument,
    guard: ArtifactGuard,
) -> Result<Record, Error> {
    let artifact = guard.artifact();
    let source = open(context, &document.origin, artifact, document.size).await?;
    let descriptor = Descriptor::new("", document.digest, document.size);
    let bytes = match document.kind {
        DocumentKind::Index => source.document::<Index>(&descriptor).await?.into_bytes(),
        DocumentKind::Manifest => source.document::<Manifest>(&descriptor).await?.into_bytes(),
        DocumentKind::Config => source.document::<ImageConfig>(&descriptor).await?.into_bytes(),
    };
    let run = context.run.clone();
    blocking(artifact, move || Ok(run.commit_bytes(guard, &bytes)?)).await
}

async fn built<T: Send + 'static>(
    context: &Context,
    stack: &Stack,
    guard: ArtifactGuard,
    build: impl FnOnce(&Reader, &Run, &Stack, ArtifactGuard) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let reference = || stack.origin.source.clone();
    let too_many = |source| Error::TooManyLayers { reference: reference(), source };
    context.limits.check_layers(stack.layers.len()).map_err(too_many)?;
    let (reader, run, stack) = (Arc::clone(&context.reader), context.run.clone(), stack.clone());
    blocking(guard.artifact(), move || build(&reader, &run, &stack, guard)).await
}

/// Opens where `origin`'s image comes from, for the sake of `artifact`.
async fn open(
    context: &Context,
    origin: &Origin,
    artifact: Artifact,
    size_bytes: u64,
) -> Result<Source, Error> {
    let opened = context.sources.open(&origin.source).await?;
    opened.ok_or_else(|| Error::Offline { artifact, size_bytes, reference: origin.source.clone() })
}

/// What is told when `action` is done.
pub(super) fn done_event(action: &Action, record: &Record) -> Event {
    let image = action.origin().image.clone();
    match *action {
        Action::FetchDocument(FetchDocument { kind, digest, size: size_bytes, .. }) => {
            Event::DocumentDone { kind, digest, size_bytes, image }
        }
        Action::FetchLayer(FetchLayer { diff_id, digest, size: size_bytes, .. })
        | Action::BuildLayer(FetchLayer { diff_id, digest, size: size_bytes, .. }) => {
            let (image_bytes, stored) =
                (record.size_bytes, matches!(action, Action::BuildLayer(_)));
            Event::LayerDone { diff_id, digest, size_bytes, image_bytes, image, stored }
        }
        Action::FetchBlob(FetchLayer { diff_id, digest, size: size_bytes, .. }) => {
            Event::BlobDone { diff_id, digest, size_bytes, image }
        }
        Action::BuildFsmeta(Stack { chain_id, .. }) => {
            Event::FsmetaDone { chain_id, size_bytes: record.size_bytes, image }
        }
        Action::WriteDisk(Stack { chain_id, .. }) => Event::DiskDone { chain_id, image },
    }
}
