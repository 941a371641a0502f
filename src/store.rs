//! Files on disk: everything that was fetched or built, and nothing else.
//!
//! A store has no database: an artifact's name says what it is, and a record beside it says that it is
//! there, complete and durable. [`Store`] reads, and makes nothing. [`Store::shared`] leads to a
//! [`SharedStore`], whose runs add; their order of writes is written down in [`ingest`]. [`Store::exclusive`]
//! leads to an [`ExclusiveStore`](exclusive::ExclusiveStore), which alone deletes.
//!
//! All calls block. Nothing here reads the time of day or the environment: both are passed in.

pub mod content;

pub mod error;

pub mod failpoint;

mod directory;

pub mod record;

mod piecewise;

mod uncached;

mod layout;

pub mod presence;

pub mod stored;

pub mod reader;

pub mod guard;

mod remains;

mod space;

mod workspace;

pub mod partial;

pub mod ingest;

pub mod run;

mod keeper;

pub mod root;

pub mod pulled;

pub mod process;

pub mod lease;

pub mod survey;

pub mod exclusive;

pub mod publication;

pub mod verify;

mod remove_tree;

pub mod unfinished;

pub mod replace;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;

use self::directory::{Directory, Found};
use self::error::{Error, KeeperKind};
use self::guard::Caller;
use self::layout::{Layout, Shelf, Shelves};
use self::presence::Verdict;
use self::reader::Reader;
use self::record::Record;
use self::root::Root;
use self::run::SharedStore;
use self::stored::StoredFile;
use self::verify::{Report, Tell};
use crate::oci::digest::Digest;
use crate::plan::artifact::{Artifact, Inventory};

/// The last use of an artifact is noted at most this often: most runs write nothing.
const TOUCH_EVERY: Duration = Duration::from_hours(24);

/// The name of a root, and what it says or why it cannot be read.
pub type RootFile = (Digest, Result<Root, Error>);

/// A directory that holds artifacts, or will. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    path: PathBuf,
    allows_foreign_owner: bool,
    keeps_blobs: bool,
}

