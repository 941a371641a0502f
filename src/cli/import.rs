//! `import`: a bundle fills the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::action::Action;
use sandbox_images::plan::event::Totals;
use sandbox_images::project::Project;
use sandbox_images::project::import::{Bundle, Imported, Purpose, Refusal};
use sandbox_images::spec::name::ImageName;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::carrying::Import;
use crate::cli::failure::{Failure, Kind};
use crate::cli::incomplete::missing;
use crate::cli::output::{self, Tone};
use crate::cli::report::{built, count};
use crate::cli::setup::{Setup, unreadable, unwritten};

/// What `import --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    images: &'a BTreeMap<ImageName, BTreeSet<Platform>>,
    done: Totals,
    lock_written: bool,
    verify_only: bool,
}

pub(crate) fn run(setup: &Setup<'_>, import: &Import) -> Done {
    let started = Instant::now();
    let project = setup.project()?;
    let (bytes, origin) = open(&import.bundle)?;
    let Import { locked, verify_only, .. } = *import;
    let purpose = if verify_only { Purpose::Verify(std::env::temp_dir()) } else { Purpose::Import };
    let bundle = Bundle { bytes, origin: origin.clone(), locked, purpose };
    let session = setup.session(false, None, None)?;
    let imported = setup.block_on(async {
        let imported = project.import(bundle, &session).await;
        imported.map_err(|refusal| failure(&project, &origin, refusal))
    })?;
    let Imported { totals, selection, lock_written } = imported;
    if lock_written {
        setup.output.say(Tone::Done, "Wrote", &project.lock_path().display().to_string());
    }
    let images = count(selection.images.len() as u64, "image");
    let elapsed = started.elapsed();
    let (verb, text) = match totals {
        _ if verify_only => ("Verified", format!("{images} ({elapsed:.1?})")),
        Totals { documents: 0, layers: 0, fsmetas: 0, disks: 0, .. } => {
            ("Unchanged", format!("{images} in the store already ({elapsed:.1?})"))
        }
        totals => ("Imported", format!("{images}: {} new ({elapsed:.1?})", built(&totals))),
    };
    setup.output.say(Tone::Done, verb, &text);
    if setup.output.json {
        output::json(&Report {
            schema: "sandbox-images/import/1",
            images: &selection.images,
            done: totals,
            lock_written,
            verify_only,
        });
    }
    Ok(())
}

fn open(path: &Path) -> Result<(Box<dyn Read + Send>, String), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), "standard input".to_owned()));
    }
    let origin = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((Box::new(file), origin)),
        Err(error) => {
            let message = format!("cannot read `{origin}`: {error}");
            Err(Failure::new(Kind::Failed, "bundle-unreadable", message))
        }
    }
}

fn failure(project: &Project, origin: &str, refusal: Refusal) -> Failure {
    let lock = project.lock_path().display();
    match refusal {
        Refusal::OtherLock => {
            let message = format!("`{lock}` is not the lock of `{origin}`");
            Failure::new(Kind::Stale, "bundle-lock", message).help(
                "import in the project at the commit that was exported, or elsewhere: `--lockfile` names another lock",
            )
        }
        Refusal::NoLock => {
            let message = format!("`{lock}` does not exist, and is to be the lock of `{origin}`");
            Failure::new(Kind::Stale, "missing-lock", message)
                .help("bring the project's lock, or import without `--locked`, which writes it")
        }
        Refusal::Missing(actions) => {
            let actions: Vec<&Action> = actions.iter().collect();
            missing(&actions, false).help(
                "the bundle builds on an older one (`export --since`): import that first, or export without `--since`",
            )
        }
        Refusal::File(error) => unreadable(&error),
        Refusal::LockNotWritten(error) => unwritten(&error),
        Refusal::Failed(image, error) => {
            Failure::engine(image.as_ref().map_or("import", ImageName::as_str), &error)
        }
        _ => Failure::new(Kind::Failed, "bundle-unreadable", "nothing was imported"),
    }
}
