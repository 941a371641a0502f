//! Guards: who may do what at the same time, across threads and processes.
//!
//! A guard is an advisory lock (`flock`) on a file in `guards/`. The kernel frees it when its holder dies,
//! so nothing is judged by age. The shared guard of the whole store is held for a scan and for each
//! commit; whoever deletes must hold it alone. An artifact's guard is held while the artifact is fetched
//! or built, so that this happens once, whatever the number of processes.
//!
//! A guard file holds a few words about its holder, for those who wait. An artifact's guard file is
//! removed by its holder. Whoever waited for the removed file then holds a lock that nobody else will
//! ever see; that is noticed by comparing the open file with the named one, and the guard is taken anew.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fs4::TryLockError;
use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::store::directory::{Directory, Found};
use crate::store::error::Error;
use crate::store::layout::Layout;

/// Between two tries to take a guard: short beside what guards are held for, and no load.
const POLL: Duration = Duration::from_millis(20);

/// Between two reports of one wait.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Bytes of a guard file that are read: a process number and the start of a command line.
const HOLDER_BYTES_MAX: usize = 1024;

/// Characters of a command that are written into a guard file.
const COMMAND_CHARS_MAX: usize = 200;

/// The guard of the whole store.
const STORE: &str = "store";

/// On whose behalf the store is used, and what to do when another process is in the way.
#[derive(Clone)]
pub struct Caller {
    /// What the user ran, such as `sandbox-images sync`: shown to those who wait for this process.
    pub command: String,
    /// How long to wait for a guard.
    pub wait_max: Duration,
    /// Called when a wait begins and every second while it lasts.
    pub on_wait: Arc<dyn Fn(&Waiting) + Send + Sync>,
}

impl Caller {
    /// One who is told nothing while it waits.
    pub fn quiet(command: &str, wait_max: Duration) -> Self {
        Self { command: command.to_owned(), wait_max, on_wait: Arc::new(|_| ()) }
    }

    /// How this process signs what it holds.
    pub(super) fn holder(&self) -> Holder {
        Holder {
            pid: std::process::id(),
            command: self.command.chars().take(COMMAND_CHARS_MAX).collect(),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("command", &self.command)
            .field("wait_max", &self.wait_max)
            .finish_non_exhaustive()
    }
}

/// A wait for another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What is guarded, such as `layer sha256:…`.
    pub what: String,
    /// Who holds it. `None` in the moment between taking a guard and signing it.
    pub holder: Option<Holder>,
    /// For how long this process has waited.
    pub waited: Duration,
}

/// Who holds a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process number, in its own namespace.
    pub pid: u32,
    /// What its user ran.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (`{}`)", self.pid, self.command.escape_debug())
    }
}

/// Proof that this process alone works on an artifact, until it is dropped.
#[derive(Debug)]
pub struct ArtifactGuard {
    artifact: Artifact,
    layout: Arc<Layout>,
    file: File,
}

impl ArtifactGuard {
    /// Waits for the guard of `artifact`.
    pub(super) fn take(
        layout: &Arc<Layout>,
        artifact: Artifact,
        caller: &Caller,
    ) -> Result<Self, Error> {
        let name = guard_name(artifact);
        let file = wait_for(&layout.guards, &name, Share::One, &artifact.to_string(), caller)?;
        sign(&layout.guards, &name, &file, caller);
        Ok(Self { artifact, layout: Arc::clone(layout), file })
    }

    /// What it guards.
    pub const fn artifact(&self) -> Artifact {
        self.artifact
    }
}

impl Drop for ArtifactGuard {
    fn drop(&mut self) {
        let (guards, name) = (&self.layout.guards, guard_name(self.artifact));
        // Whoever removed our file may have let somebody else take the guard: theirs is not ours to
        // remove. A guard file that stays is found unlocked by the next one who needs it, and taken.
        if matches!(guards.still_names(&name, &self.file), Ok(true)) {
            let _ = guards.unlink(&name);
        }
    }
}

fn guard_name(artifact: Artifact) -> String {
    format!("{}-{}", artifact.kind(), artifact.digest().hex())
}

/// Proof that nobody deletes from the store, until it is dropped.
#[derive(Debug)]
pub(super) struct SharedGuard {
    // Held for its lock.
    _file: File,
}

impl SharedGuard {
    /// Waits for whoever deletes.
    pub(super) fn take(layout: &Layout, caller: &Caller) -> Result<Self, Error> {
        let file = wait_for(&layout.guards, STORE, Share::Many, "the store", caller)?;
        Ok(Self { _file: file })
    }
}

/// Proof that nobody plans by the store or commits to it, until it is dropped.
#[derive(Debug)]
pub(super) struct ExclusiveGuard {
    layout: Arc<Layout>,
    // Held for its lock.
    file: File,
}

impl ExclusiveGuard {
    /// Waits for all who plan or commit.
    pub(super) fn take(layout: &Arc<Layout>, caller: &Caller) -> Result<Self, Error> {
        let file = wait_for(&layout.guards, STORE, Share::One, "the store", caller)?;
        Ok(Self::signed(layout, file, caller))
    }

