//! What goes into an archive, and where the archive goes.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::archive::output::Packing;
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::store::unfinished::folder_of;

/// A file of the archive.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its name there.
    pub name: String,
    /// What it holds.
    pub content: ItemContent,
}

/// What a file of an archive holds.
#[derive(Debug, Clone)]
pub enum ItemContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What the store holds.
    Stored(Artifact),
    /// The compressed layer, as its digest names it.
    Blob(FetchLayer),
    /// The layer unpacked, as its `diff_id` names it.
    Tar(FetchLayer),
}

/// Where an archive goes.
pub enum Target {
    /// Into this file, whole or not at all.
    File(PathBuf, Packing),
    /// Into this directory, whole or not at all.
    Directory(PathBuf),
    /// To whoever reads this, as a tar. What is fetched lies in the directory for the time being.
    Stream(Box<dyn Write + Send>, PathBuf),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.path().display())
    }
}

impl Target {
    /// What messages call it.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Directory(path) => path,
            Self::Stream(..) => Path::new("-"),
        }
    }

    /// Where there is room for what is fetched.
    pub(super) fn spool(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Directory(path) => folder_of(path),
            Self::Stream(_, spool) => spool,
        }
    }
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files of the archive.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
