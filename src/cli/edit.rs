//! `add` and `remove`: a change of `sandbox-images.toml` that its author would have made, and the lock that
//! follows from it. Everything that can fail comes before the first write.

use std::collections::BTreeSet;
use std::path::Path;

use sandbox_images::oci::reference::DOCKER_HUB;
use sandbox_images::project::Project;
use sandbox_images::project::files::{Inputs, Texts};
use sandbox_images::spec::edit::{self, EditError, NewImage, name_for};
use sandbox_images::spec::name::ImageName;
use sandbox_images::spec::source::ImageSource;
use sandbox_images::words::listed;
use serde::Serialize;
use similar::TextDiff;

use crate::cli::Done;
use crate::cli::args::locking::{Add, Edit, Remove};
use crate::cli::artifacts::{Wish, complete};
use crate::cli::failure::{Failure, Kind};
use crate::cli::lock::relock;
use crate::cli::output::{self, Tone};
use crate::cli::report::count;
use crate::cli::setup::{Setup, inputs, parsed, shown, unreadable, unwritten};

/// What `add --json` and `remove --json` print.
#[derive(Debug, Serialize)]
struct Edited<'a> {
    schema: &'static str,
    added: BTreeSet<&'a ImageName>,
    removed: BTreeSet<&'a ImageName>,
    /// Images that were resolved for the lock.
    resolved: &'a BTreeSet<ImageName>,
    /// Whether the files were left as they are.
    dry_run: bool,
    /// What changes in both files, as a unified diff.
    diff: String,
}

pub(crate) fn add(setup: &Setup<'_>, add: &Add) -> Done {
    let images = new_images(add)?;
    change(setup, &add.edit, |text| edit::add(text, &images))
}

pub(crate) fn remove(setup: &Setup<'_>, remove: &Remove) -> Done {
    let names = remove.names.iter().cloned().collect();
    change(setup, &remove.edit, |text| edit::remove(text, &names))
}

/// The images of the command line.
fn new_images(add: &Add) -> Result<Vec<NewImage>, Failure> {
    if add.name.is_some() && add.sources.len() > 1 {
        let message = format!("`--name` is for one image, {} are given", add.sources.len());
        return Err(Failure::new(Kind::Usage, "usage", message));
    }
    let usage = |error: &dyn std::error::Error| Failure::of(Kind::Usage, "usage", error);
    let groups = add.group.iter().map(|group| group.parse().map_err(|error| usage(&error)));
    let groups: BTreeSet<_> = groups.collect::<Result<_, _>>()?;
    let platforms = add.platform.iter().map(|text| text.parse().map_err(|error| usage(&error)));
    let platforms: BTreeSet<_> = platforms.collect::<Result<_, _>>()?;
    let image = |source: &String| {
        let (source, groups, platforms) = (source.clone(), groups.clone(), platforms.clone());
        Ok(NewImage { name: name_of(add, &source)?, source, groups, platforms })
    };
    add.sources.iter().map(image).collect()
}

/// The name that the image is given, or the one that it has by its source.
fn name_of(add: &Add, source: &str) -> Result<ImageName, Failure> {
    let parsed = ImageSource::parse(source, DOCKER_HUB).map_err(|error| {
        let message = format!("`{source}` is no image: {error}");
        Failure::new(Kind::Usage, "invalid-reference", message)
    })?;
    match &add.name {
        Some(name) => {
            name.parse().map_err(|error| Failure::of(Kind::Usage, "invalid-value", &error))
        }
        None => name_for(&parsed).ok_or_else(|| {
            let message = format!("no name follows from `{source}`");
            Failure::new(Kind::Usage, "no-name", message).help("give it one with `--name`")
        }),
    }
}

/// Edits the text, makes the lock that follows, and writes both.
fn change(
    setup: &Setup<'_>,
    edit: &Edit,
    edited: impl FnOnce(&str) -> Result<String, Vec<EditError>>,
) -> Done {
    let project = setup.project()?;
    let (old, _) = inputs(&project)?;
    let before = project.texts().map_err(|error| unreadable(&error))?;
    let text = edited(before.image_set.as_deref().unwrap_or_default()).map_err(|errors| {
        let problems = errors.iter().map(EditError::diagnostic).collect();
        Failure::in_files(Kind::Usage, problems, shown(&project, before.clone()))
    })?;
    let mut after = Texts { image_set: Some(text), lock: before.lock.clone() };
    let (new, texts) = parsed(&project, after.clone())?;
    let mut resolved = BTreeSet::new();
    if !edit.no_lock && !new.stale.is_empty() {
        let session = setup.session(true, None, Some(&new.image_set))?;
        let lock = setup.block_on(async {
            let relocked = relock(&project, &new, &texts, &session).await?;
            resolved = relocked.resolved;
            if edit.dry_run {
                return Ok(relocked.lock);
            }
            complete(&project, &new, relocked.lock, Wish::Keep, &session).await
        })?;
        after.lock = Some(lock.render());
    }
    if !edit.dry_run {
        project.write_texts(&before, &after).map_err(|error| unwritten(&error))?;
    }
    let names = |set: &Inputs| set.image_set.images.keys().cloned().collect::<BTreeSet<_>>();
    let (old, new) = (names(&old), names(&new));
    let edited = Edited {
        schema: "sandbox-images/edit/1",
        added: new.difference(&old).collect(),
        removed: old.difference(&new).collect(),
        resolved: &resolved,
        dry_run: edit.dry_run,
        diff: diff(&project, &before, &after),
    };
    tell(setup, &edited, edit.no_lock);
    Ok(())
}

/// Says what was changed, or would be.
fn tell(setup: &Setup<'_>, edited: &Edited<'_>, no_lock: bool) {
    let (verb, text) = summary(edited, no_lock);
    setup.output.say(Tone::Done, verb, &text);
    if !edited.dry_run && !edited.added.is_empty() {
        setup.output.hint("`sandbox-images sync` fetches it");
    }
    if setup.output.json {
        output::json(edited);
    } else if edited.dry_run {
        output::text(&edited.diff);
    }
}

/// What differs between the texts of both files.
fn diff(project: &Project, before: &Texts, after: &Texts) -> String {
    let of = |path: &Path, before: &Option<String>, after: &Option<String>| {
        let [before, after] = [before, after].map(|text| text.as_deref().unwrap_or_default());
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let lines = TextDiff::from_lines(before, after);
        let mut diff = lines.unified_diff();
        diff.header(&format!("a/{name}"), &format!("b/{name}")).to_string()
    };
    let image_set = of(project.image_set_path(), &before.image_set, &after.image_set);
    image_set + &of(project.lock_path(), &before.lock, &after.lock)
}

fn summary(edited: &Edited<'_>, no_lock: bool) -> (&'static str, String) {
    let (verb, would, names) = match (edited.removed.is_empty(), edited.dry_run) {
        (true, false) => ("Added", "", &edited.added),
        (true, true) => ("Planned", "would add ", &edited.added),
        (false, false) => ("Removed", "", &edited.removed),
        (false, true) => ("Planned", "would remove ", &edited.removed),
    };
    let lock = if no_lock {
        "the lock is as it was".to_owned()
    } else {
        format!("{} resolved", count(edited.resolved.len() as u64, "image"))
    };
    (verb, format!("{would}{}; {lock}", listed(names)))
}
