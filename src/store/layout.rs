//! The directories of a store, as `docs/store.md` draws them, and who opens which.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::plan::artifact::Artifact;
use crate::store::directory::Directory;
use crate::store::error::Error;

/// The directory of this layout version. Others are left alone.
const VERSION: &str = "v1";

/// Marks a directory that backup programs may skip: <https://bford.info/cachedir/>.
pub(super) const CACHE_TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n\
     # This directory is the store of sandbox-images: all in it can be fetched or built again.\n",
);

/// Notes on what was published; made when something first is.
const PUBLICATIONS: &str = "publications";

/// Where the artifacts of one kind and their records lie.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) files: Directory,
    pub(super) records: Directory,
}

/// The shelves that a store has, by the kind of artifact.
#[derive(Debug)]
pub(super) struct Shelves(BTreeMap<&'static str, Shelf>);

impl Shelves {
    /// Opens what there is and makes nothing.
    pub(super) fn open(store: &Path) -> Result<Self, Error> {
        let mut shelves = BTreeMap::new();
        let Some(version) = open_version(store)? else {
            return Ok(Self(shelves));
        };
        for (kind, files, records) in kinds() {
            let (files, records) = (version.descend(&files)?, version.descend(&records)?);
            shelves.extend(
                files.zip(records).map(|(files, records)| (kind, Shelf { files, records })),
            );
        }
        Ok(Self(shelves))
    }

    fn make(version: &Directory) -> Result<Self, Error> {
        let mut shelves = BTreeMap::new();
        for (kind, files, records) in kinds() {
            let (files, records) = (version.make(&files)?, version.make(&records)?);
            shelves.insert(kind, Shelf { files, records });
        }
        Ok(Self(shelves))
    }

    /// Where `artifact` would lie. `None` in a store that never had one of its kind.
    pub(super) fn of(&self, artifact: Artifact) -> Option<&Shelf> {
        self.0.get(artifact.kind())
    }

    /// Each shelf with the kind of its artifacts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Shelf)> {
        self.0.iter().map(|(kind, shelf)| (*kind, shelf))
    }

    /// Every artifact that has a record, good or bad, in order. Other names are not ours.
    pub(super) fn recorded(&self) -> Result<Vec<Artifact>, Error> {
        let mut artifacts = Vec::new();
        for (kind, shelf) in &self.0 {
            for name in shelf.records.names()? {
                let hex = name.strip_suffix(".json").unwrap_or_default();
                artifacts.extend(format!("{kind} sha256:{hex}").parse::<Artifact>());
            }
        }
        artifacts.sort_unstable();
        Ok(artifacts)
    }
}

/// The name of an artifact's file in the directory of its kind.
pub(super) fn file_name_of(artifact: Artifact) -> String {
    split(artifact).1
}

/// The path of an artifact's file in the store at `store`.
pub(super) fn path_of(store: &Path, artifact: Artifact) -> PathBuf {
    store.join(VERSION).join(artifact.path())
}

fn split(artifact: Artifact) -> (String, String) {
    let path = artifact.path();
    let (directory, name) = path.rsplit_once('/').expect("every artifact lies in a directory");
    (directory.to_owned(), name.to_owned())
}

/// Each kind of artifact, with the directory of its files and that of its records.
fn kinds() -> [(&'static str, String, String); 4] {
    let any = Digest::of("");
    [
        Artifact::Blob(any),
        Artifact::Layer(DiffId(any)),
        Artifact::Fsmeta(ChainId(any)),
        Artifact::Disk(ChainId(any)),
    ]
    .map(|artifact| {
        let kind = artifact.kind();
        (kind, split(artifact).0, format!("f1/records/{kind}"))
    })
}

/// Opens the directory of this layout version, if there is one.
pub(super) fn open_version(store: &Path) -> Result<Option<Directory>, Error> {
    match Directory::open(store)? {
        Some(root) => root.descend(VERSION),
        None => Ok(None),
    }
}

/// Opens the directory of roots, if there is one.
pub(super) fn open_roots(store: &Path) -> Result<Option<Directory>, Error> {
    match open_version(store)? {
        Some(version) => version.descend("roots"),
        None => Ok(None),
    }
}

/// Opens the directory of what was pulled, if there is one.
pub(super) fn open_refs(store: &Path) -> Result<Option<Directory>, Error> {
    match open_version(store)? {
        Some(version) => version.descend("refs"),
        None => Ok(None),
    }
}

/// Whoever owns a directory may change what is in it at any time, and would own half of what is made there.
fn check_owner(directory: &Directory) -> Result<(), Error> {
    let (owner, user) = (directory.owner()?, geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    Err(Error::Foreign { path: directory.path().to_owned(), owner, user })
}

/// Opens the directory of notes on what was published, if there is one.
pub(super) fn open_publications(store: &Path) -> Result<Option<Directory>, Error> {
    match open_version(store)? {
        Some(version) => version.descend(PUBLICATIONS),
        None => Ok(None),
    }
}

/// Opens the directory of downloads that broke off, if there is one.
pub(super) fn open_partials(store: &Path) -> Result<Option<Directory>, Error> {
    match open_version(store)? {
        Some(version) => version.descend("partial"),
        None => Ok(None),
    }
}

/// All directories that a writer needs, open.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) store: Directory,
    pub(super) shelves: Shelves,
    pub(super) roots: Directory,
    pub(super) refs: Directory,
    pub(super) leases: Directory,
    pub(super) runs: Directory,
    pub(super) quarantine: Directory,
    pub(super) guards: Directory,
    pub(super) partials: Directory,
}

impl Layout {
    /// Opens the store's directories, making what is missing. Each must be this user's own, unless other
    /// owners are allowed.
    pub(super) fn make(path: &Path, allows_foreign_owner: bool) -> Result<Self, Error> {
        let check = |directory: &Directory| {
            if allows_foreign_owner { Ok(()) } else { check_owner(directory) }
        };
        let store = Directory::make_all(path)?;
        check(&store)?;
        let version = store.make(VERSION)?;
        check(&version)?;
        let layout = Self {
            shelves: Shelves::make(&version)?,
            roots: version.make("roots")?,
            refs: version.make("refs")?,
            leases: version.make("leases")?,
            runs: version.make("tmp")?,
            quarantine: version.make("quarantine")?,
            guards: version.make("guards")?,
            partials: version.make("partial")?,
            store,
        };
        layout.directories().try_for_each(check)?;
        Ok(layout)
    }

    /// Those below the directory of the version.
    fn directories(&self) -> impl Iterator<Item = &Directory> {
        let Self { roots, refs, leases, runs, quarantine, guards, partials, .. } = self;
        let shelves = self.shelves.0.values().flat_map(|shelf| [&shelf.files, &shelf.records]);
        shelves.chain([roots, refs, leases, runs, quarantine, guards, partials])
    }

    /// Opens the directory of notes on what was published, making it if it is missing.
    pub(super) fn publications(&self) -> Result<Directory, Error> {
        self.store.make(VERSION)?.make(PUBLICATIONS)
    }

    /// Where `artifact` lies.
    pub(super) fn shelf(&self, artifact: Artifact) -> &Shelf {
        self.shelves.of(artifact).expect("a writer's layout has a shelf for each kind")
    }
}
