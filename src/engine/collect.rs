//! Collect: deletes what nobody keeps, or shows what would be.
//!
//! [`decide`] takes what lies in a store and who keeps it, and gives each thing its fate; [`preview`] and
//! [`collect`] decide by the same words, the one without a guard, the other alone with the store.

mod lock;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::plan::root_life::{Life, LockFile, RootFacts};
use crate::plan::sweep::{
    Held, Keep, Keeper, Leftover, Limits, Scope, Sweep, Take, Verdict, sweep,
};
use crate::store::Store;
use crate::store::error::{Class, Error as StoreError};
use crate::store::exclusive::ExclusiveStore;
use crate::store::guard::Caller;
use crate::store::root::{Root, seconds};
use crate::store::survey::Survey;
use crate::words::listed;

/// What is to be collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// All that no root and no lease keeps, or as much of it as the limits ask for.
    Everything(Limits),
    /// All but what one lock names and what leases keep.
    OnlyThisLock {
        /// The lock and what it names.
        project: ThisProject,
        /// Take the other roots away; without it, they are a reason to do nothing.
        drop_other_roots: bool,
        /// What of the rest may stay.
        limits: Limits,
    },
    /// What one project dropped, and nobody else keeps.
    Dropped {
        /// The project's lock and what it names.
        project: ThisProject,
        /// How long ago it must have been dropped.
        grace: Duration,
    },
}

/// A project that speaks for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThisProject {
    /// The absolute path of its lock.
    pub lock: PathBuf,
    /// What the lock names.
    pub wanted: BTreeSet<Artifact>,
}

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store does not allow it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One lock is to keep its things alone, and others keep theirs.
    #[error("others keep things in this store: {}", listed(.keepers))]
    Refused {
        /// The locks of living roots, and who holds leases.
        keepers: Vec<String>,
    },
}

impl Error {
    /// How serious it is.
    pub const fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Refused { .. } => Class::Missing,
        }
    }

    /// The stable code of the diagnostic.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Refused { .. } => "gc-refused",
        }
    }

    /// What to do next.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.help(),
            Self::Refused { .. } => Some(
                "`--drop-other-roots` takes the roots away; what runs keeps what it uses in any case",
            ),
        }
    }
}

/// What becomes of everything in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// Roots, leases that ended, artifacts, leftovers.
    pub items: Vec<Item>,
}

/// One thing and its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub what: What,
    /// Its bytes; those of roots and leases are not counted.
    pub size_bytes: u64,
    /// When it was last used, in seconds since 1970; nothing of a lease.
    pub used: Option<u64>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What lies in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// What a project wants.
    Root {
        /// Its name in `roots/`.
        id: Digest,
        /// The path of its lock.
        lock: String,
    },
    /// The lease of that name, whose holder ended.
    Lease(String),
    /// An artifact.
    Artifact(Artifact),
    /// Something else.
    Leftover(Leftover),
}

/// Why something stays or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Fate {
    /// It stays: these keep it.
    Wanted {
        /// Locks and processes.
        by: Vec<String>,
    },
    /// It stays: within the limits, or not old enough.
    Recent,
    /// It stays: dropped too lately.
    Grace,
    /// It stays: not dropped by this project.
    NotDropped,
    /// A root that stays.
    Alive(Life),
    /// It goes: nobody wants it.
    Unwanted,
    /// It goes: not used for long.
    Age {
        /// For how long, in seconds.
        unused_seconds: u64,
    },
    /// It goes: the store is too large.
    Size,
    /// A root that goes: its lock is gone and it was not seen for long, or it expired. A lease that goes:
    /// its process ended.
    Ended,
    /// A root that goes because it is not of this lock.
    OtherRoot,
}

impl Fate {
    /// Whether the thing goes.
    pub const fn removes(&self) -> bool {
        matches!(
            self,
            Self::Unwanted | Self::Age { .. } | Self::Size | Self::Ended | Self::OtherRoot
        )
    }
}

impl Collection {
    /// What goes.
    pub fn removed(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.fate.removes())
    }
}

/// What [`collect`] would do now, as far as that can be seen without a guard. Writes nothing.
pub fn preview(store: &Store, request: &Request, now: SystemTime) -> Result<Collection, Error> {
    let survey = store.survey(now)?;
    let locks = lock::of_roots(&survey.roots);
    decide(&survey, &locks, request, seconds(now)).map(|decision| decision.collection)
}

/// Waits until this process is alone with the store, and deletes what `request` asks for.
pub fn collect(
    store: &Store,
    request: &Request,
    now: SystemTime,
    caller: Caller,
) -> Result<Collection, Error> {
    if !store.exists()? {
        return Ok(Collection::default());
    }
    alone(&store.exclusive(caller)?, request, now)
}

/// As [`collect`], but `None` where it would have to wait.
pub fn try_collect(
    store: &Store,
    request: &Request,
    now: SystemTime,
    caller: Caller,
) -> Result<Option<Collection>, Error> {
    let exclusive = store.try_exclusive(caller)?;
    exclusive.map(|exclusive| alone(&exclusive, request, now)).transpose()
}

