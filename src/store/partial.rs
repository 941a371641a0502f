//! Downloads that broke off, kept for the next run.
//!
//! What arrives of a large blob is also written to `partial/<hex>`, without any fsync: a crash of the
//! machine may leave anything there. That does no harm, because the next run reads the file through the
//! same checks as what comes from the network, and drops it if the whole has another digest. The file is
//! locked while it is used, so two runs never write to one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::oci::digest::Digest;
use crate::store::error::Error;
use crate::store::guard::{Share, try_lock};
use crate::store::layout::Layout;

/// What is kept of a blob, and room for the rest.
#[derive(Debug)]
pub struct Partial {
    layout: Arc<Layout>,
    name: String,
    file: File,
    kept_bytes: u64,
}

impl Partial {
    /// Takes what is kept of the blob `digest` of `size_bytes`; `None` if another run is using it.
    pub(super) fn open(
        layout: &Arc<Layout>,
        digest: Digest,
        size_bytes: u64,
    ) -> Result<Option<Self>, Error> {
        let name = digest.hex();
        let Some(file) = try_lock(&layout.partials, &name, Share::One)? else {
            return Ok(None);
        };
        let failed = |error| Error::io("read", layout.partials.path_of(&name), error);
        let mut kept_bytes = file.metadata().map_err(failed)?.len();
        if kept_bytes > size_bytes {
            layout.partials.resize(&name, &file, 0)?;
            kept_bytes = 0;
        }
        Ok(Some(Self { layout: Arc::clone(layout), name, file, kept_bytes }))
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

    /// The whole blob: what is kept, then `rest`, which is kept as it comes.
    pub fn reader<R: Read>(self: &Arc<Self>, rest: R) -> PartialReader<R> {
        PartialReader { partial: Arc::clone(self), rest, position: 0, keeps: true }
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
    position: u64,
    /// Whether what comes is written to the file: not after that has failed.
    keeps: bool,
}

impl<R: Read> Read for PartialReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Partial { layout, name, file, kept_bytes } = &*self.partial;
        let kept = kept_bytes.saturating_sub(self.position).min(buffer.len() as u64);
        let count = if kept > 0 {
            let kept = usize::try_from(kept).map_err(io::Error::other)?;
            match file.read_at(&mut buffer[..kept], self.position)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => count,
            }
        } else {
            let count = self.rest.read(buffer)?;
            // A full disk is for the layer itself to report.
            let keep = || layout.partials.write_at(name, file, &buffer[..count], self.position);
            self.keeps = self.keeps && keep().is_ok();
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
        partial.reader(rest).read_to_end(&mut bytes).unwrap();
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
