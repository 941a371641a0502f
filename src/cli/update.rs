//! `update`: pins move to what their tags name now, on purpose.

use std::collections::BTreeSet;

use sandbox_images::oci::digest::Digest;
use sandbox_images::spec::changes::{ImageChange, PlatformChange, changes};
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::name::ImageName;
use sandbox_images::spec::unknown::UnknownImage;
use sandbox_images::words::listed;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::Update;
use crate::cli::artifacts::{Wish, complete};
use crate::cli::failure::{Failure, Kind, engine_failures};
use crate::cli::lock::{require_writable, write};
use crate::cli::output;
use crate::cli::render::printable;
use crate::cli::report::{aligned, count, short, size};
use crate::cli::setup::{Setup, block_on, inputs};

/// What `update --json` prints.
#[derive(Debug, Serialize)]
struct Updated<'a> {
    schema: &'static str,
    /// Whether the lock was left as it is.
    dry_run: bool,
    /// The images that are locked to something else now, or would be.
    changes: &'a [ImageChange],
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
    let lock = block_on(async {
        let updated = project.update(&inputs, &images, &session).await;
        if let Some(failure) = engine_failures(&updated.failures) {
            return Err(failure.note("nothing was written"));
        }
        if update.dry_run {
            return Ok(updated.lock);
        }
        complete(&project, &inputs, updated.lock, Wish::Keep, &session).await
    })?;
    let changes = changes(&inputs.lock, &lock);
    if !update.dry_run {
        write(&project, &lock.render())?;
    }
    print(setup, update, &changes);
    if update.exit_code && !changes.is_empty() {
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

fn print(setup: &Setup<'_>, update: &Update, changes: &[ImageChange]) {
    if setup.output.json {
        let schema = "sandbox-images/update/1";
        output::json(&Updated { schema, dry_run: update.dry_run, changes });
    } else if update.markdown {
        output::data(printable(&markdown(changes)));
    } else if !changes.is_empty() {
        output::data(printable(&table(changes)));
    }
    let images = count(changes.len() as u64, "image");
    setup.output.note(&match (changes.is_empty(), update.dry_run) {
        (true, _) => "no pin moved".to_owned(),
        (false, false) => format!("Updated {images} in sandbox-images.lock"),
        (false, true) => format!("Would update {images} in sandbox-images.lock"),
    });
}

/// A digest, or that there is none.
fn shown(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "-".to_owned(), short)
}

fn layers(change: &PlatformChange) -> String {
    format!("+{} -{}", change.layers_added, change.layers_removed)
}

fn table(changes: &[ImageChange]) -> String {
    let mut lines = vec![["IMAGE", "OLD", "NEW", "LAYERS", "DOWNLOAD"].map(str::to_owned)];
    for change in changes {
        let ImageChange { image, old, new, .. } = change;
        let nothing = String::new;
        lines.push([image.to_string(), shown(*old), shown(*new), nothing(), nothing()]);
        lines.extend(change.platforms.iter().map(|change| {
            let PlatformChange { platform, old, new, download_bytes, .. } = change;
            let platform = format!("  {platform}");
            [platform, shown(*old), shown(*new), layers(change), size(*download_bytes)]
        }));
    }
    aligned(&lines)
}

fn markdown(changes: &[ImageChange]) -> String {
    if changes.is_empty() {
        return "No image moved.\n".to_owned();
    }
    let mut text = "| image | source | platform | old | new | layers | download |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for ImageChange { image, source, old, new, platforms } in changes {
        let source = source.to_string().replace(['|', '`', '\n'], "?");
        let mut line = |platform: &str, [old, new]: [Option<Digest>; 2], rest: &str| {
            let (old, new) = (shown(old), shown(new));
            let cells =
                format!("| {image} | `{source}` | {platform} | `{old}` | `{new}` |{rest}\n");
            text.push_str(&cells);
        };
        line("", [*old, *new], " | |");
        for change in platforms {
            let rest = format!(" {} | {} |", layers(change), size(change.download_bytes));
            line(&change.platform.to_string(), [change.old, change.new], &rest);
        }
    }
    text
}
