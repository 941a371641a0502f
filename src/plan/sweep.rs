//! Sweep: which of the things in a store may go. No I/O: what lies there, who wants what, and the time come
//! in, and for each thing a verdict with its reason comes out.
//!
//! [`plan`](crate::plan::plan) looks at one lock and only adds; this looks at everybody who keeps something
//! and only takes away. What anybody keeps never goes, whatever the limits and whatever the time.
//!
//! What nobody keeps goes by last use, in whole days, because the account of it is kept no finer. Among
//! things of one day, what is cheapest to restore goes first: disks and fsmetas are built again from layers
//! without a network, layers must be fetched, and blobs are what everything else is checked by.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::plan::artifact::Artifact;

#[cfg(test)]
mod tests;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// How long a file of a store's own name, but without a record, is left alone. Nobody commits while somebody
/// deletes, so it is the rest of a crash; a day is for who wants to look at it.
const UNRECORDED_KEPT: Duration = Duration::from_hours(24);

/// How long a download that broke off waits for somebody who goes on with it.
const PARTIAL_KEPT: Duration = Duration::from_hours(7 * 24);

/// How long what was damaged is kept for who wants to know why.
const QUARANTINED_KEPT: Duration = Duration::from_hours(30 * 24);

/// How long it is remembered what a tag was resolved to: as long as a root lives that nobody renews.
const REFERENCE_KEPT: Duration = Duration::from_hours(30 * 24);

/// What lies in a store that is this program's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// What has a record.
    pub artifacts: BTreeMap<Artifact, Held>,
    /// Everything else.
    pub leftovers: BTreeMap<Leftover, Held>,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its bytes.
    pub size_bytes: u64,
    /// When it was last used, in seconds since 1970.
    pub used: u64,
}

/// A file that is no artifact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Its path from the directory of the store's layout version.
    pub path: String,
}

/// What is left of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverKind {
    /// A file with an artifact's name and without its record.
    Unrecorded,
    /// What arrived of a download.
    Partial,
    /// What was damaged and set aside.
    Quarantined,
    /// What a tag was resolved to.
    Reference,
}

impl LeftoverKind {
    /// How long it is kept after its last use.
    pub const fn kept_for(self) -> Duration {
        match self {
            Self::Unrecorded => UNRECORDED_KEPT,
            Self::Partial => PARTIAL_KEPT,
            Self::Quarantined => QUARANTINED_KEPT,
            Self::Reference => REFERENCE_KEPT,
        }
    }
}

/// Somebody who keeps artifacts: a root, a run under way, a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// How to call it: the path of a lock, a process.
    pub name: String,
    /// What it keeps. It need not be there.
    pub wanted: BTreeSet<Artifact>,
}

/// What may be taken of what nobody keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of it, or as much as these limits ask for; and leftovers that are old enough.
    Everything(Limits),
    /// What one project no longer wants, each thing since when, in seconds since 1970.
    Dropped {
        /// The project's words.
        dropped: BTreeMap<Artifact, u64>,
        /// How long ago that must be.
        grace: Duration,
    },
}

/// How much of what nobody keeps is kept for another time. Without any limit it is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// What was used more lately than this ago stays.
    pub age_max: Option<Duration>,
    /// The store may have as many bytes.
    pub size_bytes_max: Option<u64>,
}

/// What becomes of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep(Keep),
    /// It goes.
    Take(Take),
}

impl Verdict {
    /// Whether it goes.
    pub const fn takes(&self) -> bool {
        matches!(self, Self::Take(_))
    }
}

/// Why something stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Somebody wants it: places among the keepers, at least one, ascending.
    Wanted(Vec<usize>),
    /// Nobody wants it, but it is within the limits, or not old enough.
    Recent,
    /// The project dropped it too lately.
    Grace,
    /// It is not what the project dropped.
    NotDropped,
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Nobody wants it, and no limit was given that would spare it.
    Unwanted,
    /// It was not used for as many seconds.
    Age(u64),
    /// The store has too many bytes.
    Size,
}

/// What becomes of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Each artifact that is there.
    pub artifacts: BTreeMap<Artifact, Verdict>,
    /// Each leftover that is there.
    pub leftovers: BTreeMap<Leftover, Verdict>,
}

impl Sweep {
    /// The artifacts that go.
    pub fn taken(&self) -> BTreeSet<Artifact> {
        let taken = self.artifacts.iter().filter(|(_, verdict)| verdict.takes());
        taken.map(|(artifact, _)| *artifact).collect()
    }
}

