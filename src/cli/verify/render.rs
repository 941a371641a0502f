//! What `verify` found, as a table for people and as a document for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sandbox_images::plan::artifact::{Artifact, Inventory};
use sandbox_images::plan::extent::Extent;
use sandbox_images::plan::selection::Selection;
use sandbox_images::plan::{substitutes, wanted};
use sandbox_images::project::repair::{Outcome, Repaired};
use sandbox_images::project::verify::{Flaw, Verified};
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::store::Store;
use sandbox_images::words::{listed, with_causes};
use serde::Serialize;

use crate::cli::report::{aligned, count, short, size};

/// What `verify --json` prints, and adds to a failure.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    /// How many artifacts are as they should be.
    ok: usize,
    /// How many are not, by class.
    classes: BTreeMap<&'static str, usize>,
    /// Those, one by one.
    damaged: Vec<Line>,
    /// Images whose documents contradict the lock.
    contradictions: Vec<Contradiction>,
    /// Files with an artifact's name and no record.
    leftovers: Vec<Leftover>,
    /// How many files among the artifacts are not of this program.
    foreign: usize,
}

/// An artifact that cannot be used, or could not before it was repaired.
#[derive(Debug, Serialize)]
struct Line {
    artifact: Artifact,
    path: PathBuf,
    /// `missing`, `size`, `digest`, `unreadable` or `unexpected`.
    class: &'static str,
    message: String,
    /// The images of the lock that want it.
    images: BTreeSet<String>,
    /// `found`, `repaired`, `set-aside`, `wanted-elsewhere` or `left`.
    state: &'static str,
    /// The locks of other projects, and the sources that were pulled, that want what was set aside.
    wanted_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Contradiction {
    image: String,
    message: String,
}

#[derive(Debug, Serialize)]
struct Leftover {
    /// From the directory of the store's layout version.
    path: String,
    size_bytes: u64,
}

/// The images of the lock that want an artifact.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<Artifact, BTreeSet<String>>);

impl Users {
    pub(super) fn of(lock: Option<&Lock>) -> Self {
        let mut users = Self::default();
        let Some(lock) = lock else { return users };
        for (name, platforms) in Selection::everything(lock).images {
            let images = [(name.clone(), platforms)].into();
            let selection = Selection { images, skipped: Vec::new() };
            let mut artifacts = wanted(lock, &selection);
            artifacts.extend(substitutes(lock, &selection, Extent::default(), &Inventory::new()));
            for artifact in artifacts {
                users.0.entry(artifact).or_default().insert(name.to_string());
            }
        }
        users
    }

    fn images(&self, artifact: Artifact) -> BTreeSet<String> {
        self.0.get(&artifact).cloned().unwrap_or_default()
    }
}

/// What lies in the store and is no artifact: worth a word, and no failure.
pub(super) fn notes(verified: &Verified) -> Vec<String> {
    let strays = &verified.strays;
    let mut notes = Vec::new();
    if !strays.unrecorded.is_empty() {
        let files = count(strays.unrecorded.len() as u64, "file");
        let bytes = strays.unrecorded.values().map(|held| held.size_bytes).sum();
        notes.push(format!(
            "{files} without a record ({}): `gc` takes what is a day old",
            size(bytes)
        ));
    }
    if strays.foreign > 0 {
        let files = count(strays.foreign as u64, "file");
        notes.push(format!("{files} not of this program, left alone"));
    }
    notes
}

/// A line for each flaw; nothing where there is none.
pub(super) fn table(verified: &Verified, repaired: Option<&Repaired>, users: &Users) -> String {
    if verified.flaws.is_empty() {
        return String::new();
    }
    let last = if repaired.is_some() { "NOW" } else { "WHAT" };
    let mut lines = vec![["CLASS", "ARTIFACT", "IMAGES", last].map(str::to_owned)];
    for (&artifact, flaw) in &verified.flaws {
        let images: Vec<String> = users.images(artifact).into_iter().collect();
        let what = match repaired.and_then(|repaired| repaired.outcomes.get(&artifact)) {
            Some(outcome) => outcome_text(outcome),
            None => flaw.to_string(),
        };
        let name = format!("{} {}", artifact.kind(), short(artifact.digest()));
        lines.push([flaw.class().to_owned(), name, images.join(","), what]);
    }
    aligned(&lines)
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Repaired => "made again".to_owned(),
        Outcome::SetAside => "moved away, and nobody wants it".to_owned(),
        Outcome::WantedBy(others) => format!("moved away, and {} wants it", listed(others.names())),
        Outcome::Left(flaw) if flaw.is_missing() => "not made again".to_owned(),
        Outcome::Left(flaw) => flaw.to_string(),
    }
}

pub(super) fn report(
    verified: &Verified,
    repaired: Option<&Repaired>,
    users: &Users,
    store: &Store,
) -> Report {
    let mut classes: BTreeMap<&'static str, usize> =
        ["missing", "size", "digest", "unreadable", "unexpected"].map(|class| (class, 0)).into();
    for flaw in verified.flaws.values() {
        *classes.entry(flaw.class()).or_default() += 1;
    }
    let damaged = verified.flaws.iter().map(|(&artifact, flaw)| {
        let outcome = repaired.and_then(|repaired| repaired.outcomes.get(&artifact));
        line(artifact, flaw, outcome, users, store)
    });
    let contradictions = verified.contradictions.iter().map(|(image, error)| Contradiction {
        image: image.to_string(),
        message: with_causes(error),
    });
    let leftovers = verified.strays.unrecorded.iter().map(|(leftover, held)| Leftover {
        path: leftover.path.clone(),
        size_bytes: held.size_bytes,
    });
    Report {
        schema: "sandbox-images/verify/1",
        ok: verified.examined.saturating_sub(verified.flaws.len()),
        classes,
        damaged: damaged.collect(),
        contradictions: contradictions.collect(),
        leftovers: leftovers.collect(),
        foreign: verified.strays.foreign,
    }
}

fn line(
    artifact: Artifact,
    flaw: &Flaw,
    outcome: Option<&Outcome>,
    users: &Users,
    store: &Store,
) -> Line {
    let (state, wanted_by) = match outcome {
        None => ("found", Vec::new()),
        Some(Outcome::Repaired) => ("repaired", Vec::new()),
        Some(Outcome::SetAside) => ("set-aside", Vec::new()),
        Some(Outcome::WantedBy(others)) => ("wanted-elsewhere", others.names()),
        Some(Outcome::Left(_)) => ("left", Vec::new()),
    };
    Line {
        artifact,
        path: store.path_of(artifact),
        class: flaw.class(),
        message: flaw.to_string(),
        images: users.images(artifact),
        state,
        wanted_by,
    }
}
