//! `diff`: the lock beside an older one, for who reviews the change.

use std::path::{Path, PathBuf};

use sandbox_images::plan::diff::{LockDiff, diff};
use sandbox_images::project::Project;
use sandbox_images::spec::lockfile::{FILE_BYTES_MAX, Lock};
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::reading::Diff;
use crate::cli::difference;
use crate::cli::failure::{Failure, Kind};
use crate::cli::git::{Committed, file_at};
use crate::cli::output;
use crate::cli::render::printable;
use crate::cli::setup::{Setup, lock_alone};
use crate::cli::texts::{Text, Texts};

/// What `diff --json` prints.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    schema: &'static str,
    /// The file or revision that is compared with.
    old: &'a str,
    #[serde(flatten)]
    diff: &'a LockDiff,
}

pub(crate) fn run(setup: &Setup<'_>, arguments: &Diff) -> Done {
    let project = setup.project()?;
    let new = lock_alone(&project)?;
    let old = old(setup, &project, &arguments.old)?;
    let diff = diff(&old, &new);
    if setup.output.json {
        let schema = "sandbox-images/diff/1";
        output::json(&Compared { schema, old: &arguments.old, diff: &diff });
    } else if arguments.markdown {
        output::data(printable(&difference::markdown(&diff)));
    } else {
        output::data(printable(&difference::text(&diff)));
    }
    Ok(())
}

/// The lock to compare with: the file of that name, or what the revision has.
fn old(setup: &Setup<'_>, project: &Project, named: &str) -> Result<Lock, Failure> {
    let path = Path::new(named);
    let text = if path.is_file() {
        let beside = Project::with_files(
            project.image_set_path().to_owned(),
            path.to_owned(),
            project.store().clone(),
        );
        let texts = beside.texts().map_err(|error| Failure::of(Kind::Usage, "file", &error))?;
        texts.lock.unwrap_or_default()
    } else {
        match file_at(named, project.lock_path(), FILE_BYTES_MAX)? {
            Committed::File(bytes) => String::from_utf8(bytes).map_err(|_| {
                Failure::new(Kind::Usage, "file", format!("the lock of `{named}` is not UTF-8"))
            })?,
            Committed::Nothing => {
                setup.output.note(&format!("`{named}` has no lock: all images are new"));
                return Ok(Lock::new());
            }
        }
    };
    Lock::parse(&text).map_err(|error| {
        let lock = Text { path: PathBuf::from(named), text };
        Failure::in_files(Kind::Usage, error.diagnostics(), Texts { lock, ..Texts::default() })
    })
}