impl Store {
    /// The store at `path`. Does no I/O.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), allows_foreign_owner: false, keeps_blobs: false }
    }

    /// The same, to be added to also if it belongs to another user, who may change anything in it at any
    /// time. Reading needs no such word: what is served fits the records.
    #[must_use]
    pub fn allow_foreign_owner(self) -> Self {
        Self { allows_foreign_owner: true, ..self }
    }

    /// The same, in which compressed layers that are fetched stay as blobs beside the images that are built of
    /// them.
    #[must_use]
    pub fn keep_blobs(self) -> Self {
        Self { keeps_blobs: true, ..self }
    }

    /// Whether compressed layers that are fetched stay.
    pub const fn keeps_blobs(&self) -> bool {
        self.keeps_blobs
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything was ever put into it.
    pub fn exists(&self) -> Result<bool, Error> {
        layout::open_version(&self.path).map(|version| version.is_some())
    }

    /// Where the file of `artifact` lies, or would lie.
    pub fn path_of(&self, artifact: Artifact) -> PathBuf {
        layout::path_of(&self.path, artifact)
    }

    /// The store with its directories open. Who looks at many artifacts opens them once.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open_store(self.path.clone())
    }

    /// As [`Reader::inventory`].
    pub fn inventory(
        &self,
        wanted: impl IntoIterator<Item = Artifact>,
    ) -> Result<Inventory, Error> {
        self.reader()?.inventory(wanted)
    }

    /// Everything that has a record, looked at as closely as [`Reader::inventory`] does.
    pub fn scan(&self) -> Result<BTreeMap<Artifact, Verdict>, Error> {
        let reader = self.reader()?;
        let look = |artifact| Ok((artifact, reader.look(artifact)?));
        reader.shelves().recorded()?.into_iter().map(look).collect()
    }

    /// Every artifact that has a record, good or bad.
    pub fn recorded(&self) -> Result<Vec<Artifact>, Error> {
        self.reader()?.shelves().recorded()
    }

    /// As [`Reader::open`].
    pub fn open(&self, artifact: Artifact) -> Result<StoredFile, Error> {
        self.reader()?.open(artifact)
    }

    /// As [`Reader::open_whole`].
    pub fn open_whole(&self, artifact: Artifact) -> Result<StoredFile, Error> {
        self.reader()?.open_whole(artifact)
    }

    /// As [`Reader::read_blob`].
    pub fn read_blob(&self, digest: Digest, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        self.reader()?.read_blob(digest, limit_bytes)
    }

    /// Whether as many bytes of the blob `digest` were kept as it has. Only who reads them knows if they are its.
    pub fn has_whole_partial(&self, digest: Digest, size_bytes: u64) -> Result<bool, Error> {
        let Some(partials) = layout::open_partials(&self.path)? else {
            return Ok(false);
        };
        Ok(match partials.find(&digest.hex())? {
            Found::File(_, found_bytes) => found_bytes == size_bytes,
            _ => false,
        })
    }

    /// Reads every byte of `artifacts`, on `threads` threads, and compares them with their records.
    /// `tell` is told how far that is, and of each as soon as it is known.
    pub fn verify(
        &self,
        artifacts: &BTreeSet<Artifact>,
        threads: NonZeroUsize,
        tell: &Tell<'_>,
    ) -> Result<Report, Error> {
        let reader = self.reader()?;
        verify::verify(reader.shelves(), artifacts.iter().copied(), threads, tell)
    }

    /// As [`Store::verify`], of everything that has a record.
    pub fn verify_all(&self, threads: NonZeroUsize, tell: &Tell<'_>) -> Result<Report, Error> {
        let reader = self.reader()?;
        verify::verify(reader.shelves(), reader.shelves().recorded()?, threads, tell)
    }

    /// Notes that `artifact` is used at `now`, as the mtime of its record, at most once a day. A store
    /// that this user may not write to keeps no account of its use.
    pub fn touch(&self, artifact: Artifact, now: SystemTime) -> Result<(), Error> {
        let shelves = Shelves::open(&self.path)?;
        let Some(Shelf { records, .. }) = shelves.of(artifact) else {
            return Ok(());
        };
        let name = Record::name_of(artifact);
        let Found::File(record, _) = records.find(&name)? else {
            return Ok(());
        };
        match touch(records, &record, now) {
            Ok(()) | Err(Errno::ROFS | Errno::PERM | Errno::ACCESS) => Ok(()),
            Err(error) => Err(Error::io("set the time of", records.path_of(&name), error)),
        }
    }

    /// Opens the store for adding, making what directories are missing.
    pub fn shared(&self) -> Result<SharedStore, Error> {
        self.make_layout().map(SharedStore::new)
    }

    fn make_layout(&self) -> Result<Arc<Layout>, Error> {
        Layout::make(&self.path, self.allows_foreign_owner).map(Arc::new)
    }

    /// Bytes that this user may still write where the store lies, or would lie. `None` where the file
    /// system does not tell.
    pub fn free_bytes(&self) -> Result<Option<u64>, Error> {
        space::free_bytes(&self.path)
    }

    /// Removes what runs that died have left behind, and what is kept of the downloads of the blobs
    /// `complete`, which are not needed any more. What cannot be removed stays.
    pub fn sweep_remains(&self, complete: &BTreeSet<Digest>) -> Result<(), Error> {
        remains::sweep(&self.path, complete)
    }

    /// Notes what the project of the lock at `lock_path` wants, for those who delete. To be called when
    /// all of it is committed. Writes only if something changed, or if the last time is over a day ago, and
    /// answers whether it did. The root of a newer version of this program is left to that one.
    pub fn put_root(
        &self,
        lock_path: &Path,
        wanted: &BTreeSet<Artifact>,
        now: SystemTime,
        caller: Caller,
    ) -> Result<bool, Error> {
        self.put_root_after(lock_path, |_| wanted.clone(), now, caller)
    }

    /// As [`Store::put_root`], and what the project wants depends on what it wanted.
    pub fn put_root_after(
        &self,
        lock_path: &Path,
        wanted: impl FnOnce(Option<&Root>) -> BTreeSet<Artifact>,
        now: SystemTime,
        caller: Caller,
    ) -> Result<bool, Error> {
        let next = |previous: Option<Root>, lock: &Path| {
            let wanted = wanted(previous.as_ref());
            Root::next(previous, lock, &wanted, now)
        };
        match self.write_root(lock_path, caller, next) {
            Err(Error::KeeperTooNew { .. }) => Ok(false),
            written => written,
        }
    }

    /// As [`Store::put_root`], and the root stays whatever becomes of its lock.
    pub fn pin_root(
        &self,
        lock_path: &Path,
        wanted: &BTreeSet<Artifact>,
        now: SystemTime,
        caller: Caller,
    ) -> Result<bool, Error> {
        self.write_root(lock_path, caller, |previous, lock| {
            let next = Root::next(previous.clone(), lock, wanted, now);
            let mut root = next.or(previous.filter(|root| !root.pinned))?;
            root.pinned = true;
            Some(root)
        })
    }

    /// Makes the root `id`, which was read before, stay whatever becomes of its lock or its time. Answers whether
    /// that is new.
    pub fn pin_known_root(
        &self,
        id: Digest,
        mut root: Root,
        caller: Caller,
    ) -> Result<bool, Error> {
        if root.pinned {
            return Ok(false);
        }
        root.pinned = true;
        let run = self.shared()?.begin_run(&[], caller)?;
        run.publish_root(&Root::file_name(id), &root.to_json())?;
        Ok(true)
    }

    /// Writes the root of the lock at `lock_path`, if `next` makes one of the previous.
    fn write_root(
        &self,
        lock_path: &Path,
        caller: Caller,
        next: impl FnOnce(Option<Root>, &Path) -> Option<Root>,
    ) -> Result<bool, Error> {
        let lock = Self::absolute(lock_path)?;
        let previous = match self.root(&lock) {
            // A damaged root is as good as none: the next one replaces it.
            Err(Error::KeeperDamaged { .. } | Error::TooLarge { .. }) => None,
            read => read?,
        };
        let Some(root) = next(previous, &lock) else {
            return Ok(false);
        };
        let run = self.shared()?.begin_run(&[], caller)?;
        run.publish_root(&Root::file_name(Root::id_for(&lock)), &root.to_json())?;
        Ok(true)
    }

    /// What each project that was synced into this store wants of it. A damaged root is left out.
    pub fn roots(&self) -> Result<Vec<Root>, Error> {
        let files = self.root_files()?.into_iter();
        let mut found: Vec<Root> = files.filter_map(|(_, root)| root.ok()).collect();
        found.sort_by(|one, other| one.lock.cmp(&other.lock));
        Ok(found)
    }

    /// Every root by its name in `roots/`, or why it cannot be read.
    pub fn root_files(&self) -> Result<Vec<RootFile>, Error> {
        let Some(roots) = layout::open_roots(&self.path)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for name in roots.names()? {
            let hex = keeper::hex_of(&name, ".json");
            let Some(id) = hex.and_then(|hex| format!("sha256:{hex}").parse().ok()) else {
                continue;
            };
            let root = keeper::read(&roots, &name, KeeperKind::Root);
            found.extend(root.transpose().map(|root| (id, root)));
        }
        Ok(found)
    }

    /// The root of the lock at this absolute path, if there is one.
    pub fn root(&self, lock: &Path) -> Result<Option<Root>, Error> {
        match layout::open_roots(&self.path)? {
            Some(roots) => {
                keeper::read(&roots, &Root::file_name(Root::id_for(lock)), KeeperKind::Root)
            }
            None => Ok(None),
        }
    }

    /// The path by which a root knows the lock at `path`.
    pub fn absolute(path: &Path) -> Result<PathBuf, Error> {
        std::path::absolute(path)
            .map_err(|error| Error::io("find the absolute path of", path, error))
    }
}

/// Sets the mtime of `file` to `now`, if it is over a day from it, before or after: a clock that was
/// wrong once must not stop the account for ever.
fn touch(records: &Directory, file: &File, now: SystemTime) -> Result<(), Errno> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let noted = rustix::fs::fstat(file)?.st_mtime;
    if noted.abs_diff(now_seconds) < TOUCH_EVERY.as_secs() {
        return Ok(());
    }
    records.touch(file, now_seconds)
}
