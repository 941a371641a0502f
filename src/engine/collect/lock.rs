//! What the locks of roots say now.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use rustix::fs::OFlags;

use crate::oci::digest::Digest;
use crate::plan::root_life::LockFile;
use crate::plan::selection::Selection;
use crate::plan::wanted;
use crate::spec::lockfile::{FILE_BYTES_MAX, Lock};
use crate::store::root::Root;

/// The lock of each root, read on all processors. What is of no project has none.
pub(super) fn of_roots(roots: &BTreeMap<Digest, Root>) -> BTreeMap<Digest, LockFile> {
    let projects = roots.iter().filter(|(_, root)| root.expires.is_none());
    let look = |(id, root): (&Digest, &Root)| {
        let path = Path::new(&root.lock);
        // A path that is no UTF-8 is written with signs in place of what is none, and leads nowhere.
        let is_whole = !root.lock.contains(char::REPLACEMENT_CHARACTER);
        (*id, if is_whole { look_at(path) } else { LockFile::Unreadable })
    };
    let projects: Vec<(&Digest, &Root)> = projects.collect();
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let part_len = projects.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let look_at_all = |part: &[(&Digest, &Root)]| part.iter().map(|one| look(*one)).collect();
        let parts = projects.chunks(part_len);
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || look_at_all(part))).collect();
        let joined = parts.into_iter().map(|part| part.join().unwrap_or_else(|p| resume_unwind(p)));
        joined.flat_map(|locks: Vec<(Digest, LockFile)>| locks).collect()
    })
}

/// What lies at `path`. Only that nothing lies there means that there is nothing: who may not look, finds
/// markers of a merge or a newer lock does not know what is wanted.
fn look_at(path: &Path) -> LockFile {
    match read(path) {
        Ok(text) => Lock::parse(&text).map_or(LockFile::Unreadable, |lock| {
            LockFile::Names(wanted(&lock, &Selection::everything(&lock)))
        }),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            LockFile::Absent
        }
        Err(_) => LockFile::Unreadable,
    }
}

/// The text of a file of at most a lock's size. A path in a root is a hint, and may lead to anything now: a
/// FIFO must not stop the program.
fn read(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}
