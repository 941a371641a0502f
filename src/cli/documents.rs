//! What a command does that needs more of an image's documents than syncs fetch while the lock is trusted.

use sandbox_images::plan::action::{Action, DocumentKind, FetchDocument};
use sandbox_images::plan::extent::Documents;
use sandbox_images::plan::selection::Selection;
use sandbox_images::project::sync::Synced;
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::lockfile::Lock;

use crate::cli::Done;
use crate::cli::failure::{Failure, Kind, engine_failures};

/// Whether syncs of `project` leave manifests out.
pub(crate) fn leaves_out_manifests(project: &Project) -> bool {
    project.extent().documents == Documents::ConfigOnly
}

/// Has the store hold what syncs have left out of `selection`.
pub(crate) async fn require(
    project: &Project,
    lock: &Lock,
    selection: &Selection,
    session: &Session,
) -> Done {
    if !leaves_out_manifests(project) || selection.images.is_empty() {
        return Ok(());
    }
    let synced = project.fetch_documents(lock, selection, None, session).await;
    failure_of(&synced).map_or(Ok(()), Err)
}

fn failure_of(synced: &Synced) -> Option<Failure> {
    let failure = engine_failures(&synced.failures);
    let lacking = synced.out_of_reach.iter().map(|action| {
        let kind = match action {
            Action::FetchDocument(FetchDocument { kind: DocumentKind::Index, .. }) => "index",
            Action::FetchDocument(FetchDocument { kind: DocumentKind::Config, .. }) => "config",
            _ => "manifest",
        };
        let (digest, image) = (action.makes().digest(), &action.origin().image);
        let message = format!(
            "{image}: its {kind} `{digest}` is not in the store, and is fetched by no sync while `trust-lock` is set"
        );
        Failure::new(Kind::Missing, "document-missing", message)
            .help("run the same command with a network: what is missing is fetched by its digest")
    });
    failure.into_iter().chain(lacking).reduce(Failure::and)
}
