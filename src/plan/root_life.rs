//! Whether a root still speaks for somebody. No I/O: what is known of the root and of its lock comes in.
//!
//! A wrong clock must cost at most a fetch. So a time that lies in the future counts as now, and nothing that
//! a lock still names depends on a time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::plan::artifact::Artifact;

/// How long a root whose lock cannot be found keeps what it wants: a project that is moved, or whose disk is
/// away, is synced again within a month, or it is fetched again.
pub const SEEN_KEPT: Duration = Duration::from_hours(30 * 24);

/// What is known of a root. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFacts<'r> {
    /// Somebody said that it stays.
    pub pinned: bool,
    /// When it ends, if it is of no project.
    pub expires: Option<u64>,
    /// When its project was last synced.
    pub last_seen: u64,
    /// What it wanted then.
    pub wanted: &'r BTreeSet<Artifact>,
    /// What its lock says now.
    pub lock: &'r LockFile,
}

/// What is found where a root says that its lock is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockFile {
    /// Nothing.
    Absent,
    /// A lock that names these.
    Names(BTreeSet<Artifact>),
    /// Something that cannot be read, or not as a lock: somebody is at work there.
    Unreadable,
}

/// Why a root keeps what it wants, or that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Life {
    /// It is pinned.
    Pinned,
    /// Its lock is there.
    Lock,
    /// It is of no project, and ends then.
    Expires {
        /// Seconds since 1970.
        at: u64,
    },
    /// Its lock is not there, but was lately. It ends then.
    Seen {
        /// Seconds since 1970.
        until: u64,
    },
    /// It keeps nothing.
    Ended,
}

impl Life {
    /// Whether it keeps what it wants.
    pub fn is_alive(self) -> bool {
        self != Self::Ended
    }
}

impl RootFacts<'_> {
    /// Whether the root is alive at `now`, and why.
    pub fn life(&self, now: u64) -> Life {
        if self.pinned {
            return Life::Pinned;
        }
        if let Some(at) = self.expires {
            return if now < at { Life::Expires { at } } else { Life::Ended };
        }
        if *self.lock != LockFile::Absent {
            return Life::Lock;
        }
        let until = self.last_seen.saturating_add(SEEN_KEPT.as_secs());
        if now <= until { Life::Seen { until } } else { Life::Ended }
    }

    /// What it keeps: what it wanted when it was written, and what its lock names now.
    pub fn keeps(&self) -> BTreeSet<Artifact> {
        match self.lock {
            LockFile::Names(named) => self.wanted | named,
            LockFile::Absent | LockFile::Unreadable => self.wanted.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;

    const DAY: u64 = 24 * 60 * 60;
    const YEAR: u64 = 365 * DAY;

    static NOTHING: BTreeSet<Artifact> = BTreeSet::new();

    fn root() -> RootFacts<'static> {
        RootFacts {
            pinned: false,
            expires: None,
            last_seen: 20 * YEAR,
            wanted: &NOTHING,
            lock: &LockFile::Absent,
        }
    }

    #[test]
    fn a_root_without_a_lock_lives_for_thirty_days() {
        let until = 20 * YEAR + 30 * DAY;
        assert_eq!(root().life(20 * YEAR), Life::Seen { until });
        assert_eq!(root().life(until), Life::Seen { until });
        assert_eq!(root().life(until + 1), Life::Ended);
    }

    #[test]
    fn no_clock_ends_what_has_a_lock_or_is_pinned() {
        for now in [0, 10 * YEAR, 30 * YEAR, u64::MAX] {
            for lock in [LockFile::Unreadable, LockFile::Names(BTreeSet::new())] {
                assert_eq!(RootFacts { lock: &lock, ..root() }.life(now), Life::Lock);
            }
            let pinned = RootFacts { pinned: true, expires: Some(1), ..root() };
            assert_eq!(pinned.life(now), Life::Pinned);
        }
        assert!(root().life(10 * YEAR).is_alive(), "a clock that went back ends nothing");
    }

    #[test]
    fn what_expires_does_so_whatever_lies_there() {
        let lock = LockFile::Unreadable;
        let root = RootFacts { expires: Some(21 * YEAR), lock: &lock, ..root() };
        assert_eq!(root.life(21 * YEAR - 1), Life::Expires { at: 21 * YEAR });
        assert_eq!(root.life(21 * YEAR), Life::Ended);
    }

    #[test]
    fn a_changed_lock_keeps_what_it_names_and_what_was_synced() {
        let [old, new] = ["old", "new"].map(|name| Artifact::Blob(Digest::of(name)));
        let wanted = BTreeSet::from([old]);
        let lock = LockFile::Names(BTreeSet::from([new]));
        let root = RootFacts { wanted: &wanted, lock: &lock, ..root() };
        assert_eq!(root.keeps(), BTreeSet::from([old, new]));
    }
}
