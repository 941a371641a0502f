//! The two files: read whole, compared, and the lock replaced at once.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::spec::diagnostic::Diagnostic;
use crate::spec::freshness::{LockState, Stale, check};
use crate::spec::lockfile::{FILE_BYTES_MAX as LOCK_BYTES_MAX, Lock, LockError};
use crate::spec::manifest_file::{FILE_BYTES_MAX as IMAGE_SET_BYTES_MAX, ImageSet};
use crate::store::replace::{create as create_file, replace as replace_file};
use crate::store::unfinished::sweep_parts;

/// Why one of the two files cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refuses.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than any real one.
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Bytes that are read.
        limit: usize,
    },
    /// Somebody else wrote it in the meantime.
    #[error("`{}` or its lock was changed in the meantime", .0.display())]
    Changed(PathBuf),
    /// The file exists.
    #[error("`{}` exists already", .0.display())]
    Exists(PathBuf),
    /// The file is not text.
    #[error("`{}` is not UTF-8", .0.display())]
    NotText(PathBuf),
}

/// The texts of the two files; `None` where there is no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// `sandbox-images.toml`.
    pub image_set: Option<String>,
    /// `sandbox-images.lock`.
    pub lock: Option<String>,
}

impl Texts {
    pub(super) fn read(image_set: &Path, lock: &Path) -> Result<Self, FileError> {
        Ok(Self {
            image_set: read(image_set, IMAGE_SET_BYTES_MAX)?,
            lock: read(lock, LOCK_BYTES_MAX)?,
        })
    }

    /// What the lock says, where there is one that can be read.
    pub fn parse_lock(&self) -> Result<Option<Lock>, LockError> {
        self.lock.as_deref().map(Lock::parse).transpose()
    }
}

/// The two files as values, and how they differ.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// What is wanted.
    pub image_set: ImageSet,
    /// What is locked: an empty lock where there is none, and what a merge
    /// would have made of it where it left its markers.
    pub lock: Lock,
    /// Why the one does not satisfy the other; empty where it does.
    pub stale: Vec<Stale>,
}

/// Why the two files cannot be used.
#[derive(Debug, Clone)]
pub enum InputError {
    /// What is wrong with `sandbox-images.toml`.
    ImageSet(Vec<Diagnostic>),
    /// What is wrong with `sandbox-images.lock`.
    Lock(Vec<Diagnostic>),
    /// What the policy in `sandbox-images.toml` forbids.
    Policy(Vec<Diagnostic>),
}

impl Inputs {
    /// Reads both texts and compares them. Does no I/O.
    pub fn parse(texts: &Texts) -> Result<Self, InputError> {
        let image_set = ImageSet::parse(texts.image_set.as_deref().unwrap_or_default());
        let image_set = image_set.map_err(InputError::ImageSet)?;
        let violations = image_set.policy_violations();
        if !violations.is_empty() {
            return Err(InputError::Policy(violations));
        }
        let unreadable = |error: LockError| InputError::Lock(error.diagnostics());
        let (lock, stale) = match texts.parse_lock() {
            Ok(Some(lock)) => {
                let stale = check(&image_set, LockState::Present(&lock));
                (lock, stale)
            }
            Ok(None) => (Lock::new(), check(&image_set, LockState::Missing)),
            Err(LockError::ConflictMarkers { .. }) => {
                let text = texts.lock.as_deref().unwrap_or_default();
                let settled = Lock::parse_conflicted(text, &image_set).map_err(unreadable)?;
                let stale = check(&image_set, LockState::Conflicted(&settled));
                (settled.lock, stale)
            }
            Err(error) => return Err(unreadable(error)),
        };
        Ok(Self { image_set, lock, stale })
    }
}

/// The text of a file, if the file exists.
fn read(path: &Path, limit: usize) -> Result<Option<String>, FileError> {
    let io_error = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
    Ok(Some(text))
}

/// A `.gitattributes`, which need not exist.
#[derive(Debug)]
pub struct Attributes {
    path: PathBuf,
    text: String,
}

/// Bytes of a `.gitattributes`: git itself reads no more of one than 100 MiB, people write a page.
const ATTRIBUTES_BYTES_MAX: usize = 16 << 20;

/// The `.gitattributes` in the folder of `file`.
pub fn attributes_beside(file: &Path) -> Result<Attributes, FileError> {
    let path = file.with_file_name(".gitattributes");
    let text = read(&path, ATTRIBUTES_BYTES_MAX)?.unwrap_or_default();
    Ok(Attributes { path, text })
}

impl Attributes {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; nothing if it does not exist.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Makes it hold `text`.
    pub fn replace(&self, text: &str) -> Result<(), FileError> {
        replace(&self.path, text).map(drop)
    }
}

/// Makes a file `path` with this text, and never replaces one.
pub fn create(path: &Path, text: &str) -> Result<(), FileError> {
    create_file(path, |file| file.write_all(text.as_bytes())).map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists(path),
            _ => FileError::Io { action: "write", path, source },
        }
    })
}

/// Makes `path` hold `text`: a new file beside it, durable, takes its name and its mode. `false` if it holds
/// that already.
pub(super) fn replace(path: &Path, text: &str) -> Result<bool, FileError> {
    if read(path, LOCK_BYTES_MAX)?.as_deref() == Some(text) {
        sweep_parts(path);
        return Ok(false);
    }
    let io_error = |source| FileError::Io { action: "write", path: path.to_owned(), source };
    replace_file(path, |file| file.write_all(text.as_bytes())).map_err(io_error)?;
    Ok(true)
}
