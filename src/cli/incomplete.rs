//! What a sync left undone, or would have to do: all of it in one failure.

use std::collections::BTreeSet;

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::action::Action;
use sandbox_images::project::sync::Synced;
use sandbox_images::spec::name::ImageName;

use crate::cli::failure::{Failure, Kind, engine_failures};
use crate::cli::report::count;

/// What went wrong, and which images are not whole because of it.
pub(crate) fn failure_of(synced: &Synced) -> Option<Failure> {
    let out_of_reach: Vec<&Action> = synced.out_of_reach.iter().collect();
    let lacking = (!out_of_reach.is_empty()).then(|| missing(&out_of_reach, false));
    let failure = engine_failures(&synced.failures).into_iter().chain(lacking).reduce(Failure::and);
    if synced.incomplete.is_empty() {
        return failure;
    }
    let failure = failure.unwrap_or_else(|| {
        Failure::new(Kind::Missing, "incomplete", "some images are not whole in the store")
    });
    let names = |(image, platforms): (&ImageName, &BTreeSet<Platform>)| {
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        format!("{image} ({})", platforms.join(", "))
    };
    let incomplete: Vec<String> = synced.incomplete.iter().map(names).collect();
    Some(failure.note(format!("not synced: {}", incomplete.join(", "))))
}

/// All that is missing, with its size and the remedies.
pub(crate) fn missing(actions: &[&Action], network: bool) -> Failure {
    let bytes: u64 =
        actions.iter().fold(0, |bytes, action| bytes.saturating_add(action.download_bytes()));
    let lines = actions.iter().map(|action| {
        let (artifact, image) = (action.makes(), &action.origin().image);
        match action.download_bytes() {
            0 => format!("{artifact} of {image}"),
            bytes => format!("{artifact} of {image}, {bytes} bytes"),
        }
    });
    let message = format!(
        "the store is not in sync: {} missing, {bytes} bytes to fetch\n{}",
        count(actions.len() as u64, "artifact"),
        lines.collect::<Vec<_>>().join("\n")
    );
    let help = if network {
        "run `sandbox-images sync`"
    } else {
        "run `sandbox-images sync` with a network, or bring the store of a host that has one"
    };
    Failure::new(Kind::Missing, "not-in-sync", message).help(help)
}
