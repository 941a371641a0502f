//! `lock`: makes the lock satisfy `sandbox-images.toml`, or says that it does not.

use std::collections::BTreeSet;

use sandbox_images::project::files::Inputs;
use sandbox_images::project::relock::Relocked;
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::freshness::{Reason, Stale, diagnostic};
use sandbox_images::spec::lockfile::{Lock as LockFile, REVISION};
use sandbox_images::spec::name::ImageName;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::locking::Lock;
use crate::cli::artifacts::{Wish, complete};
use crate::cli::failure::{Failure, Kind, engine_failures};
use crate::cli::output::{self, Tone};
use crate::cli::report::count;
use crate::cli::setup::{Setup, inputs, unwritten};
use crate::cli::texts::Texts;

/// What `lock --json` prints.
#[derive(Debug, Serialize)]
struct Locked<'a> {
    schema: &'static str,
    /// Whether the file has other bytes now, or would have.
    changed: bool,
    /// Images that were resolved.
    resolved: &'a BTreeSet<ImageName>,
    /// All images that are locked.
    images: Vec<&'a ImageName>,
    /// The format of the artifacts whose digests are locked; `null` if none are.
    artifact_format: Option<u64>,
}

pub(crate) fn run(setup: &Setup<'_>, lock: &Lock) -> Done {
    let wish = wish(lock);
    let project = setup.project()?;
    let (inputs, texts) = inputs(&project)?;
    if lock.check {
        require_fresh(&inputs, &texts)?;
        wish.require(&inputs.lock)?;
    }
    // A fresh lock of a newer tool needs no change, and this tool would not keep all of it.
    let is_kept = wish == Wish::Keep && inputs.stale.is_empty() && inputs.lock.is_newer();
    if lock.check || is_kept {
        setup.output.say(Tone::Done, "Unchanged", "sandbox-images.lock is up to date");
        print(setup, false, &BTreeSet::new(), &inputs.lock);
        return Ok(());
    }
    if wish != Wish::Keep {
        require_writable(&inputs.lock)?;
    }
    let session = setup.session(true, None, Some(&inputs.image_set))?;
    let relocked = setup.block_on(async {
        let mut relocked = relock(&project, &inputs, &texts, &session).await?;
        if !lock.dry_run {
            relocked.lock = complete(&project, &inputs, relocked.lock, wish, &session).await?;
        }
        Ok(relocked)
    })?;
    let changed = if lock.dry_run {
        would_change(setup, &project, &inputs, &relocked.lock, wish)
    } else {
        write(&project, &relocked.lock.render())?
    };
    let (verb, text) = summary(lock.dry_run, changed, &relocked);
    setup.output.say(Tone::Done, verb, &text);
    if changed && !lock.dry_run {
        let next = "commit sandbox-images.lock; `sandbox-images sync` fetches what it names";
        setup.output.hint(next);
    }
    print(setup, changed, &relocked.resolved, &relocked.lock);
    Ok(())
}

fn wish(lock: &Lock) -> Wish {
    match lock {
        Lock { artifacts: true, .. } => Wish::Write,
        Lock { no_artifacts: true, .. } => Wish::Drop,
        _ => Wish::Keep,
    }
}

/// Whether the file would have other bytes, and a note of what would be built for that.
fn would_change(
    setup: &Setup<'_>,
    project: &Project,
    inputs: &Inputs,
    lock: &LockFile,
    wish: Wish,
) -> bool {
    let lacking = if wish.is_for(&inputs.lock) { lock.without_artifact_digests().len() } else { 0 };
    if lacking > 0 {
        let images = count(lacking as u64, "image");
        setup.output.note(&format!("would build {images} on all platforms for the digests"));
    }
    let is_other = project.texts().is_ok_and(|texts| texts.lock.as_deref() != Some(&lock.render()));
    let loses_digests = wish == Wish::Drop && lock.artifact_format().is_some();
    is_other || lacking > 0 || loses_digests
}

/// Fails if a newer tool wrote the lock: this one would lose what it does not know.
pub(crate) fn require_writable(lock: &LockFile) -> Done {
    if !lock.is_newer() {
        return Ok(());
    }
    let found = lock.revision();
    let message = format!("the lock has revision {found}, this tool writes revision {REVISION}");
    Err(Failure::new(Kind::Stale, "newer-revision", message)
        .help("use a newer sandbox-images to change it"))
}

/// Fails with all differences unless the lock satisfies the image set.
pub(crate) fn require_fresh(inputs: &Inputs, texts: &Texts) -> Done {
    match stale(inputs, texts) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// The failure that a stale lock is.
pub(crate) fn stale(inputs: &Inputs, texts: &Texts) -> Option<Failure> {
    let problem = diagnostic(&inputs.stale, inputs.lock.images().len())?;
    let failure = Failure::in_files(Kind::Stale, vec![problem], texts.clone());
    Some(failure.with("stale", &inputs.stale))
}

/// A lock that satisfies the image set, or all that keeps it from being made.
pub(crate) async fn relock(
    project: &Project,
    inputs: &Inputs,
    texts: &Texts,
    session: &Session,
) -> Result<Relocked, Failure> {
    if inputs.stale.iter().any(|Stale { reason, .. }| *reason == Reason::NewerRevision) {
        require_fresh(inputs, texts)?;
    }
    let relocked = project.lock(inputs, session).await;
    match engine_failures(&relocked.failures) {
        Some(failure) => Err(failure),
        None => Ok(relocked),
    }
}

/// Writes the lock, and says whether it is another one now.
pub(crate) fn write(project: &Project, text: &str) -> Result<bool, Failure> {
    project.write_lock(text).map_err(|error| unwritten(&error))
}

fn summary(dry_run: bool, changed: bool, relocked: &Relocked) -> (&'static str, String) {
    let images = count(relocked.lock.images().len() as u64, "image");
    let resolved = relocked.resolved.len();
    match (changed, dry_run) {
        (false, _) => ("Unchanged", format!("sandbox-images.lock is up to date ({images})")),
        (true, false) if relocked.lock.artifact_format().is_some() => {
            ("Locked", format!("{images} with their artifacts, {resolved} of them resolved now"))
        }
        (true, false) => ("Locked", format!("{images}, {resolved} of them resolved now")),
        (true, true) => {
            ("Planned", format!("would lock {images}, {resolved} of them resolved now"))
        }
    }
}

fn print(setup: &Setup<'_>, changed: bool, resolved: &BTreeSet<ImageName>, lock: &LockFile) {
    if setup.output.json {
        let images = lock.images().map(|(name, _)| name).collect();
        let artifact_format = lock.artifact_format();
        let schema = "sandbox-images/lock/1";
        output::json(&Locked { schema, changed, resolved, images, artifact_format });
    }
}