fn alone(
    exclusive: &ExclusiveStore,
    request: &Request,
    now: SystemTime,
) -> Result<Collection, Error> {
    let survey = exclusive.survey(now)?;
    let locks = lock::of_roots(&survey.roots);
    let Decision { collection, root } = decide(&survey, &locks, request, seconds(now))?;
    apply(exclusive, &collection)?;
    if let Some((id, root)) = root {
        exclusive.replace_root(id, &root)?;
    }
    Ok(collection)
}

/// Deletes what goes. What cannot be deleted does not keep the rest; the first error is the answer.
fn apply(exclusive: &ExclusiveStore, collection: &Collection) -> Result<(), StoreError> {
    let mut artifacts = BTreeSet::new();
    let mut leftovers = Vec::new();
    let mut first = Ok(());
    for item in collection.removed() {
        match &item.what {
            What::Root { id, .. } => first = first.and(exclusive.remove_root(*id)),
            What::Lease(name) => first = first.and(exclusive.remove_lease(name)),
            What::Artifact(artifact) => drop(artifacts.insert(*artifact)),
            What::Leftover(leftover) => leftovers.push(leftover),
        }
    }
    first = first.and(exclusive.remove(&artifacts));
    for leftover in leftovers {
        first = first.and(exclusive.remove_leftover(leftover));
    }
    first
}

/// What is decided: the fates, and the root of this project if it is to be written anew.
#[derive(Debug, Default, PartialEq)]
struct Decision {
    collection: Collection,
    root: Option<(Digest, Root)>,
}

/// What becomes of everything, by what lies in the store and what the roots' `locks` say. No I/O.
fn decide(
    survey: &Survey,
    locks: &BTreeMap<Digest, LockFile>,
    request: &Request,
    now: u64,
) -> Result<Decision, Error> {
    let (there, mut survey, mut locks) = (survey, survey.clone(), locks.clone());
    let own = request.project().map(|project| project.stand_in(&mut survey, &mut locks, now));
    let lives = lives(&survey, &locks, now);
    if let Request::OnlyThisLock { drop_other_roots: false, .. } = request {
        refuse_others(&survey, &lives, own)?;
    }
    let (keepers, roots) = keepers(&survey, &locks, &lives, request);
    let scope = match request {
        Request::Everything(limits) | Request::OnlyThisLock { limits, .. } => {
            Scope::Everything(*limits)
        }
        Request::Dropped { grace, .. } => {
            let root = own.and_then(|own| survey.roots.get(&own));
            let dropped = root.into_iter().flat_map(|root| &root.dropped);
            let dropped = dropped.map(|dropped| (dropped.artifact, dropped.since)).collect();
            Scope::Dropped { dropped, grace: *grace }
        }
    };
    let swept = sweep(&survey.holdings, &keepers, &scope, now);
    let root = match (request, own) {
        (Request::Dropped { grace, .. }, Some(own)) => {
            settled(&survey.roots[&own], &swept, roots, *grace, now).map(|root| (own, root))
        }
        _ => None,
    };
    let mut items = Vec::new();
    if !matches!(request, Request::Dropped { .. }) {
        items.extend(root_items(there, &lives, request, own));
        let ended = survey.ended_leases.iter().map(|name| Item {
            what: What::Lease(name.clone()),
            size_bytes: 0,
            used: None,
            fate: Fate::Ended,
        });
        items.extend(ended);
    }
    items.extend(swept_items(&survey, &keepers, swept));
    Ok(Decision { collection: Collection { items }, root })
}

impl Request {
    const fn project(&self) -> Option<&ThisProject> {
        match self {
            Self::Everything(_) => None,
            Self::OnlyThisLock { project, .. } | Self::Dropped { project, .. } => Some(project),
        }
    }
}

impl ThisProject {
    /// Puts the project's root as its next sync would write it in place of the one that is there, and what
    /// its lock will say in place of what it says. Answers the root's name.
    fn stand_in(
        &self,
        survey: &mut Survey,
        locks: &mut BTreeMap<Digest, LockFile>,
        now: u64,
    ) -> Digest {
        let id = Root::id_for(&self.lock);
        let previous = survey.roots.remove(&id);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let next = Root::next(previous.clone(), &self.lock, &self.wanted, now);
        survey.roots.insert(id, next.or(previous).unwrap_or_default());
        locks.insert(id, LockFile::Names(self.wanted.clone()));
        id
    }
}

fn facts(root: &Root, lock: LockFile) -> RootFacts {
    RootFacts {
        pinned: root.pinned,
        expires: root.expires,
        last_seen: root.last_seen,
        wanted: root.wanted.clone(),
        lock,
    }
}

fn lock_of(locks: &BTreeMap<Digest, LockFile>, id: Digest) -> LockFile {
    locks.get(&id).cloned().unwrap_or(LockFile::Absent)
}

fn lives(
    survey: &Survey,
    locks: &BTreeMap<Digest, LockFile>,
    now: u64,
) -> BTreeMap<Digest, Life> {
    let roots = survey.roots.iter();
    roots.map(|(id, root)| (*id, facts(root, lock_of(locks, *id)).life(now))).collect()
}

