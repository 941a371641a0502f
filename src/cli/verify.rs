//! `verify`: every byte of the store is hashed again. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::locked::{check_format, locked_digests};
use sandbox_images::plan::selection::{SelectionRequest, select};
use sandbox_images::plan::wanted;
use sandbox_images::project::Project;
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::store::verify::Report;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::Setup;

/// What `verify --json` prints.
#[derive(Debug, Serialize)]
struct Verified {
    schema: &'static str,
    /// How many artifacts are what their records say.
    ok: usize,
    /// The others.
    damaged: Vec<Damaged>,
}

/// An artifact that is not what its record says.
#[derive(Debug, Serialize)]
struct Damaged {
    artifact: Artifact,
    path: std::path::PathBuf,
    /// `missing`, `size`, `digest`, `unreadable`, `unexpected`, or `other` than the lock says.
    class: &'static str,
    message: String,
}

pub(crate) fn run(setup: &Setup<'_>) -> Done {
    let project = setup.project()?;
    let mut artifacts: BTreeSet<Artifact> =
        project.store().scan().map_err(|error| Failure::store(&error))?.into_keys().collect();
    if !artifacts.is_empty() {
        artifacts.extend(wanted_by(&project));
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let report = project
        .store()
        .verify(&artifacts, threads, &|_, _| ())
        .map_err(|error| Failure::store(&error))?;
    let damaged = damaged(&project, &report, &locked(&project));
    let ok = artifacts.len() - damaged.len();
    if damaged.is_empty() {
        setup.output.note(&format!("{ok} artifacts are what their records say"));
        if setup.output.json {
            output::json(&Verified { schema: "sandbox-images/verify/1", ok, damaged });
        }
        return Ok(());
    }
    Err(failure(ok, damaged))
}

/// What the project's default sync wants, if its lock can be read: a record that is gone is noticed only by
/// who misses it.
fn wanted_by(project: &Project) -> BTreeSet<Artifact> {
    let Ok(texts) = project.texts() else { return BTreeSet::new() };
    let Ok(Some(lock)) = texts.parse_lock() else { return BTreeSet::new() };
    let set = texts.image_set.as_deref().and_then(|text| ImageSet::parse(text).ok());
    let request = SelectionRequest::default_for(Platform::host_linux());
    select(set.as_ref(), &lock, &request)
        .map(|selection| wanted(&lock, &selection))
        .unwrap_or_default()
}

/// The digests that the project's lock has of artifacts, if it has some that this tool can judge.
fn locked(project: &Project) -> BTreeMap<Artifact, Digest> {
    let Ok(texts) = project.texts() else { return BTreeMap::new() };
    let lock = texts.parse_lock().ok().flatten().filter(|lock| check_format(lock).is_ok());
    lock.as_ref().map(locked_digests).unwrap_or_default()
}

fn damaged(
    project: &Project,
    report: &Report,
    locked: &BTreeMap<Artifact, Digest>,
) -> Vec<Damaged> {
    let damaged = report.verdicts.iter().filter_map(|(&artifact, verdict)| {
        let (class, message) = match (verdict, locked.get(&artifact)) {
            (Err(damage), _) => (damage.class(), damage.to_string()),
            (Ok(record), Some(locked)) if record.digest != *locked => {
                ("other", format!("the file is `{}`, the lock says `{locked}`", record.digest))
            }
            _ => return None,
        };
        Some(Damaged { artifact, path: project.store().path_of(artifact), class, message })
    });
    damaged.collect()
}

fn failure(ok: usize, damaged: Vec<Damaged>) -> Failure {
    let only_missing = damaged.iter().all(|damaged| damaged.class == "missing");
    let kind = if only_missing { Kind::Missing } else { Kind::Integrity };
    let failures = damaged.iter().map(|damaged| {
        let Damaged { artifact, path, message, .. } = damaged;
        let help = match damaged.class {
            "other" => "find out whether the lock was edited or the store is of another build of this tool",
            _ => "run `sandbox-images sync`: what is missing is made again, what is damaged is moved away first",
        };
        Failure::new(kind, "artifact-damaged", format!("{artifact}: {message} (`{}`)", path.display())).help(help)
    });
    let failure = failures.reduce(Failure::and).expect("something is damaged");
    failure.with("verified", &Verified { schema: "sandbox-images/verify/1", ok, damaged })
}
