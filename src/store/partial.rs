//! Downloads that broke off, kept for the next run.
//!
//! What arrives of a large blob, or of any that is to stay, is also written to `partial/<hex>`, without any
//! fsync: a crash of the machine may leave anything there. That does no harm, because the next run reads the
//! file through the same checks as what comes from the network, and drops it if the whole has another digest.
//! The file is locked while it is used, so two runs never write to one.
//!
//! Keeping costs a second write of every byte, so a blob's end is not kept when it comes fast: what would be
//! fetched again in five seconds is not worth it. What is kept is always the blob's beginning, in one piece.
//!
//! One that is whole and was read can become the blob itself: [`Run::keep`](crate::store::run::Run::keep).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::oci::digest::Digest;
use crate::store::directory::Directory;
use crate::store::error::Error;
use crate::store::guard::{Caller, Share, try_lock, wait_for};
use crate::store::layout::Layout;

/// Bytes of a blob that are kept however fast they come: its rate is not known before.
const KEPT_BYTES_MIN: u64 = 16 << 20;

/// How long fetching again what is not kept may take, at the rate so far.
const REFETCH_MAX: Duration = Duration::from_secs(5);

/// How much of what comes is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of it, because the whole blob is wanted.
    Whole,
    /// So much of it that the rest is soon fetched again.
    UntilSoonFetched,
}

/// What is kept of a blob, and room for the rest.
#[derive(Debug)]
pub struct Partial {
    layout: Arc<Layout>,
    name: String,
    file: File,
    bytes_max: u64,
    kept_bytes: u64,
    /// Why not all that came was written.
    failure: Mutex<Option<Error>>,
}

impl Partial {
    /// Takes what is kept of the blob `digest`, if it is at most `bytes_max`: more is no part of it, and dropped.
    /// `None` if another run is using it.
    pub(super) fn open(
        layout: &Arc<Layout>,
        digest: Digest,
        bytes_max: u64,
    ) -> Result<Option<Self>, Error> {
        let file = try_lock(&layout.partials, &digest.hex(), Share::One)?;
        file.map(|file| Self::opened(layout, digest, file, bytes_max)).transpose()
    }

    /// As [`Partial::open`], but waits until no other run is using it.
    pub(super) fn open_alone(
        layout: &Arc<Layout>,
        digest: Digest,
        bytes_max: u64,
        caller: &Caller,
    ) -> Result<Self, Error> {
        let (name, what) = (digest.hex(), format!("the download of {digest}"));
        let file = wait_for(&layout.partials, &name, Share::One, &what, caller)?;
        Self::opened(layout, digest, file, bytes_max)
    }

    fn opened(
        layout: &Arc<Layout>,
        digest: Digest,
        file: File,
        bytes_max: u64,
    ) -> Result<Self, Error> {
        let name = digest.hex();
        let failed = |error| Error::io("read", layout.partials.path_of(&name), error);
        let mut kept_bytes = file.metadata().map_err(failed)?.len();
        if kept_bytes > bytes_max {
            layout.partials.resize(&name, &file, 0)?;
            kept_bytes = 0;
        }
        let failure = Mutex::new(None);
        Ok(Self { layout: Arc::clone(layout), name, file, bytes_max, kept_bytes, failure })
    }

    /// How many bytes were kept when it was opened, from the blob's first on.
    pub const fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// Drops what is kept: the blob is complete, or what is kept is not a part of it.
    pub fn discard(&self) {
        // What stays is checked again before it is used.
        if matches!(self.layout.partials.still_names(&self.name, &self.file), Ok(true)) {
            let _ = self.layout.partials.unlink(&self.name);
        }
    }

    /// The open file, and where it lies.
    pub(super) fn file(&self) -> (&Directory, &str, &File) {
        (&self.layout.partials, &self.name, &self.file)
    }

    /// Makes durable what was read and written through the reader, and answers how much that is. It fails if
    /// not all that came could be written.
    pub(super) fn make_durable(&self) -> Result<u64, Error> {
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let partials = &self.layout.partials;
        // Nobody knows what the disk holds after that, and a second try may tell nothing of it.
        partials.sync_file(&self.name, &self.file).inspect_err(|_| self.discard())?;
        let failed = |error| Error::io("read", partials.path_of(&self.name), error);
        Ok(self.file.metadata().map_err(failed)?.len())
    }

    /// The whole blob: what is kept, then `rest`, which is kept as it comes, as far as `keep` says.
    pub fn reader<R: Read>(self: &Arc<Self>, rest: R, keep: Keep) -> PartialReader<R> {
        let partial = Arc::clone(self);
        PartialReader { partial, rest, keep, position: 0, began: Instant::now(), keeps: true }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            self.discard();
        }
    }
}

