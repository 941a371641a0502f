//! The locks by which microsandbox's processes keep out of each other's way, and we out of theirs.
//!
//! All are advisory (`flock`) on files that are never removed. A lease on an entry is shared by all who read
//! it or publish it. Who deletes it must have it alone and never waits for it: readers hold one lease while
//! they wait for another, so two who waited could wait for each other for ever. The only leases that are
//! waited for alone are those of gates, which nobody holds for long.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::publish::error::Error;
use crate::publish::folder::Folder;
use crate::publish::microsandbox::names::{self, LEASES};
use crate::store::guard::{Caller, Waiting};

/// Between two tries to take a lock.
const POLL: Duration = Duration::from_millis(20);

/// Between two reports of one wait.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    // Held for its lock.
    _file: File,
}

/// Waits until nobody else has the lock `name` of `folder`, and takes it.
pub(super) fn lock(folder: &Folder, name: &str, caller: &Caller) -> Result<Held, Error> {
    wait(folder, name, FlockOperation::NonBlockingLockExclusive, caller)
}

/// Waits until nobody deletes the entry `name` of `folder`, and keeps it from being deleted.
pub(super) fn lease(folder: &Folder, name: &str, caller: &Caller) -> Result<Held, Error> {
    let leases = folder.make(LEASES)?;
    wait(&leases, &names::lease(name), FlockOperation::NonBlockingLockShared, caller)
}

/// Waits until nobody reads by the gate `name` of `folder`, and closes it.
pub(super) fn close(folder: &Folder, name: &str, caller: &Caller) -> Result<Held, Error> {
    let leases = folder.make(LEASES)?;
    wait(&leases, &names::lease(name), FlockOperation::NonBlockingLockExclusive, caller)
}

/// Takes the lease of the entry `name` of `folder` for itself alone; `None` if anybody has it.
pub(super) fn try_alone(folder: &Folder, name: &str) -> Result<Option<Held>, Error> {
    let leases = folder.make(LEASES)?;
    attempt(&leases, &names::lease(name), FlockOperation::NonBlockingLockExclusive)
}

/// As [`lock`], but `None` where it would have to wait.
pub(super) fn try_lock(folder: &Folder, name: &str) -> Result<Option<Held>, Error> {
    attempt(folder, name, FlockOperation::NonBlockingLockExclusive)
}

fn attempt(folder: &Folder, name: &str, how: FlockOperation) -> Result<Option<Held>, Error> {
    let file = folder.lock_file(name)?;
    loop {
        match flock(&file, how) {
            Ok(()) => return Ok(Some(Held { _file: file })),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Error::io("lock", folder.path_of(name), error)),
        }
    }
}

fn wait(folder: &Folder, name: &str, how: FlockOperation, caller: &Caller) -> Result<Held, Error> {
    let start = Instant::now();
    let mut report_at = Duration::ZERO;
    loop {
        if let Some(held) = attempt(folder, name, how)? {
            return Ok(held);
        }
        let waited = start.elapsed();
        let path = folder.path_of(name);
        if waited >= caller.wait_max {
            return Err(Error::Busy { path, waited });
        }
        if waited >= report_at {
            let what = format!("`{}`", path.display());
            (caller.on_wait)(&Waiting { what, holder: None, waited });
            report_at = waited + REPORT_EVERY;
        }
        thread::sleep(POLL.min(caller.wait_max.saturating_sub(waited)));
    }
}
