//! `check`: what a CI demands of a commit. Uses no network and writes nothing.

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::project::Project;
use sandbox_images::project::files::Inputs;
use sandbox_images::spec::consistency::contradictions;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::reading::Check;
use crate::cli::failure::{Failure, Kind, engine_failures};
use crate::cli::incomplete::missing;
use crate::cli::lock::require_fresh;
use crate::cli::output;
use crate::cli::report::count;
use crate::cli::setup::{Setup, inputs};

/// What `check --json` prints when all is well.
#[derive(Debug, Serialize)]
struct Checked {
    schema: &'static str,
    /// How many images are locked.
    images: usize,
    /// Whether the store holds them; `null` if that was not asked.
    in_sync: Option<bool>,
}

pub(crate) fn run(setup: &Setup<'_>, check: &Check) -> Done {
    let project = setup.project()?;
    let (inputs, texts) = inputs(&project)?;
    require_fresh(&inputs, &texts)?;
    let wrong = contradictions(&inputs.lock);
    if !wrong.is_empty() {
        return Err(Failure::in_files(Kind::Stale, wrong, texts));
    }
    if check.in_sync {
        require_in_sync(&project, &inputs)?;
    }
    let images = inputs.lock.images().len();
    let store = if check.in_sync { ", and the store is in sync" } else { "" };
    setup
        .output
        .note(&format!("sandbox-images.lock is fresh ({}){store}", count(images as u64, "image")));
    if setup.output.json {
        let in_sync = check.in_sync.then_some(true);
        output::json(&Checked { schema: "sandbox-images/check/1", images, in_sync });
    }
    Ok(())
}

/// Fails with all that `sync` without a flag would fetch or build.
fn require_in_sync(project: &Project, inputs: &Inputs) -> Done {
    let request = SelectionRequest::default_for(Platform::host_linux());
    let selection = select(Some(&inputs.image_set), &inputs.lock, &request)
        .map_err(|error| Failure::of(Kind::Usage, "selection", &error))?;
    if let Some(failure) = engine_failures(&project.differing(&inputs.lock, &selection)) {
        return Err(failure);
    }
    let plan = project.plan(&inputs.lock, &selection).map_err(|error| Failure::store(&error))?;
    if plan.is_empty() {
        return Ok(());
    }
    Err(missing(&plan.actions.iter().collect::<Vec<_>>(), false).with("plan", &plan))
}
