//! What `sync` would do: shown by `--dry-run`, and demanded by `--check` to be nothing.

use std::collections::BTreeSet;

use sandbox_images::engine::collect::Collection;
use sandbox_images::plan::Plan;
use sandbox_images::plan::action::Action;
use sandbox_images::plan::event::Totals;
use sandbox_images::plan::extent::Content;
use sandbox_images::plan::selection::Skipped;
use sandbox_images::spec::name::ImageName;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::failure::{Failure, engine_failures};
use crate::cli::gc::{Line, line};
use crate::cli::incomplete::missing;
use crate::cli::mode::Mode;
use crate::cli::output::{self, Tone};
use crate::cli::publish;
use crate::cli::report::{built, fetched_things, size};
use crate::cli::setup::Setup;
use crate::cli::sync::{Decided, dropped};

/// What `sync --dry-run --json` and a failing `sync --check --json` print.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    schema: &'static str,
    /// Images whose pins would be written first.
    resolved: &'a BTreeSet<ImageName>,
    /// How much there is to do.
    totals: Totals,
    /// What there is to do, in an order in which it can be done.
    #[serde(flatten)]
    plan: &'a Plan,
    /// Images that are not locked for the wanted platform.
    skipped: &'a [Skipped],
    /// What would be deleted.
    removed: Vec<Line<'a>>,
    /// What would be handed to other programs.
    published: Vec<publish::Planned>,
}

/// Succeeds exactly if there is nothing to do.
pub(super) fn check(setup: &Setup<'_>, decided: &Decided, network: bool) -> Done {
    require_locked(decided)?;
    let plan = plan(decided)?;
    if plan.is_empty() {
        setup.output.say(Tone::Done, "Unchanged", "the store is in sync");
        print(setup, decided, &plan, &Collection::default(), Vec::new());
        return Ok(());
    }
    let failure = missing(&plan.actions.iter().collect::<Vec<_>>(), network).with("plan", &plan);
    if decided.project.extent().content == Content::Blobs {
        return Err(failure.help("run `sandbox-images sync --fetch-only`"));
    }
    Err(failure)
}

/// Shows what would be done, and fails if it could not be done without a network.
pub(super) fn dry_run(setup: &Setup<'_>, decided: &Decided, mode: &Mode) -> Done {
    require_locked(decided)?;
    let network = mode.network;
    let plan = plan(decided)?;
    let needs_network = |action: &&Action| decided.project.needs_network(action);
    let unreachable: Vec<&Action> = plan.actions.iter().filter(needs_network).collect();
    if !network && !unreachable.is_empty() {
        return Err(missing(&unreachable, network).with("plan", &plan));
    }
    for name in &decided.resolved {
        setup.output.note(&format!("would lock {name}"));
    }
    for action in &plan.actions {
        setup.output.note(&format!("would {}", describe(action)));
    }
    let totals = plan.totals();
    let fetched = size(totals.download_bytes);
    setup.output.note(&if decided.project.extent().content == Content::Blobs {
        format!("{fetched} to fetch: {}", fetched_things(&totals))
    } else {
        format!("{fetched} to fetch, {} to build", built(&totals))
    });
    let Decided { project, lock, session, .. } = decided;
    let collection = dropped::preview(setup, project, lock, mode.collecting, session);
    let mut selection = decided.selection.clone();
    publish::leave_out_local(setup, lock, &mut selection);
    let to = &decided.publish_to;
    let published = publish::preview(setup, project, lock, &selection, to, session);
    print(setup, decided, &plan, &collection, published);
    Ok(())
}

/// Fails if the store holds something with another digest than the lock gives it: no sync could use it.
fn require_locked(decided: &Decided) -> Done {
    let Decided { project, lock, selection, .. } = decided;
    engine_failures(&project.differing(lock, selection)).map_or(Ok(()), Err)
}

fn plan(decided: &Decided) -> Result<Plan, Failure> {
    let Decided { project, lock, selection, .. } = decided;
    project.plan(lock, selection).map_err(|error| Failure::store(&error))
}

fn print(
    setup: &Setup<'_>,
    decided: &Decided,
    plan: &Plan,
    collection: &Collection,
    published: Vec<publish::Planned>,
) {
    if setup.output.json {
        output::json(&Planned {
            schema: "sandbox-images/plan/1",
            resolved: &decided.resolved,
            totals: plan.totals(),
            plan,
            skipped: &decided.selection.skipped,
            removed: collection.removed().map(line).collect(),
            published,
        });
    }
}

fn describe(action: &Action) -> String {
    let image = &action.origin().image;
    let artifact = action.makes();
    match action {
        Action::FetchDocument(_) | Action::FetchLayer(_) | Action::FetchBlob(_) => {
            format!("fetch {artifact} of {image}, {}", size(action.download_bytes()))
        }
        Action::BuildLayer(_) | Action::BuildFsmeta(_) | Action::WriteDisk(_) => {
            format!("build {artifact} of {image}")
        }
    }
}
