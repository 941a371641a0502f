//! Leases: what runs under way and virtual machines keep, for as long as they live.
//!
//! A run's lease is locked by the run, so that the kernel says whether it lives. A virtual machine knows
//! nothing of this program: its lease names a process, which is looked for. Where it cannot be seen, because
//! it is of another PID namespace, it counts as alive for a day.

use std::time::{Duration, SystemTime};

use fs4::TryLockError;
use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::directory::{Directory, Found};
use crate::store::error::{Error, KeeperKind};
use crate::store::guard::{Caller, Holder};
use crate::store::keeper::{VERSION, hex_of, read};
use crate::store::process::{Presence, Process};
use crate::store::root::seconds;

/// How long a process that cannot be seen counts as alive.
const ALIEN_KEPT: Duration = Duration::from_hours(24);

/// What a run wrote of itself.
#[derive(Deserialize)]
struct OfRun {
    #[serde(flatten)]
    holder: Holder,
    wanted: Vec<Artifact>,
}

/// What a process was given the paths of.
#[derive(Debug, Serialize, Deserialize)]
struct OfProcess {
    version: u32,
    #[serde(flatten)]
    process: Process,
    /// When it was written, in seconds since 1970.
    since: u64,
    wanted: Vec<Artifact>,
}

/// A lease of somebody who lives, as far as that can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it, in words.
    pub holder: String,
    /// What it keeps.
    pub wanted: Vec<Artifact>,
}

/// What is known of a file in `leases/`.
pub(super) enum State {
    Held(Lease),
    Ended,
    /// It has a name that this program does not give.
    Foreign,
}

impl Store {
    /// Keeps `artifacts`, which must be there, for as long as `process` lives. Waits for who deletes.
    pub fn lease(
        &self,
        process: &Process,
        artifacts: &[Artifact],
        now: SystemTime,
        caller: Caller,
    ) -> Result<(), Error> {
        let run = self.shared()?.begin_run(artifacts, caller)?;
        let present = run.inventory(artifacts)?;
        for artifact in artifacts.iter().filter(|artifact| !present.contains(artifact)) {
            self.open(*artifact)?;
        }
        let lease = OfProcess {
            version: VERSION,
            process: process.clone(),
            since: seconds(now),
            wanted: artifacts.to_vec(),
        };
        run.publish_lease(&lease.name(), &lease.to_json())
    }
}

impl OfProcess {
    /// The same for the same process and artifacts.
    fn name(&self) -> String {
        let Process { pid, started, namespace, .. } = self.process;
        let wanted: Vec<String> = self.wanted.iter().map(Artifact::to_string).collect();
        format!("vm-{namespace}-{pid}-{started}-{}.json", Digest::of(wanted.join("\n")).hex())
    }

    fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("numbers and strings are always JSON");
        json.push(b'\n');
        json
    }

    fn is_held(&self, now: u64) -> Result<bool, Error> {
        Ok(match self.process.presence()? {
            Presence::Alive => true,
            Presence::Ended => false,
            Presence::Alien => now.saturating_sub(self.since) < ALIEN_KEPT.as_secs(),
        })
    }
}

/// Looks at the file `name` among the `leases`.
pub(super) fn look(leases: &Directory, name: &str, now: u64) -> Result<State, Error> {
    if is_run_lease(name) {
        return of_run(leases, name);
    }
    if !is_process_lease(name) {
        return Ok(State::Foreign);
    }
    let Some(lease) = read::<OfProcess>(leases, name, KeeperKind::Lease)? else {
        return Ok(State::Foreign);
    };
    if !lease.is_held(now)? {
        return Ok(State::Ended);
    }
    let holder = format!("process {}", lease.process.pid);
    Ok(State::Held(Lease { holder, wanted: lease.wanted }))
}

fn of_run(leases: &Directory, name: &str) -> Result<State, Error> {
    let file = match leases.find(name)? {
        Found::File(file, _) => file,
        Found::Nothing | Found::Other(_) => return Ok(State::Foreign),
    };
    match fs4::FileExt::try_lock_shared(&file) {
        Ok(()) => return Ok(State::Ended),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => {
            return Err(Error::io("lock", leases.path_of(name), error));
        }
    }
    let Some(OfRun { holder, wanted }) = read(leases, name, KeeperKind::Lease)? else {
        return Ok(State::Foreign);
    };
    Ok(State::Held(Lease { holder: holder.to_string(), wanted }))
}

/// `run-<pid>-<number>.json`
fn is_run_lease(name: &str) -> bool {
    name.strip_prefix("run-")
        .and_then(|rest| rest.strip_suffix(".json"))
        .and_then(|run| run.split_once('-'))
        .is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

/// `vm-<namespace>-<pid>-<start>-<hex>.json`
fn is_process_lease(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("vm-") else {
        return false;
    };
    let mut parts = rest.splitn(4, '-');
    let numbers = parts.by_ref().take(3).filter(|part| is_number(part)).count();
    numbers == 3 && parts.next().is_some_and(|name| hex_of(name, ".json").is_some())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(process: Process) -> OfProcess {
        OfProcess { version: VERSION, process, since: 1_000_000, wanted: Vec::new() }
    }

    fn this() -> Process {
        Process::find(std::process::id()).unwrap().unwrap()
    }

    #[test]
    fn a_lease_has_a_name_that_is_known_again() {
        let name = lease(this()).name();
        assert!(is_process_lease(&name) && !is_run_lease(&name), "{name}");
        assert!(is_run_lease("run-12-0.json"));
        for foreign in ["vm-1.json", "run-12.json", "run--1.json", "notes", "vm-1-2-3-4.json"] {
            assert!(!is_process_lease(foreign) && !is_run_lease(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_process_of_another_namespace_counts_as_alive_for_a_day() {
        let day = ALIEN_KEPT.as_secs();
        let alien = lease(Process { namespace: 1, ..this() });
        let held = |now| alien.is_held(now).unwrap();
        assert!(held(1_000_000) && held(1_000_000 + day - 1) && held(5), "also by a wrong clock");
        assert!(!held(1_000_000 + day));
        assert!(lease(this()).is_held(u64::MAX).unwrap(), "who is seen needs no clock");
    }
}
