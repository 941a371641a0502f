//! What runs that died have left behind, and how it goes.
//!
//! Everything here is told from what is in use by its free lock, not by its age. What cannot be removed now,
//! because it is another user's, something foreign lies in it or the store is read-only, stays: it must not
//! keep a run from its work.

use std::collections::BTreeSet;
use std::path::Path;

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::store::directory::Directory;
use crate::store::error::Error;
use crate::store::guard::{Share, try_lock};
use crate::store::layout::open_version;

/// Removes what dead runs left in the store at `path`, and what is kept of the blobs `complete`, which are
/// not needed any more: a run that died just after it had committed a layer kept its blob for nobody.
pub(super) fn sweep(path: &Path, complete: &BTreeSet<Digest>) -> Result<(), Error> {
    let Some(version) = open_version(path)? else {
        return Ok(());
    };
    if let Some((leases, runs)) = version.descend("leases")?.zip(version.descend("tmp")?) {
        sweep_runs(&leases, &runs)?;
    }
    if let Some(guards) = version.descend("guards")? {
        sweep_guards(&guards)?;
    }
    if let Some(partials) = version.descend("partial")? {
        let is_complete = |name: &str| complete.iter().any(|digest| digest.hex() == name);
        sweep_unlocked(&partials, is_complete)?;
    }
    Ok(())
}

/// Removes the leases and unfinished files of dead runs.
pub(super) fn sweep_runs(leases: &Directory, runs: &Directory) -> Result<(), Error> {
    let names = leases.names()?;
    let lessees = names.iter().filter_map(|name| name.strip_prefix("run-")?.strip_suffix(".json"));
    let directories = runs.names()?;
    let all: BTreeSet<&str> = lessees.chain(directories.iter().map(String::as_str)).collect();
    for run in all.into_iter().filter(|name| is_run_name(name)) {
        let lease = lease_name(run);
        if let Ok(Some(_dead)) = try_lock(leases, &lease, Share::One) {
            let _ = runs.unlink_directory(run).and_then(|()| leases.unlink(&lease));
        }
    }
    Ok(())
}

/// Removes the guard files of artifacts that nobody holds.
pub(super) fn sweep_guards(guards: &Directory) -> Result<(), Error> {
    sweep_unlocked(guards, is_guard_name)
}

/// Removes the files that are `ours` and that nobody has locked.
fn sweep_unlocked(directory: &Directory, ours: impl Fn(&str) -> bool) -> Result<(), Error> {
    for name in directory.names()?.iter().filter(|name| ours(name)) {
        if let Ok(Some(_free)) = try_lock(directory, name, Share::One) {
            let _ = directory.unlink(name);
        }
    }
    Ok(())
}

/// The name of a run's lease in `leases/`.
pub(super) fn lease_name(run: &str) -> String {
    format!("run-{run}.json")
}

/// Whether this program gives such names: a process number and a counter.
fn is_run_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

/// Whether it is the guard of an artifact, and not that of the store.
fn is_guard_name(name: &str) -> bool {
    let Some((kind, hex)) = name.split_once('-') else {
        return false;
    };
    format!("{kind} sha256:{hex}").parse::<Artifact>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_this_program_gives_are_its_own() {
        let hex = Digest::of("x").hex();
        assert!(is_run_name("12-0") && !is_run_name("12") && !is_run_name("-0"));
        assert!(!is_run_name("a-0") && !is_run_name("12-0-1"));
        assert!(is_guard_name(&format!("layer-{hex}")) && is_guard_name(&format!("disk-{hex}")));
        assert!(!is_guard_name("store") && !is_guard_name(&format!("thing-{hex}")));
        assert!(!is_guard_name("layer-12"));
    }
}
