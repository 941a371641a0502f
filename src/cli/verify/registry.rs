//! `verify --registry`: the lock beside what its digests name where the images come from.

use sandbox_images::engine::error::{Error, Kind as EngineKind};
use sandbox_images::oci::platform::Platform;
use sandbox_images::project::Project;
use sandbox_images::project::files::Inputs;
use sandbox_images::project::rederive::Rederived;
use sandbox_images::words::with_causes;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::{self, Tone};
use crate::cli::report::{aligned, count};
use crate::cli::setup::{Setup, lock_alone, unreadable};

/// What `verify --registry --json` prints, and adds to a failure.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    /// Every image on every platform of the lock.
    images: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    image: &'a str,
    platform: &'a Platform,
    /// `same`, `contradicts`, `gone` or `failed`.
    state: &'static str,
    message: Option<String>,
}

pub(super) fn run(setup: &Setup<'_>, project: &Project, network: bool) -> Done {
    let lock = lock_alone(project)?;
    let inputs = project.texts().map_err(|error| unreadable(&error))?;
    let inputs = Inputs::parse(&inputs).ok();
    let set = inputs.as_ref().map(|inputs| &inputs.image_set);
    let session = setup.session(network, None, set)?;
    let rederived =
        setup.block_on(async { Ok(project.rederive(&lock, inputs.as_ref(), &session).await) })?;
    let report = Report {
        schema: "sandbox-images/verify-registry/1",
        images: rederived.iter().map(line).collect(),
    };
    if !setup.output.json {
        output::text(&table(&report));
    }
    if let Some(failure) = rederived.iter().filter_map(failure).reduce(Failure::and) {
        return Err(failure.with("registry", &report));
    }
    let blocks = count(report.images.len() as u64, "platform");
    let text = format!(
        "{} on {blocks}: each is what its digests name",
        count(lock.images().len() as u64, "image")
    );
    setup.output.say(Tone::Done, "Verified", &text);
    if setup.output.json {
        output::json(&report);
    }
    Ok(())
}

fn line(rederived: &Rederived) -> Line<'_> {
    let Rederived { image, platform, result } = rederived;
    let state = match result {
        Ok(()) => "same",
        Err(error) if error.is_not_found() => "gone",
        Err(error) if error.kind() == EngineKind::Integrity => "contradicts",
        Err(_) => "failed",
    };
    let message = result.as_ref().err().map(|error| with_causes(error));
    Line { image: image.as_str(), platform, state, message }
}

/// A line for each that is not the same; nothing where all are.
fn table(report: &Report<'_>) -> String {
    let others = report.images.iter().filter(|line| line.state != "same");
    let rows = others
        .map(|line| [line.image.to_owned(), line.platform.to_string(), line.state.to_owned()]);
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    aligned(&[vec![["IMAGE", "PLATFORM", "STATE"].map(str::to_owned)], rows].concat())
}

fn failure(rederived: &Rederived) -> Option<Failure> {
    let Rederived { image, platform, result } = rederived;
    let error: &Error = result.as_ref().err()?;
    if !error.is_not_found() {
        return Some(Failure::engine(image.as_str(), error));
    }
    let text = format!(
        "{image}: the registry does not have the documents for {platform} any more: {}",
        with_causes(error)
    );
    Some(Failure::new(Kind::Missing, "not-found", text).help(
        "the lock may still be right: what is in a store works on; `sandbox-images outdated` shows what the tag names now",
    ))
}
