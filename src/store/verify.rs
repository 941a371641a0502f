//! Verification: every byte of every artifact against its record. Writes nothing and heals nothing.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use crate::plan::artifact::Artifact;
use crate::store::error::Error;
use crate::store::layout::Shelves;
use crate::store::presence::{Depth, Verdict, examine};

/// What was found, by artifact.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every artifact that was looked at, with its record or its damage.
    pub verdicts: BTreeMap<Artifact, Verdict>,
}

impl Report {
    /// Whether nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.verdicts.values().all(Result::is_ok)
    }
}

/// Reads `artifacts` on `threads` threads, and tells `on_each` of each as soon as it is known.
pub(super) fn verify(
    shelves: &Shelves,
    artifacts: impl IntoIterator<Item = Artifact>,
    threads: NonZeroUsize,
    on_each: &(dyn Fn(Artifact, &Verdict) + Sync),
) -> Result<Report, Error> {
    let artifacts: Vec<Artifact> = artifacts.into_iter().collect();
    let workers = threads.get().min(artifacts.len());
    let queue = Mutex::new(artifacts.into_iter());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || {
        let mut verdicts = BTreeMap::new();
        while let Some(artifact) = next() {
            let verdict = examine(shelves, artifact, Depth::Full)?.map(|(record, _)| record);
            on_each(artifact, &verdict);
            verdicts.insert(artifact, verdict);
        }
        Ok(verdicts)
    };
    let parts: Vec<Result<BTreeMap<_, _>, Error>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut report = Report::default();
    for part in parts {
        report.verdicts.extend(part?);
    }
    Ok(report)
}
