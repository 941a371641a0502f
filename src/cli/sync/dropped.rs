//! What `sync` deletes at its end: what the project dropped, and nobody else wants. It never makes a sync
//! fail: what cannot be deleted now is told, and left for another time.

use std::time::Duration;

use sandbox_images::engine::collect::{Collection, Error, Request};
use sandbox_images::plan::event::Event;
use sandbox_images::project::gc::{DROPPED_GRACE, this_project};
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::words::with_causes;

use crate::cli::mode::Collecting;
use crate::cli::publish::{tell_what_would_be_withdrawn, tell_withdrawn};
use crate::cli::report::{count, size};
use crate::cli::setup::Setup;

/// Deletes it.
pub(super) async fn collect(
    setup: &Setup<'_>,
    project: &Project,
    lock: &Lock,
    collecting: Collecting,
    session: &Session,
) -> Collection {
    let Some(grace) = grace(collecting) else {
        return Collection::default();
    };
    let (project, lock) = (project.clone(), lock.clone());
    let blocking = session.clone();
    let work = move || project.gc_dropped(&lock, grace, &blocking);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(Some(collection))) => {
            tell_withdrawn(setup, &collection.withdrawn);
            tell(setup, "Removed", &collection);
            collection
        }
        Ok(Ok(None)) => {
            setup.output.note("nothing was removed: the store is in use, or read-only");
            Collection::default()
        }
        Ok(Err(error)) => failed(session, &error),
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Collection::default(),
    }
}

/// What would be deleted.
pub(super) fn preview(
    setup: &Setup<'_>,
    project: &Project,
    lock: &Lock,
    collecting: Collecting,
    session: &Session,
) -> Collection {
    let Some(grace) = grace(collecting) else {
        return Collection::default();
    };
    let request = this_project(project.lock_path(), lock)
        .map(|project| Request::Dropped { project, grace })
        .map_err(Error::from);
    match request.and_then(|request| project.preview_gc(&request, session.now)) {
        Ok(collection) => {
            tell_what_would_be_withdrawn(setup, &collection.withdrawn);
            tell(setup, "would remove", &collection);
            collection
        }
        Err(error) => failed(session, &error),
    }
}

const fn grace(collecting: Collecting) -> Option<Duration> {
    match collecting {
        Collecting::Nothing => None,
        Collecting::Old => Some(DROPPED_GRACE),
        Collecting::All => Some(Duration::ZERO),
    }
}

fn failed(session: &Session, error: &Error) -> Collection {
    session.reporter.report(Event::Warning {
        code: error.code().to_owned(),
        image: None,
        message: format!("nothing was removed: {}", with_causes(error)),
    });
    Collection::default()
}

fn tell(setup: &Setup<'_>, verb: &str, collection: &Collection) {
    let (files, bytes) = collection.removed().fold((0, 0_u64), |(files, bytes), item| {
        (files + 1, bytes.saturating_add(item.size_bytes))
    });
    if files > 0 {
        let files = count(files, "file");
        setup.output.note(&format!("{verb} {files} that nobody wants any more, {}", size(bytes)));
    }
}
