//! A run's own corner of the store: a lease that says it is alive, and a directory for unfinished files.
//!
//! The lease comes first and goes last, and is locked in between. So a directory in `tmp/` whose lease
//! can be locked belongs to a run that died, however young it is, and is swept by the next run; a run
//! that is merely slow, or stopped, is never swept, however old.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Mode;
use serde::Serialize;

use crate::plan::artifact::Artifact;
use crate::store::directory::{Directory, MODE_PLAIN, MODE_SEALED};
use crate::store::error::Error;
use crate::store::guard::{Caller, Share, try_lock};
use crate::store::layout::{CACHE_TAG, Layout, Shelf, file_name_of};
use crate::store::record::Record;
use crate::store::remains::{lease_name, sweep_guards, sweep_runs};

/// Numbers the runs of this process, and within a run its files.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// What a run wants, for those who delete.
#[derive(Serialize)]
struct Lease<'a> {
    version: u32,
    pid: u32,
    command: String,
    wanted: &'a [Artifact],
}

/// A lease and a directory for unfinished files. Dropping it removes both.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) layout: Arc<Layout>,
    pub(super) caller: Caller,
    pub(super) directory: Directory,
    name: String,
    files: AtomicU64,
    // Held for its lock.
    _lease: File,
}

impl Workspace {
    /// Sweeps dead runs, then makes a workspace for a run that wants these artifacts.
    pub(super) fn make(
        layout: Arc<Layout>,
        wanted: &[Artifact],
        caller: Caller,
    ) -> Result<Self, Error> {
        let Layout { leases, runs, guards, .. } = &*layout;
        sweep_runs(leases, runs)?;
        sweep_guards(guards)?;
        let (name, lease) = take_lease(&layout)?;
        let holder = caller.holder();
        let json = Lease { version: 1, pid: holder.pid, command: holder.command, wanted };
        let mut json = serde_json::to_vec(&json).expect("numbers and strings are always JSON");
        json.push(b'\n');
        let file = lease_name(&name);
        layout.leases.resize(&file, &lease, 0)?;
        layout.leases.write_at(&file, &lease, &json, 0)?;
        let workspace = Self {
            directory: layout.runs.make(&name)?,
            layout,
            caller,
            name,
            files: AtomicU64::new(0),
            _lease: lease,
        };
        workspace.mark_as_cache()?;
        Ok(workspace)
    }

    /// A name for a temporary file that this workspace has not given yet.
    pub(super) fn new_name(&self) -> String {
        format!("{}.part", self.files.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a whole small file visible as `name` in `target`, complete and durable.
    pub(super) fn publish_bytes(
        &self,
        bytes: &[u8],
        target: &Directory,
        name: &str,
        mode: Mode,
    ) -> Result<(), Error> {
        let temporary = self.new_name();
        let file = self.directory.create(&temporary)?;
        let published = self
            .directory
            .write_at(&temporary, &file, bytes, 0)
            .and_then(|()| self.directory.sync_file(&temporary, &file))
            .and_then(|()| publish(&self.directory, &temporary, &file, (target, name), mode));
        if published.is_err() {
            // The first error is the one to report, and the run's end removes what is left here.
            let _ = self.directory.unlink(&temporary);
        }
        published
    }

    /// Takes an artifact that cannot be used out of the store: its record first, so that at no moment a
    /// record stands for another file than its own. What was damaged after its commit is kept in
    /// `quarantine/`, as is what is no regular file: whoever put it there may want it back. A file that
    /// never had a record is the rest of an unfinished commit, and the next one replaces it.
    pub(super) fn retire(&self, artifact: Artifact) -> Result<(), Error> {
        let Shelf { files, records } = self.layout.shelf(artifact);
        let (name, record) = (file_name_of(artifact), Record::name_of(artifact));
        let recorded = records.has(&record)?;
        if recorded {
            self.quarantine(records, &record, artifact)?;
            records.sync()?;
        }
        if files.has_other_than_file(&name)? || (recorded && files.has(&name)?) {
            self.quarantine(files, &name, artifact)?;
        }
        Ok(())
    }

    fn quarantine(&self, from: &Directory, name: &str, artifact: Artifact) -> Result<(), Error> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let aside = format!("{}-{name}.{}-{number}", artifact.kind(), self.name);
        from.rename(name, &self.layout.quarantine, &aside)
    }

    /// Backup programs leave a directory with this file alone.
    fn mark_as_cache(&self) -> Result<(), Error> {
        let (name, text) = CACHE_TAG;
        let store = &self.layout.store;
        if store.has(name)? {
            return Ok(());
        }
        self.publish_bytes(text.as_bytes(), store, name, MODE_PLAIN)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What stays is swept by a later run: its lease is free as soon as this process ends.
        let _ = self.layout.runs.unlink_directory(&self.name);
        let _ = self.layout.leases.unlink(&lease_name(&self.name));
    }
}

/// Makes a file in `from` visible under another name in another directory. Its bytes are durable already, so a
/// crash at any moment leaves the old file or the whole new one. After a failed fsync nobody can say what
/// the disk holds, and a second try may succeed without having written anything. So the name of an
/// artifact or a record is taken back: it says that something is there for good. A root or a lease
/// stays: it keeps things, and without it they could be deleted before the next run writes it again.
pub(super) fn publish(
    from: &Directory,
    temporary: &str,
    file: &File,
    (target, name): (&Directory, &str),
    mode: Mode,
) -> Result<(), Error> {
    from.set_mode(temporary, file, mode)?;
    from.rename(temporary, target, name)?;
    target.sync().inspect_err(|_| {
        if mode == MODE_SEALED {
            // The first error is the one to report.
            let _ = target.unlink(name);
        }
    })
}

/// Takes a lease under a name that no living run has.
fn take_lease(layout: &Layout) -> Result<(String, File), Error> {
    loop {
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        if let Some(lease) = try_lock(&layout.leases, &lease_name(&name), Share::One)? {
            layout.runs.unlink_directory(&name)?;
            return Ok((name, lease));
        }
    }
}
