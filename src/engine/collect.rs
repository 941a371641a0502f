//! Collect: deletes what nobody keeps, or shows what would be.
//!
//! What lies in a store and who keeps it gives each thing its fate. [`preview`] and [`collect`] decide by the
//! same words, the one without a guard, the other alone with the store.

pub mod withdrawal;

mod lock;

mod decide;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::engine::collect::decide::{Decision, decide, lives};
use crate::engine::collect::withdrawal::Withdrawn;
use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::plan::root_life::Life;
use crate::plan::sweep::{Keeper, Leftover, Limits};
use crate::store::Store;
use crate::store::error::{Class, Error as StoreError};
use crate::store::exclusive::{ExclusiveStore, Left};
use crate::store::guard::Caller;
use crate::store::root::{Root, seconds};
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

/// Why nothing was collected, or not all.
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
    /// Some of what was to go could not be removed.
    #[error("{}", .collection.progress())]
    Incomplete {
        /// What became of everything: what could not be removed is [`Fate::Left`].
        collection: Box<Collection>,
        /// Why: the first error of all.
        source: StoreError,
    },
}

impl Error {
    /// How serious it is.
    pub const fn class(&self) -> Class {
        match self {
            Self::Store(source) | Self::Incomplete { source, .. } => source.class(),
            Self::Refused { .. } => Class::Missing,
        }
    }

    /// The stable code of the diagnostic.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(source) | Self::Incomplete { source, .. } => source.code(),
            Self::Refused { .. } => "gc-refused",
        }
    }

    /// What to do next.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Store(source) | Self::Incomplete { source, .. } => source.help(),
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
    /// What left other programs' caches before, or would.
    pub withdrawn: Vec<Withdrawn>,
}

/// What there is after a collection, and what there may be again.
#[derive(Debug)]
pub struct Staying {
    stored: BTreeSet<Artifact>,
    keepers: Vec<Keeper>,
}

impl Staying {
    fn of(collection: &Collection, keepers: Vec<Keeper>) -> Self {
        let stays = collection.items.iter().filter(|item| !item.fate.removes());
        Self { stored: stays.filter_map(Item::artifact).collect(), keepers }
    }

    /// Whether `artifact` is about to be deleted, or is gone, and nobody wants it.
    pub fn lacks(&self, artifact: Artifact) -> bool {
        !self.stored.contains(&artifact)
            && !self.keepers.iter().any(|keeper| keeper.wanted.contains(&artifact))
    }
}

/// Takes what a collection leaves nothing of out of the caches that it was published to.
pub type Withdraw<'a> = dyn Fn(&ExclusiveStore, &Staying) -> Vec<Withdrawn> + 'a;

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
    /// It was to go, and stays for another time: it could not be removed.
    Left,
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

impl Item {
    /// The artifact, if it is one.
    pub const fn artifact(&self) -> Option<Artifact> {
        match self.what {
            What::Artifact(artifact) => Some(artifact),
            _ => None,
        }
    }
}

impl Collection {
    /// What goes.
    pub fn removed(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.fate.removes())
    }

    /// What of it was removed, and what stays.
    fn progress(&self) -> String {
        let left = self.items.iter().filter(|item| item.fate == Fate::Left).count();
        let removed = self.removed().count();
        let all = match removed + left {
            1 => "1 file".to_owned(),
            all => format!("{all} files"),
        };
        match removed {
            0 => format!("nothing was removed of {all}"),
            removed => format!("{removed} of {all} removed, the rest stays for another time"),
        }
    }
}

/// Every root of `store` by its name, whether it is alive at `now`, and why; or why it cannot be read.
pub fn roots(store: &Store, now: SystemTime) -> Result<Vec<RootFile>, StoreError> {
    let (mut found, mut readable) = (Vec::new(), BTreeMap::new());
    for (id, root) in store.root_files()? {
        match root {
            Ok(root) => drop(readable.insert(id, root)),
            Err(error) => found.push((id, Err(error))),
        }
    }
    let lives = lives(&readable, &lock::of_roots(&readable), seconds(now));
    found.extend(readable.into_iter().map(|(id, root)| (id, Ok((root, lives[&id])))));
    found.sort_by_key(|(id, _)| *id);
    Ok(found)
}