    /// As [`ExclusiveGuard::take`], but `None` where it would have to wait.
    pub(super) fn try_take(layout: &Arc<Layout>, caller: &Caller) -> Result<Option<Self>, Error> {
        let file = try_lock(&layout.guards, STORE, Share::One)?;
        Ok(file.map(|file| Self::signed(layout, file, caller)))
    }

    fn signed(layout: &Arc<Layout>, file: File, caller: &Caller) -> Self {
        sign(&layout.guards, STORE, &file, caller);
        Self { layout: Arc::clone(layout), file }
    }
}

impl Drop for ExclusiveGuard {
    fn drop(&mut self) {
        // Who holds the guard with others does not sign it: they must not be taken for this one.
        let _ = self.layout.guards.resize(STORE, &self.file, 0);
    }
}

/// Proof that this process alone publishes to a place, or withdraws from it, until it is dropped.
#[derive(Debug)]
pub(super) struct PublicationGuard {
    layout: Arc<Layout>,
    name: String,
    // Held for its lock.
    file: File,
}

impl PublicationGuard {
    /// Waits for whoever publishes to the place `id`.
    pub(super) fn take(layout: &Arc<Layout>, id: Digest, caller: &Caller) -> Result<Self, Error> {
        let name = publication_guard_name(id);
        let file = wait_for(&layout.guards, &name, Share::One, "a place to publish to", caller)?;
        Ok(Self::signed(layout, name, file, caller))
    }

    /// As [`PublicationGuard::take`], but `None` where it would have to wait.
    pub(super) fn try_take(
        layout: &Arc<Layout>,
        id: Digest,
        caller: &Caller,
    ) -> Result<Option<Self>, Error> {
        let name = publication_guard_name(id);
        let file = try_lock(&layout.guards, &name, Share::One)?;
        Ok(file.map(|file| Self::signed(layout, name, file, caller)))
    }

    fn signed(layout: &Arc<Layout>, name: String, file: File, caller: &Caller) -> Self {
        sign(&layout.guards, &name, &file, caller);
        Self { layout: Arc::clone(layout), name, file }
    }
}

impl Drop for PublicationGuard {
    fn drop(&mut self) {
        // What is not done costs nothing: the next holder signs over it.
        let _ = self.layout.guards.resize(&self.name, &self.file, 0);
    }
}

/// There are as many of these files as places that were ever published to, so they stay.
fn publication_guard_name(id: Digest) -> String {
    format!("publication-{}", id.hex())
}

/// Writes into a guard file who holds it. The lock is the guard and the text a courtesy: a full disk is for
/// the commit to report.
fn sign(guards: &Directory, name: &str, file: &File, caller: &Caller) {
    let json = serde_json::to_vec(&caller.holder()).expect("numbers and strings are always JSON");
    let _ = guards.resize(name, file, 0).and_then(|()| guards.write_at(name, file, &json, 0));
}

/// With whom a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// With all who hold it so too.
    Many,
    /// With nobody.
    One,
}

/// Takes the lock on `name`, or answers `None` if somebody else has it.
pub(super) fn try_lock(
    directory: &Directory,
    name: &str,
    share: Share,
) -> Result<Option<File>, Error> {
    loop {
        let file = directory.open_shared(name)?;
        let locked = match share {
            Share::Many => fs4::FileExt::try_lock_shared(&file),
            Share::One => fs4::FileExt::try_lock(&file),
        };
        match locked {
            Ok(()) if directory.still_names(name, &file)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => {
                return Err(Error::io("lock", directory.path_of(name), error));
            }
        }
    }
}

/// Waits for the lock on `name`, which is `what`.
pub(super) fn wait_for(
    directory: &Directory,
    name: &str,
    share: Share,
    what: &str,
    caller: &Caller,
) -> Result<File, Error> {
    let start = Instant::now();
    let mut report_at = Duration::ZERO;
    loop {
        if let Some(file) = try_lock(directory, name, share)? {
            return Ok(file);
        }
        let waited = start.elapsed();
        let waiting = || {
            let holder = holder_of(directory, name);
            Waiting { what: what.to_owned(), holder, waited }
        };
        if waited >= caller.wait_max {
            return Err(gave_up(waiting()));
        }
        if waited >= report_at {
            (caller.on_wait)(&waiting());
            report_at = waited + REPORT_EVERY;
        }
        thread::sleep(POLL.min(caller.wait_max.saturating_sub(waited)));
    }
}

fn gave_up(Waiting { what, holder, waited }: Waiting) -> Error {
    let holder = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
    Error::Busy { what, holder, waited }
}

/// Who signed the guard file, if that can be read.
fn holder_of(directory: &Directory, name: &str) -> Option<Holder> {
    let Ok(Found::File(file, _)) = directory.find(name) else {
        return None;
    };
    let mut bytes = [0; HOLDER_BYTES_MAX];
    let count = file.read_at(&mut bytes, 0).ok()?;
    serde_json::from_slice(&bytes[..count]).ok()
}
