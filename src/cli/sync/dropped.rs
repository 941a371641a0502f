//! What `sync` deletes at its end: what the project dropped, and nobody else wants. It never makes a sync
//! fail: what cannot be deleted now is told, and left for another time.

use std::time::Duration;

use sandbox_images::engine::collect::{Collection, Error, Request};
use sandbox_images::plan::event::Event;
use sandbox_images::project::gc::DROPPED_GRACE;
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::words::with_causes;

use crate::cli::mode::Collecting;
use crate::cli::publish::{tell_what_would_be_withdrawn, tell_withdrawn};
use crate::cli::report::{count, size};
use crate::cli::setup::{Setup, blocking};

/// Deletes it; what comes back is what went.
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
    let owned = session.clone();
    let work = move || project.gc_dropped(&lock, grace, &owned);
    match blocking(work).await {
        Some(Ok(Some(collection))) => {
            tell_withdrawn(setup, &collection.withdrawn);
            tell(setup, "Removed", &collection);
            collection
        }
        Some(Ok(None)) => {
            setup.output.note("nothing was removed: the store is in use, or read-only");
            Collection::default()
        }
        Some(Err(Error::Incomplete { collection, source })) => {
            tell_withdrawn(setup, &collection.withdrawn);
            let collected = collection.as_ref().clone();
            warn(session, &Error::Incomplete { collection, source }, "");
            collected
        }
        Some(Err(error)) => {
            warn(session, &error, "nothing was removed: ");
            Collection::default()
        }
        None => Collection::default(),
    }
}

/// Says what would be deleted.
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
    let request = project
        .speaks(lock)
        .map(|project| Request::Dropped { project, grace })
        .map_err(Error::from);
    match request.and_then(|request| project.preview_gc(&request, session.now)) {
        Ok(collection) => {
            tell_what_would_be_withdrawn(setup, &collection.withdrawn);
            tell(setup, "would remove", &collection);
            collection
        }
        Err(error) => {
            warn(session, &error, "nothing would be removed: ");
            Collection::default()
        }
    }
}

const fn grace(collecting: Collecting) -> Option<Duration> {
    match collecting {
        Collecting::Nothing => None,
        Collecting::Old => Some(DROPPED_GRACE),
        Collecting::All => Some(Duration::ZERO),
    }
}

/// Says why not all that nobody wants is gone.
fn warn(session: &Session, error: &Error, before: &str) {
    session.reporter.report(Event::Warning {
        code: error.code().to_owned(),
        image: None,
        message: format!("{before}{}", with_causes(error)),
    });
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