/// A blob that comes from a partial file and from elsewhere.
#[derive(Debug)]
pub struct PartialReader<R> {
    partial: Arc<Partial>,
    rest: R,
    keep: Keep,
    position: u64,
    /// When the first byte was asked for.
    began: Instant,
    /// Whether what comes is written to the file: not after that has failed, or has been enough.
    keeps: bool,
}

impl<R> PartialReader<R> {
    /// Whether the file has enough of the blob.
    fn has_enough(&self) -> bool {
        let came = self.position.saturating_sub(self.partial.kept_bytes);
        let left = self.partial.bytes_max.saturating_sub(self.position);
        self.keep == Keep::UntilSoonFetched
            && self.position >= KEPT_BYTES_MIN
            && is_soon_fetched(left, came, self.began.elapsed())
    }
}

/// Whether `left` bytes come within [`REFETCH_MAX`] if `came` bytes took so long.
fn is_soon_fetched(left: u64, came: u64, took: Duration) -> bool {
    took.as_micros() * u128::from(left) <= REFETCH_MAX.as_micros() * u128::from(came)
}

impl<R: Read> Read for PartialReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Partial { layout, name, file, kept_bytes, failure, .. } = &*self.partial;
        let kept = kept_bytes.saturating_sub(self.position).min(buffer.len() as u64);
        let count = if kept > 0 {
            let kept = usize::try_from(kept).map_err(io::Error::other)?;
            match file.read_at(&mut buffer[..kept], self.position)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => count,
            }
        } else {
            let count = self.rest.read(buffer)?;
            self.keeps = self.keeps && !self.has_enough();
            if self.keeps {
                // A full disk is for the layer itself to report, or for who wants the blob to stay.
                let kept = layout.partials.write_at(name, file, &buffer[..count], self.position);
                self.keeps = kept.is_ok();
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = kept.err();
            }
            count
        };
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn open(store: &Path, size_bytes: u64) -> Option<Arc<Partial>> {
        let layout = Arc::new(Layout::make(store, false).unwrap());
        Partial::open(&layout, Digest::of("blob"), size_bytes).unwrap().map(Arc::new)
    }

    fn read(partial: &Arc<Partial>, rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        partial.reader(rest, Keep::UntilSoonFetched).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn names(store: &Path) -> usize {
        fs::read_dir(store.join("v1/partial")).unwrap().count()
    }

    #[test]
    fn what_came_in_one_run_is_there_in_the_next() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(read(&open(store.path(), 8).unwrap(), b"abc"), b"abc");
        let partial = open(store.path(), 8).unwrap();
        assert_eq!(partial.kept_bytes(), 3);
        assert_eq!(read(&partial, b"defgh"), b"abcdefgh");
        partial.discard();
        drop(partial);
        assert_eq!(names(store.path()), 0);
    }

    #[test]
    fn a_blob_that_comes_fast_is_kept_but_for_its_end_and_whole_where_it_is_wanted() {
        let blob = vec![1; 2 * usize::try_from(KEPT_BYTES_MIN).unwrap()];
        for keep in [Keep::UntilSoonFetched, Keep::Whole] {
            let store = tempfile::tempdir().unwrap();
            let partial = open(store.path(), blob.len() as u64).unwrap();
            io::copy(&mut partial.reader(&*blob, keep), &mut io::sink()).unwrap();
            drop(partial);
            let kept_bytes = open(store.path(), blob.len() as u64).unwrap().kept_bytes();
            let is_whole = kept_bytes == blob.len() as u64;
            assert!(kept_bytes >= KEPT_BYTES_MIN && is_whole == (keep == Keep::Whole));
        }
    }

    #[test]
    fn what_took_long_is_not_soon_fetched() {
        let second = Duration::from_secs(1);
        assert!(is_soon_fetched(500, 100, second) && !is_soon_fetched(501, 100, second));
        assert!(is_soon_fetched(0, 0, second) && !is_soon_fetched(1, 0, second));
    }

    #[test]
    fn two_runs_never_share_a_file_and_an_empty_one_goes() {
        let store = tempfile::tempdir().unwrap();
        let partial = open(store.path(), 8).unwrap();
        assert!(open(store.path(), 8).is_none());
        drop(partial);
        assert_eq!(names(store.path()), 0);
    }

    #[test]
    fn more_than_the_blob_has_is_not_a_part_of_it() {
        let store = tempfile::tempdir().unwrap();
        read(&open(store.path(), 8).unwrap(), b"123456789");
        assert_eq!(open(store.path(), 8).unwrap().kept_bytes(), 0);
    }
}
