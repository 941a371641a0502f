//! Files by their names, in a directory or in a tar archive.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::content::Content;
use crate::archive::error::Error;
use crate::archive::members::Members;

/// Files by their names, which are relative.
#[derive(Debug, Clone)]
pub enum Files {
    /// Those below a directory, whose path is without links.
    Directory(PathBuf),
    /// Those of an archive.
    Archive(Arc<Members>),
}

impl Files {
    /// The files below the directory `path`.
    pub fn in_directory(path: &Path) -> Result<Self, Error> {
        let root = fs::canonicalize(path);
        root.map(Self::Directory).map_err(|source| Error::Io { path: path.to_owned(), source })
    }

    /// The directory or the archive.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(root) => root,
            Self::Archive(members) => members.path(),
        }
    }

    /// Whether there is something of this name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(root) => root.join(name).exists(),
            Self::Archive(members) => members.has(name),
        }
    }

    /// The bytes of the file `name` and their number. Links are followed as far as they stay inside.
    pub fn open(&self, name: &str) -> Result<(Content, u64), Error> {
        match self {
            Self::Directory(root) => open_below(root, &root.join(name)),
            Self::Archive(members) => members.open_file(name),
        }
    }

    /// The content of the file `name`, of at most `limit` bytes; of a longer one, one byte more than that.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let (content, _) = self.open(name)?;
        let mut bytes = Vec::new();
        content
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Io { path: self.path().join(name), source })?;
        Ok(bytes)
    }
}

/// A regular file under `root` and its size. Links are followed as far as they stay under `root`.
fn open_below(root: &Path, path: &Path) -> Result<(Content, u64), Error> {
    let io_error = |source| Error::Io { path: path.to_owned(), source };
    let true_path = fs::canonicalize(path).map_err(io_error)?;
    let is_file = fs::metadata(&true_path).map_err(io_error)?.is_file();
    if !true_path.starts_with(root) || !is_file {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let file = File::open(&true_path).map_err(io_error)?;
    let size = file.metadata().map_err(io_error)?.len();
    Ok((Content::new(file), size))
}
