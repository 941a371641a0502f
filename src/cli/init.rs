//! `init`: a `sandbox-images.toml` to start from, and what git should know about the lock.

use sandbox_images::project::files::{FileError, attributes_beside, create};
use sandbox_images::spec::git_attributes::with_lock;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::{self, Tone};
use crate::cli::setup::{Setup, unwritten};

/// The file that is written. It names no image, so that it can be locked as it is.
const TEMPLATE: &str = include_str!("init/sandbox-images.toml");

/// What `init --json` prints.
#[derive(Debug, Serialize)]
struct Written {
    schema: &'static str,
    /// The files that were made or changed.
    written: Vec<String>,
}

pub(crate) fn run(setup: &Setup<'_>) -> Done {
    let project = setup.project()?;
    let lock_name = project.lock_path().file_name().unwrap_or_default().to_string_lossy();
    let attributes = attributes_beside(project.lock_path()).map_err(|error| failure(&error))?;
    create(project.image_set_path(), TEMPLATE).map_err(|error| failure(&error))?;
    let mut written = vec![project.image_set_path().display().to_string()];
    if let Some(text) = with_lock(attributes.text(), &lock_name) {
        attributes.replace(&text).map_err(|error| failure(&error))?;
        written.push(attributes.path().display().to_string());
    }
    setup.output.say(Tone::Done, "Wrote", &written.join(" and "));
    let next = "`sandbox-images add alpine:3.20`, then `sandbox-images sync`";
    setup.output.say(Tone::Hint, "Next", next);
    if setup.output.json {
        output::json(&Written { schema: "sandbox-images/init/1", written });
    }
    Ok(())
}

fn failure(error: &FileError) -> Failure {
    match error {
        FileError::Exists(_) => Failure::of(Kind::Usage, "exists", error)
            .help("nothing was written; `sandbox-images add` adds images to it"),
        _ => unwritten(error),
    }
}
