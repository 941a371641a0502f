//! `verify`: every byte of the store is hashed again, or every block of the lock is derived again. Writes
//! nothing, unless `--repair` is given.

mod registry;

mod render;

use std::num::NonZeroUsize;

use sandbox_images::engine::error::Error;
use sandbox_images::project::Project;
use sandbox_images::project::files::{Inputs, Texts};
use sandbox_images::project::repair::{Others, Outcome, Repaired};
use sandbox_images::project::verify::{Flaw, Request, Verified};
use sandbox_images::spec::lockfile::Lock;

use crate::cli::Done;
use crate::cli::args::keeping::Verify;
use crate::cli::failure::{Failure, Kind, engine_failures};
use crate::cli::incomplete::failure_of;
use crate::cli::output::{self, Tone};
use crate::cli::report::{count, reporter};
use crate::cli::setup::{Setup, unreadable};
use crate::cli::verify::render::{Users, notes, report, table};

pub(crate) fn run(setup: &Setup<'_>, verify: &Verify) -> Done {
    let project = setup.project()?;
    if verify.registry {
        return registry::run(setup, &project, !verify.offline);
    }
    let texts = project.texts().map_err(|error| unreadable(&error))?;
    let lock = lock(setup, &texts);
    let inputs = Inputs::parse(&texts).ok();
    let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (lock, inputs) = (lock.as_ref(), inputs.as_ref());
    let request = Request { lock, inputs, deep: verify.deep, jobs };
    let (verified, repaired) = setup.block_on(work(setup, verify, &project, request))?;
    tell(setup, lock, &verified, repaired.as_ref(), &project)
}

/// The lock, if there is one that can be read. Records are compared without it too.
fn lock(setup: &Setup<'_>, texts: &Texts) -> Option<Lock> {
    texts.parse_lock().unwrap_or_else(|error| {
        setup
            .output
            .note(&format!("the lock is left out, `sandbox-images check` says why: {error}"));
        None
    })
}

async fn work(
    setup: &Setup<'_>,
    verify: &Verify,
    project: &Project,
    request: Request<'_>,
) -> Result<(Verified, Option<Repaired>), Failure> {
    let failed = |error: Error| match error {
        Error::Store(error) => Failure::store(&error),
        error => Failure::engine("store", &error),
    };
    let reporter = reporter(setup.output);
    let verified = project.verify(request, &reporter).await.map_err(failed)?;
    if !verify.repair || verified.flaws.is_empty() {
        return Ok((verified, None));
    }
    let set = request.inputs.map(|inputs| &inputs.image_set);
    let session = setup.session_telling(reporter, !verify.offline, None, set)?;
    let repaired = project.repair(&verified, request, &session).await.map_err(failed)?;
    Ok((verified, Some(repaired)))
}

fn tell(
    setup: &Setup<'_>,
    lock: Option<&Lock>,
    verified: &Verified,
    repaired: Option<&Repaired>,
    project: &Project,
) -> Done {
    let users = Users::of(lock);
    let failure = match repaired {
        None => found(verified),
        Some(repaired) => left(repaired),
    };
    let failure = failure.into_iter().chain(engine_failures(&verified.contradictions));
    let failure = failure.reduce(Failure::and);
    for note in notes(verified) {
        setup.output.note(&note);
    }
    if !setup.output.json {
        output::text(&table(verified, repaired, &users));
    }
    let report = report(verified, repaired, &users, project.store());
    if let Some(failure) = failure {
        return Err(failure.with("verified", &report));
    }
    let (verb, text) = summary(verified, repaired);
    setup.output.say(Tone::Done, verb, &text);
    if setup.output.json {
        output::json(&report);
    }
    Ok(())
}

fn summary(verified: &Verified, repaired: Option<&Repaired>) -> (&'static str, String) {
    let all = count(verified.examined as u64, "artifact");
    match repaired {
        None => ("Verified", format!("{all}: each is what its record says")),
        Some(repaired) => {
            ("Repaired", format!("{} of {all}", count(repaired.outcomes.len() as u64, "flaw")))
        }
    }
}

/// What is wrong and was left alone.
fn found(verified: &Verified) -> Option<Failure> {
    let all = verified.examined;
    let artifacts = |flaws: &[&Flaw]| count(flaws.len() as u64, "artifact");
    let (missing, damaged): (Vec<&Flaw>, Vec<&Flaw>) =
        verified.flaws.values().partition(|flaw| flaw.is_missing());
    let (other, damaged): (Vec<&Flaw>, Vec<&Flaw>) = damaged
        .into_iter()
        .partition(|flaw| matches!(flaw, Flaw::Wrong(Error::ArtifactDiffers { .. })));
    let repair =
        "run `sandbox-images verify --repair`: what is damaged is moved away and made again";
    let damaged = (!damaged.is_empty()).then(|| {
        let text = format!("{} of {all} cannot be used", artifacts(&damaged));
        Failure::new(Kind::Integrity, "artifact-damaged", text).help(repair)
    });
    let other = other.first().map(|_| {
        let text = format!("{} of {all} not as the lock says", artifacts(&other));
        Failure::new(Kind::Integrity, "artifact-mismatch", text).help(
            "`sandbox-images verify --repair` makes them again; if they are the same, find out whether the lock was edited or is of another build of this tool",
        )
    });
    let missing = (!missing.is_empty()).then(|| {
        let text = format!("{} of {all} missing", artifacts(&missing));
        Failure::new(Kind::Missing, "artifact-missing", text).help("run `sandbox-images sync`")
    });
    damaged.into_iter().chain(other).chain(missing).reduce(Failure::and)
}

/// How those who want something get it again.
fn who_heals(others: &Others) -> String {
    if !others.locks.is_empty() {
        return "run `sandbox-images sync` in that project".to_owned();
    }
    let pulled = others.pulled.first().and_then(|pulled| pulled.rsplit_once(' '));
    let (source, platform) = pulled.unwrap_or(("REF", "PLATFORM"));
    format!("run `sandbox-images pull {source} --platform {platform}`")
}

/// What could not be made again.
fn left(repaired: &Repaired) -> Option<Failure> {
    let mut failure = failure_of(&repaired.synced);
    let mut add = |more: Failure| {
        failure = Some(match failure.take() {
            Some(failure) => failure.and(more),
            None => more,
        });
    };
    for (artifact, outcome) in &repaired.outcomes {
        match outcome {
            Outcome::Repaired | Outcome::SetAside => {}
            Outcome::WantedBy(others) => {
                let names = sandbox_images::words::listed(others.names());
                let text = format!("{artifact} was damaged and moved away, and {names} wants it");
                add(Failure::new(Kind::Missing, "artifact-missing", text).help(who_heals(others)));
            }
            Outcome::Left(flaw) if flaw.is_missing() => {
                let text = format!("{artifact} was not made again");
                add(Failure::new(Kind::Missing, "artifact-missing", text)
                    .help("run `sandbox-images sync` with a network"));
            }
            Outcome::Left(flaw) => {
                let text = format!("{artifact} is still flawed: {flaw}");
                add(Failure::new(Kind::Integrity, "artifact-damaged", text)
                    .help("run `sandbox-images doctor`: a disk that damages files does so again"));
            }
        }
    }
    failure
}
