//! `update`: pins move to what their tags name now, on purpose.

use std::collections::BTreeSet;

use sandbox_images::plan::diff::{LockDiff, diff};
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::name::ImageName;
use sandbox_images::spec::unknown::UnknownImage;
use sandbox_images::words::listed;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::locking::Update;
use crate::cli::artifacts::{Wish, complete};
use crate::cli::difference;
use crate::cli::failure::{Failure, Kind, engine_failures};
use crate::cli::lock::{require_writable, write};
use crate::cli::output::{self, Tone};
use crate::cli::render::printable;
use crate::cli::report::count;
use crate::cli::setup::{Setup, inputs};

/// What `update --json` prints.
#[derive(Debug, Serialize)]
struct Updated<'a> {
    schema: &'static str,
    /// Whether the lock was left as it is.
    dry_run: bool,
    /// What is locked now, or would be, beside what was.
    #[serde(flatten)]
    diff: &'a LockDiff,
}

pub(crate) fn run(setup: &Setup<'_>, update: &Update) -> Done {
    let project = setup.project()?;
    let (inputs, _) = inputs(&project)?;
    let images = chosen(update, &inputs.image_set)?;
    require_writable(&inputs.lock)?;
    for name in images.iter().filter(|name| update.names.iter().any(|named| named == name.as_str()))
    {
        if inputs.image_set.images[name].source.is_pinned() {
            let note = format!("{name} is given by digest in sandbox-images.toml and stays");
            setup.output.note(&note);
        }
    }
    let session = setup.session(true, None, Some(&inputs.image_set))?;
    let lock = setup.block_on(async {
        let updated = project.update(&inputs, &images, &session).await;
        if let Some(failure) = engine_failures(&updated.failures) {
            return Err(failure.note("nothing was written"));
        }
        if update.dry_run {
            return Ok(updated.lock);
        }
        complete(&project, &inputs, updated.lock, Wish::Keep, &session).await
    })?;
    let diff = diff(&inputs.lock, &lock);
    if !update.dry_run {
        write(&project, &lock.render())?;
    }
    print(setup, update, &diff);
    if update.exit_code && !diff.images.is_empty() {
        return Err(Failure::told(Kind::Missing));
    }
    Ok(())
}

/// The images whose tags are to be resolved again. All names that are unknown are told in one run.
fn chosen(update: &Update, set: &ImageSet) -> Result<BTreeSet<ImageName>, Failure> {
    if update.names.is_empty() && update.group.is_empty() {
        return Ok(set.images.keys().cloned().collect());
    }
    let images = || set.images.keys().map(ImageName::as_str);
    let unknown = update.names.iter().filter(|name| !set.images.contains_key(name.as_str()));
    let unknown = unknown.map(|name| {
        let unknown = UnknownImage::new(name, images());
        Failure::of(Kind::Usage, "unknown-image", &unknown).help(unknown.help())
    });
    let groups = set.groups();
    let empty =
        update.group.iter().filter(|name| !groups.iter().any(|group| group.as_str() == *name));
    let empty = empty.map(|name| {
        let message = format!("no image is in group `{name}`");
        let known = listed(&groups);
        Failure::new(Kind::Usage, "unknown-group", message).help(format!("groups: {known}"))
    });
    if let Some(failure) = unknown.chain(empty).reduce(Failure::and) {
        return Err(failure);
    }
    let is_chosen = |name: &ImageName, groups: &BTreeSet<_>| {
        update.names.iter().any(|named| named == name.as_str())
            || update.group.iter().any(|group| groups.contains(group.as_str()))
    };
    let chosen = set.images.iter().filter(|(name, image)| is_chosen(name, &image.groups));
    Ok(chosen.map(|(name, _)| name.clone()).collect())
}

fn print(setup: &Setup<'_>, update: &Update, diff: &LockDiff) {
    if setup.output.json {
        let schema = "sandbox-images/update/1";
        output::json(&Updated { schema, dry_run: update.dry_run, diff });
    } else if update.markdown {
        output::data(printable(&difference::markdown(diff)));
    } else if !diff.images.is_empty() {
        output::data(printable(&difference::text(diff)));
    }
    let images = count(diff.images.len() as u64, "image");
    let (verb, text) = match (diff.images.is_empty(), update.dry_run) {
        (true, _) => ("Unchanged", "no pin moved".to_owned()),
        (false, false) => ("Updated", format!("{images} in sandbox-images.lock")),
        (false, true) => ("Planned", format!("would update {images} in sandbox-images.lock")),
    };
    setup.output.say(Tone::Done, verb, &text);
}
