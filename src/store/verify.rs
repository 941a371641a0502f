//! Verification: every byte of every artifact against its record. Writes nothing and heals nothing.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use crate::plan::artifact::Artifact;
use crate::store::error::Error;
use crate::store::layout::{Shelves, file_name_of};
use crate::store::presence::{Depth, Verdict, examine_telling};

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

/// What is told while artifacts are read.
#[derive(Debug)]
pub enum Told<'a> {
    /// It begins: so many bytes are to be read, holes counted.
    Begun {
        /// Bytes of all files.
        size_bytes: u64,
    },
    /// So many bytes more are behind it.
    Read(u64),
    /// This is known of an artifact.
    Known(Artifact, &'a Verdict),
}

/// Who is told, by several threads at once.
pub type Tell<'a> = dyn Fn(Told<'_>) + Sync + 'a;

/// Reads `artifacts` on `threads` threads.
pub(super) fn verify(
    shelves: &Shelves,
    artifacts: impl IntoIterator<Item = Artifact>,
    threads: NonZeroUsize,
    tell: &Tell<'_>,
) -> Result<Report, Error> {
    let artifacts: Vec<(Artifact, u64)> =
        artifacts.into_iter().map(|artifact| (artifact, size_of(shelves, artifact))).collect();
    let size_bytes = artifacts.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    tell(Told::Begun { size_bytes });
    let workers = threads.get().min(artifacts.len());
    let queue = Mutex::new(artifacts.into_iter());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || {
        let mut verdicts = BTreeMap::new();
        while let Some((artifact, size_bytes)) = next() {
            let left = Cell::new(size_bytes);
            let on_read = |bytes: u64| {
                left.set(left.get().saturating_sub(bytes));
                tell(Told::Read(bytes));
            };
            let seen = examine_telling(shelves, artifact, Depth::Full, &on_read)?;
            // What cannot be used need not be read.
            tell(Told::Read(left.get()));
            let verdict = seen.map(|(record, _)| record);
            tell(Told::Known(artifact, &verdict));
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

/// Bytes of an artifact's file; none where that cannot be told, which its verdict will say.
fn size_of(shelves: &Shelves, artifact: Artifact) -> u64 {
    let facts = shelves.of(artifact).map(|shelf| shelf.files.facts(&file_name_of(artifact)));
    facts.and_then(Result::ok).flatten().map_or(0, |facts| facts.size_bytes)
}