/// What becomes of `holdings` at `now`, in seconds since 1970.
pub fn sweep(holdings: &Holdings, keepers: &[Keeper], scope: &Scope, now: u64) -> Sweep {
    let marks = mark(keepers);
    let mut sweep = Sweep::default();
    let mut unwanted = Vec::new();
    for (&artifact, &held) in &holdings.artifacts {
        match marks.get(&artifact) {
            Some(by) => {
                let wanted = Verdict::Keep(Keep::Wanted(by.clone()));
                sweep.artifacts.insert(artifact, wanted);
            }
            None => unwanted.push((artifact, held)),
        }
    }
    match scope {
        Scope::Dropped { dropped, grace } => {
            let verdict =
                |(artifact, _)| (artifact, of_dropped(dropped.get(&artifact), *grace, now));
            sweep.artifacts.extend(unwanted.into_iter().map(verdict));
            let others = |leftover: &Leftover| (leftover.clone(), Verdict::Keep(Keep::NotDropped));
            sweep.leftovers.extend(holdings.leftovers.keys().map(others));
        }
        Scope::Everything(limits) => {
            let verdict = |(leftover, held): (&Leftover, &Held)| {
                (leftover.clone(), of_leftover(leftover.kind, *held, now))
            };
            sweep.leftovers.extend(holdings.leftovers.iter().map(verdict));
            let staying = staying_bytes(holdings, &sweep);
            sweep.artifacts.extend(evict(unwanted, *limits, staying, now));
        }
    }
    sweep
}

/// Who keeps each artifact, as places among `keepers`.
fn mark(keepers: &[Keeper]) -> BTreeMap<Artifact, Vec<usize>> {
    let mut marks: BTreeMap<Artifact, Vec<usize>> = BTreeMap::new();
    for (place, keeper) in keepers.iter().enumerate() {
        for artifact in &keeper.wanted {
            marks.entry(*artifact).or_default().push(place);
        }
    }
    marks
}

fn of_dropped(since: Option<&u64>, grace: Duration, now: u64) -> Verdict {
    match since {
        None => Verdict::Keep(Keep::NotDropped),
        Some(since) if now.saturating_sub(*since) < grace.as_secs() => Verdict::Keep(Keep::Grace),
        Some(_) => Verdict::Take(Take::Unwanted),
    }
}

fn of_leftover(kind: LeftoverKind, held: Held, now: u64) -> Verdict {
    let age = now.saturating_sub(held.used);
    if age > kind.kept_for().as_secs() {
        Verdict::Take(Take::Age(age))
    } else {
        Verdict::Keep(Keep::Recent)
    }
}

/// Bytes of what stays whatever the limits.
fn staying_bytes(holdings: &Holdings, sweep: &Sweep) -> u64 {
    let size = |held: Option<&Held>| held.map_or(0, |held| held.size_bytes);
    let artifacts = sweep.artifacts.keys().map(|artifact| size(holdings.artifacts.get(artifact)));
    let leftovers = sweep.leftovers.iter().filter(|(_, verdict)| !verdict.takes());
    let leftovers = leftovers.map(|(leftover, _)| size(holdings.leftovers.get(leftover)));
    artifacts.chain(leftovers).fold(0, u64::saturating_add)
}

/// What becomes of what nobody keeps, in a store in which `staying` bytes stay in any case.
fn evict(
    mut unwanted: Vec<(Artifact, Held)>,
    limits: Limits,
    staying: u64,
    now: u64,
) -> Vec<(Artifact, Verdict)> {
    unwanted.sort_by_key(|(artifact, held)| eviction_order(*artifact, *held, now));
    let sizes = unwanted.iter().map(|(_, held)| held.size_bytes);
    let mut bytes = sizes.fold(staying, u64::saturating_add);
    let no_limits = limits == Limits::default();
    let verdict = |(artifact, held): (Artifact, Held)| {
        let age = now.saturating_sub(held.used);
        let take = if no_limits {
            Some(Take::Unwanted)
        } else if limits.age_max.is_some_and(|max| age >= max.as_secs()) {
            Some(Take::Age(age))
        } else if limits.size_bytes_max.is_some_and(|max| bytes > max) {
            Some(Take::Size)
        } else {
            None
        };
        if take.is_some() {
            bytes = bytes.saturating_sub(held.size_bytes);
        }
        (artifact, take.map_or(Verdict::Keep(Keep::Recent), Verdict::Take))
    };
    unwanted.into_iter().map(verdict).collect()
}

/// What sorts first goes first.
fn eviction_order(artifact: Artifact, held: Held, now: u64) -> impl Ord {
    let age = now.saturating_sub(held.used);
    (Reverse(age / DAY_SECONDS), restoring_cost(artifact), Reverse(age), artifact)
}

/// How much it takes to have an artifact again: a place in an order.
const fn restoring_cost(artifact: Artifact) -> u8 {
    match artifact {
        Artifact::Disk(_) => 0,
        Artifact::Fsmeta(_) => 1,
        Artifact::Layer(_) => 2,
        Artifact::Blob(_) => 3,
    }
}
