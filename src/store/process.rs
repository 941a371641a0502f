//! Processes, so that a number that the kernel has given again is not taken for who had it before.
//!
//! A process is named by its number, when it started, the boot it started in, and the namespace in which the
//! number counts (proc(5), `pid_namespaces(7)`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::store::error::Error;

/// One process of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, in its namespace.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// The machine's boot.
    pub boot: String,
    /// The inode of its PID namespace.
    pub namespace: u64,
}

/// Whether a process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is.
    Alive,
    /// It ended, or the machine has been started anew.
    Ended,
    /// It is of a namespace that this process does not see.
    Alien,
}

impl Process {
    /// The living process that has this number here; `None` if there is none.
    pub fn find(pid: u32) -> Result<Option<Self>, Error> {
        let Some(started) = started(pid)? else {
            return Ok(None);
        };
        Ok(Some(Self { pid, started, boot: boot()?, namespace: namespace()? }))
    }

    /// Whether it is there.
    pub(super) fn presence(&self) -> Result<Presence, Error> {
        if self.boot != boot()? {
            return Ok(Presence::Ended);
        }
        if self.namespace != namespace()? {
            return Ok(Presence::Alien);
        }
        Ok(match started(self.pid)? {
            Some(started) if started == self.started => Presence::Alive,
            None if is_hidden(self.pid) => Presence::Alive,
            Some(_) | None => Presence::Ended,
        })
    }
}

/// When the process started; `None` if there is none, or only what its parent has not asked for.
fn started(pid: u32) -> Result<Option<u64>, Error> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // `ESRCH`: it ended between open and read.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    Ok(parse_stat(&text))
}

/// The start time in the text of `/proc/PID/stat`, unless the process is a zombie or dead. Its second field
/// is a name in parentheses that may hold anything, so fields are counted from the last of them.
fn parse_stat(text: &str) -> Option<u64> {
    /// `starttime` is field 22, and the first behind the name is field 3.
    const START_BEHIND_NAME: usize = 22 - 3;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if matches!(fields.clone().next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(START_BEHIND_NAME)?.parse().ok()
}

/// Whether a process has this number and `/proc` does not show it (`hidepid`).
fn is_hidden(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::PERM))
}

/// The name of this boot of the machine.
fn boot() -> Result<String, Error> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(PATH).map_err(|error| Error::io("read", PATH, error))?;
    Ok(text.trim_end().to_owned())
}

/// The namespace in which this process sees numbers.
fn namespace() -> Result<u64, Error> {
    const PATH: &str = "/proc/self/ns/pid";
    let metadata = fs::metadata(PATH).map_err(|error| Error::io("look at", PATH, error))?;
    Ok(metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_with_its_number_is_not() {
        let this = Process::find(std::process::id()).unwrap().unwrap();
        let presence = |process: Process| process.presence().unwrap();
        assert_eq!(presence(this.clone()), Presence::Alive);
        let started = this.started + 1;
        assert_eq!(presence(Process { started, ..this.clone() }), Presence::Ended);
        let boot = "another".to_owned();
        assert_eq!(presence(Process { boot, ..this.clone() }), Presence::Ended);
        assert_eq!(presence(Process { namespace: 1, ..this.clone() }), Presence::Alien);
        let pid = i32::MAX.unsigned_abs();
        assert_eq!(presence(Process { pid, ..this }), Presence::Ended);
        assert_eq!(Process::find(pid).unwrap(), None);
    }

    #[test]
    fn a_name_may_hold_anything_and_a_zombie_has_ended() {
        let stat = |name: &str, state: char| {
            let zeros = "0 ".repeat(18);
            format!("7 ({name}) {state} {zeros}4711 0 0\n")
        };
        for name in ["qemu", "a b", ") R 1 (", "((("] {
            assert_eq!(parse_stat(&stat(name, 'S')), Some(4711), "{name}");
        }
        assert_eq!(parse_stat(&stat("qemu", 'Z')), None);
        assert_eq!(parse_stat("7 (qemu"), None);
    }
}
