//! `outdated`: which tags name something else than the lock, and which locked digests are gone.

use sandbox_images::oci::digest::Digest;
use sandbox_images::project::outdated::{State, Tracked};
use sandbox_images::spec::name::ImageName;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::locking::Outdated;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::render::printable;
use crate::cli::report::{aligned, count, short};
use crate::cli::setup::{Setup, inputs};

/// What `outdated --json` prints.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    schema: &'static str,
    images: Vec<Row<'a>>,
}

/// An image.
#[derive(Debug, Serialize)]
struct Row<'a> {
    image: &'a ImageName,
    #[serde(flatten)]
    tracked: &'a Tracked,
}

pub(crate) fn run(setup: &Setup<'_>, outdated: &Outdated) -> Done {
    let project = setup.project()?;
    let (inputs, _) = inputs(&project)?;
    let session = setup.session(true, None, Some(&inputs.image_set))?;
    let answers = setup.block_on(async { Ok(project.outdated(&inputs, &session).await) })?;
    let rows: Vec<Row<'_>> = answers
        .iter()
        .filter_map(|(image, answer)| Some(Row { image, tracked: answer.as_ref().ok()? }))
        .collect();
    let failures = answers.iter().filter_map(|(image, answer)| {
        answer.as_ref().err().map(|error| Failure::engine(image.as_str(), error))
    });
    let failure = failures.reduce(Failure::and);
    let found = rows.iter().filter(|row| row.tracked.is_outdated()).count();
    if !setup.output.json {
        output::data(printable(&table(&rows)));
    }
    let checked = count(rows.len() as u64, "image");
    setup.output.note(&format!("{found} of {checked} outdated"));
    if let Some(failure) = failure {
        return Err(failure.with("images", &rows));
    }
    if setup.output.json {
        output::json(&Listing { schema: "sandbox-images/outdated/1", images: rows });
    }
    if outdated.exit_code && found > 0 {
        return Err(Failure::told(Kind::Missing));
    }
    Ok(())
}

fn table(rows: &[Row<'_>]) -> String {
    let shown = |digest: Option<Digest>| digest.map_or_else(|| "-".to_owned(), short);
    let mut lines = vec![["IMAGE", "STATE", "LOCKED", "CURRENT", "SOURCE"].map(str::to_owned)];
    for Row { image, tracked } in rows {
        let Tracked { source, locked, current, .. } = tracked;
        lines.push([
            image.to_string(),
            state(tracked),
            shown(*locked),
            shown(*current),
            source.to_string(),
        ]);
    }
    aligned(&lines)
}

fn state(tracked: &Tracked) -> String {
    let state = match tracked.state {
        State::Current => "current",
        State::Moved => "moved",
        State::TagGone => "tag gone",
        State::Pinned => "pinned",
        State::NotLocked => "not locked",
    };
    if tracked.vanished { format!("{state}, locked digest gone") } else { state.to_owned() }
}