fn refuse_others(
    survey: &Survey,
    lives: &BTreeMap<Digest, Life>,
    own: Option<Digest>,
) -> Result<(), Error> {
    let others = survey.roots.iter().filter(|(id, _)| Some(**id) != own && lives[id].is_alive());
    let roots = others.map(|(_, root)| root.lock.clone());
    let keepers: Vec<String> = roots.chain(lessees(survey).map(|keeper| keeper.name)).collect();
    if keepers.is_empty() { Ok(()) } else { Err(Error::Refused { keepers }) }
}

/// Those who hold a lease on anything. A run that wants nothing, as this one, keeps nothing.
fn lessees(survey: &Survey) -> impl Iterator<Item = Keeper> {
    let held = survey.leases.iter().filter(|lease| !lease.wanted.is_empty());
    held.map(|lease| Keeper {
        name: lease.holder.clone(),
        wanted: lease.wanted.iter().copied().collect(),
    })
}

/// Everybody who keeps something, and how many of them, the first ones, are roots.
fn keepers(
    survey: &Survey,
    locks: &BTreeMap<Digest, LockFile>,
    lives: &BTreeMap<Digest, Life>,
    request: &Request,
) -> (Vec<Keeper>, usize) {
    let mut keepers: Vec<Keeper> = match request {
        Request::OnlyThisLock { project, .. } => vec![Keeper {
            name: project.lock.to_string_lossy().into_owned(),
            wanted: project.wanted.clone(),
        }],
        Request::Everything(_) | Request::Dropped { .. } => {
            let alive = survey.roots.iter().filter(|(id, _)| lives[id].is_alive());
            let keeper = |(id, root): (&Digest, &Root)| Keeper {
                name: root.lock.clone(),
                wanted: facts(root, lock_of(locks, *id)).keeps(),
            };
            alive.map(keeper).collect()
        }
    };
    let roots = keepers.len();
    keepers.extend(lessees(survey));
    (keepers, roots)
}

/// The root without what it need not remember any more: what went, and what another root keeps, whose
/// project will remember it in its turn. `None` if that changes nothing.
fn settled(root: &Root, swept: &Sweep, roots: usize, grace: Duration, now: u64) -> Option<Root> {
    let mut settled = root.clone();
    settled.dropped.retain(|dropped| {
        if now.saturating_sub(dropped.since) < grace.as_secs() {
            return true;
        }
        match swept.artifacts.get(&dropped.artifact) {
            Some(Verdict::Keep(Keep::Wanted(by))) => by.iter().all(|place| *place >= roots),
            Some(Verdict::Keep(_)) => true,
            Some(Verdict::Take(_)) | None => false,
        }
    });
    (settled != *root).then_some(settled)
}

fn root_items(
    survey: &Survey,
    lives: &BTreeMap<Digest, Life>,
    request: &Request,
    own: Option<Digest>,
) -> Vec<Item> {
    let only_own = matches!(request, Request::OnlyThisLock { .. });
    let item = |(id, root): (&Digest, &Root)| Item {
        what: What::Root { id: *id, lock: root.lock.clone() },
        size_bytes: 0,
        used: Some(root.last_seen),
        fate: match lives[id] {
            Life::Ended => Fate::Ended,
            _ if only_own && Some(*id) != own => Fate::OtherRoot,
            life => Fate::Alive(life),
        },
    };
    survey.roots.iter().map(item).collect()
}

fn swept_items(survey: &Survey, keepers: &[Keeper], swept: Sweep) -> Vec<Item> {
    let holdings = &survey.holdings;
    let artifacts = swept.artifacts.into_iter().map(|(artifact, verdict)| {
        (What::Artifact(artifact), holdings.artifacts.get(&artifact), verdict)
    });
    let leftovers = swept.leftovers.into_iter().map(|(leftover, verdict)| {
        let held = holdings.leftovers.get(&leftover);
        (What::Leftover(leftover), held, verdict)
    });
    let item = |(what, held, verdict): (What, Option<&Held>, Verdict)| Item {
        what,
        size_bytes: held.map_or(0, |held| held.size_bytes),
        used: held.map(|held| held.used),
        fate: fate(verdict, keepers),
    };
    artifacts.chain(leftovers).map(item).collect()
}

fn fate(verdict: Verdict, keepers: &[Keeper]) -> Fate {
    match verdict {
        Verdict::Keep(Keep::Wanted(by)) => {
            Fate::Wanted { by: by.into_iter().map(|place| keepers[place].name.clone()).collect() }
        }
        Verdict::Keep(Keep::Recent) => Fate::Recent,
        Verdict::Keep(Keep::Grace) => Fate::Grace,
        Verdict::Keep(Keep::NotDropped) => Fate::NotDropped,
        Verdict::Take(Take::Unwanted) => Fate::Unwanted,
        Verdict::Take(Take::Age(unused_seconds)) => Fate::Age { unused_seconds },
        Verdict::Take(Take::Size) => Fate::Size,
    }
}
