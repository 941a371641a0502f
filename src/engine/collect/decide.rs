//! From what lies in a store and who keeps it to the fate of each thing. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::engine::collect::{Collection, Error, Fate, Item, Request, ThisProject, What};
use crate::oci::digest::Digest;
use crate::plan::root_life::{Life, LockFile, RootFacts};
use crate::plan::sweep::{Held, Keep, Keeper, Scope, Sweep, Take, Verdict, sweep};
use crate::store::root::Root;
use crate::store::survey::Survey;

#[cfg(test)]
mod tests;

/// What is decided: the fates, and the root of this project if it is to be written anew.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    pub(super) collection: Collection,
    pub(super) root: Option<(Digest, Root)>,
    /// Everybody who keeps something.
    pub(super) keepers: Vec<Keeper>,
}

/// What becomes of everything, by what lies in the store and what the roots' `locks` say.
pub(super) fn decide(
    mut survey: Survey,
    mut locks: BTreeMap<Digest, LockFile>,
    request: &Request,
    now: u64,
) -> Result<Decision, Error> {
    let there: BTreeSet<Digest> = survey.roots.keys().copied().collect();
    let own = request.project().map(|project| project.stand_in(&mut survey, &mut locks, now));
    let lives = lives(&survey.roots, &locks, now);
    if let Request::OnlyThisLock { drop_other_roots: false, .. } = request {
        refuse_others(&survey, &lives, own)?;
    }
    let (keepers, roots) = keepers(&survey, &locks, &lives, request);
    let scope = request.scope(own.and_then(|own| survey.roots.get(&own)));
    let swept = sweep(&survey.holdings, &keepers, &scope, now);
    let root = match (request, own) {
        (Request::Dropped { grace, .. }, Some(own)) => {
            settled(&survey.roots[&own], &swept, roots, *grace, now).map(|root| (own, root))
        }
        _ => None,
    };
    let mut items = Vec::new();
    if !matches!(request, Request::Dropped { .. }) {
        items.extend(root_items(&survey, &there, &lives, request, own));
        let ended = survey.ended_leases.iter().map(|name| Item {
            what: What::Lease(name.clone()),
            size_bytes: 0,
            used: None,
            fate: Fate::Ended,
        });
        items.extend(ended);
    }
    items.extend(swept_items(&survey, &keepers, swept));
    Ok(Decision { collection: Collection { items, withdrawn: Vec::new() }, root, keepers })
}

impl Request {
    const fn project(&self) -> Option<&ThisProject> {
        match self {
            Self::Everything(_) => None,
            Self::OnlyThisLock { project, .. } | Self::Dropped { project, .. } => Some(project),
        }
    }

    /// What may go of what nobody keeps, where `own` is the root of the project that asks.
    fn scope(&self, own: Option<&Root>) -> Scope {
        match self {
            Self::Everything(limits) | Self::OnlyThisLock { limits, .. } => {
                Scope::Everything(*limits)
            }
            Self::Dropped { grace, .. } => {
                let dropped = own.into_iter().flat_map(|root| &root.dropped);
                let dropped = dropped.map(|dropped| (dropped.artifact, dropped.since)).collect();
                Scope::Dropped { dropped, grace: *grace }
            }
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

fn facts<'r>(root: &'r Root, lock: &'r LockFile) -> RootFacts<'r> {
    RootFacts {
        pinned: root.pinned,
        expires: root.expires,
        last_seen: root.last_seen,
        wanted: &root.wanted,
        lock,
    }
}

fn lock_of(locks: &BTreeMap<Digest, LockFile>, id: Digest) -> &LockFile {
    locks.get(&id).unwrap_or(&LockFile::Absent)
}

/// Which roots are alive at `now`, and why.
pub(super) fn lives(
    roots: &BTreeMap<Digest, Root>,
    locks: &BTreeMap<Digest, LockFile>,
    now: u64,
) -> BTreeMap<Digest, Life> {
    let life = |(id, root): (&Digest, &Root)| (*id, facts(root, lock_of(locks, *id)).life(now));
    roots.iter().map(life).collect()
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

/// The roots that are `there`: not one that is yet to be written.
fn root_items(
    survey: &Survey,
    there: &BTreeSet<Digest>,
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
    survey.roots.iter().filter(|(id, _)| there.contains(id)).map(item).collect()
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