/// The name of a root, and what it says and whether it is alive, or why it cannot be read.
pub type RootFile = (Digest, Result<(Root, Life), StoreError>);

/// What [`collect`] would do now, as far as that can be seen without a guard, and what `withdraw` says would be
/// withdrawn before. Writes nothing.
pub fn preview(
    store: &Store,
    request: &Request,
    now: SystemTime,
    withdraw: &dyn Fn(&Staying) -> Vec<Withdrawn>,
) -> Result<Collection, Error> {
    let survey = store.survey(now)?;
    let locks = lock::of_roots(&survey.roots);
    let Decision { mut collection, keepers, .. } = decide(survey, locks, request, seconds(now))?;
    collection.withdrawn = withdraw(&Staying::of(&collection, keepers));
    Ok(collection)
}

/// Waits until this process is alone with the store, and deletes what `request` asks for, after `withdraw` was
/// told of it.
pub fn collect(
    store: &Store,
    request: &Request,
    now: SystemTime,
    caller: Caller,
    withdraw: &Withdraw<'_>,
) -> Result<Collection, Error> {
    if !store.exists()? {
        return Ok(Collection::default());
    }
    alone(&store.exclusive(caller)?, request, now, withdraw)
}

/// As [`collect`], but `None` where it would have to wait.
pub fn try_collect(
    store: &Store,
    request: &Request,
    now: SystemTime,
    caller: Caller,
    withdraw: &Withdraw<'_>,
) -> Result<Option<Collection>, Error> {
    let exclusive = store.try_exclusive(caller)?;
    exclusive.map(|exclusive| alone(&exclusive, request, now, withdraw)).transpose()
}

fn alone(
    exclusive: &ExclusiveStore,
    request: &Request,
    now: SystemTime,
    withdraw: &Withdraw<'_>,
) -> Result<Collection, Error> {
    let survey = exclusive.survey(now)?;
    let locks = lock::of_roots(&survey.roots);
    let Decision { mut collection, root, keepers } = decide(survey, locks, request, seconds(now))?;
    collection.withdrawn = withdraw(exclusive, &Staying::of(&collection, keepers));
    let failed = apply(exclusive, &collection);
    let left: BTreeSet<&What> = failed.iter().flat_map(|(left, _)| left).collect();
    for item in collection.items.iter_mut().filter(|item| left.contains(&item.what)) {
        item.fate = Fate::Left;
    }
    if let Some((_, source)) = failed.into_iter().next() {
        return Err(Error::Incomplete { collection: Box::new(collection), source });
    }
    if let Some((id, root)) = root {
        exclusive.replace_root(id, &root)?;
    }
    Ok(collection)
}

/// Deletes what goes. What cannot be deleted does not keep the rest; it is the answer, with each error.
fn apply(exclusive: &ExclusiveStore, collection: &Collection) -> Vec<(Vec<What>, StoreError)> {
    let mut artifacts = BTreeSet::new();
    let mut leftovers = Vec::new();
    let mut failed = Vec::new();
    for item in collection.removed() {
        let removed = match &item.what {
            What::Root { id, .. } => exclusive.remove_root(*id),
            What::Lease(name) => exclusive.remove_lease(name),
            What::Artifact(artifact) => {
                artifacts.insert(*artifact);
                Ok(())
            }
            What::Leftover(leftover) => {
                leftovers.push(leftover);
                Ok(())
            }
        };
        failed.extend(removed.err().map(|error| (vec![item.what.clone()], error)));
    }
    if let Err(Left { artifacts, source }) = exclusive.remove(&artifacts) {
        failed.push((artifacts.into_iter().map(What::Artifact).collect(), source));
    }
    for leftover in leftovers {
        let removed = exclusive.remove_leftover(leftover);
        let left = || vec![What::Leftover(leftover.clone())];
        failed.extend(removed.err().map(|error| (left(), error)));
    }
    failed
}
