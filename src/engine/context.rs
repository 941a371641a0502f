//! What all work of a run shares.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::engine::error::Error;
use crate::engine::source::Sources;
use crate::layer::limits::Limits;
use crate::layer::warning::Warnings;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter};
use crate::spec::name::ImageName;
use crate::store::Store;
use crate::store::reader::Reader;
use crate::store::run::Run;

/// What all actions of a run share.
pub struct Context {
    /// Where artifacts go.
    pub store: Store,
    /// The same with its directories open, all of which are there.
    pub reader: Arc<Reader>,
    /// The run under way in it.
    pub run: Run,
    /// Where images come from.
    pub sources: Sources,
    /// What a layer may hold.
    pub limits: Limits,
    /// How many layers, fsmetas and disks are worked on at once.
    pub jobs: NonZeroUsize,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { store, sources, jobs, .. } = self;
        f.debug_struct("Context")
            .field("store", store)
            .field("sources", sources)
            .field("jobs", jobs)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Tells what was noticed about `what` of `image`.
    pub(super) fn warn(&self, image: &ImageName, what: &str, warnings: &Warnings) {
        warn(self.reporter.as_ref(), image, what, warnings);
    }
}

/// Tells `reporter` what was noticed about `what` of `image`.
pub(super) fn warn(reporter: &dyn Reporter, image: &ImageName, what: &str, warnings: &Warnings) {
    let warn = |code: &str, message: String| {
        let image = Some(image.clone());
        reporter.report(Event::Warning { code: code.to_owned(), image, message });
    };
    for warning in warnings {
        warn(warning.code(), format!("{what}: {warning}"));
    }
    if warnings.dropped() > 0 {
        warn("more-warnings", format!("{what}: {} more warnings", warnings.dropped()));
    }
}

/// Runs `work` where it may wait for a disk or for another process.
pub(crate) async fn blocking<T: Send + 'static>(
    artifact: Artifact,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Err(Error::Aborted(artifact)),
    }
}
