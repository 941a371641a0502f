//! Directories of the store, held open, and the few operations on the names in them.
//!
//! Every file of a store is reached from the open directory that it lies in, by one name, and a name is
//! never followed if it is a symbolic link. So nothing that is planted in a store leads out of it. The
//! modes of what is made are set explicitly: the umask has no say.
//!
//! Here is what looks; what changes something is in [`change`].

mod change;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::store::error::Error;

/// What everybody may read and nobody changes: artifacts and their records.
pub(super) const MODE_SEALED: Mode = Mode::from_raw_mode(0o444);

/// What is rewritten in its life: roots, leases, guards.
pub(super) const MODE_PLAIN: Mode = Mode::from_raw_mode(0o644);

/// What has a name.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A regular file, open for reading, and its bytes.
    File(File, u64),
    /// Something that this program does not open, in words with an article.
    Other(&'static str),
}

/// Reads the `size_bytes` that `file` had lately, but at most `limit_bytes`, without a call that looks for its end.
pub(super) fn read_to_end(file: &File, size_bytes: u64, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let size_bytes = size_bytes.min(limit_bytes);
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).map_err(io::Error::other)?);
    file.take(size_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is known of a file without opening it. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether it is a regular file.
    pub(super) is_file: bool,
    pub(super) size_bytes: u64,
    /// When its bytes were last changed.
    pub(super) modified: u64,
    /// When anything about it was last changed, its name too.
    pub(super) changed: u64,
}

/// An open directory and the path that led to it, for messages.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory that the user named, through symbolic links if there are any. `None` if it
    /// does not exist.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(Error::Unexpected {
                path: path.to_owned(),
                found: "a file or below one",
                expected: "a directory",
            }),
            Err(error) => Err(Error::io("open", path, error)),
        }
    }

    /// Opens the directory at `path`, names joined by `/`. `None` if one of them does not exist.
    pub(super) fn descend(&self, path: &str) -> Result<Option<Self>, Error> {
        match path.split_once('/') {
            None => self.child(path),
            Some((first, rest)) => match self.child(first)? {
                Some(child) => child.descend(rest),
                None => Ok(None),
            },
        }
    }

    fn child(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, Error> {
        let name = name.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path_of(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.unexpected(name, "a directory")),
            Err(error) => Err(Error::io("open", self.path_of(name), error)),
        }
    }

    /// The user who owns this directory.
    pub(super) fn owner(&self) -> Result<u32, Error> {
        let stat = fs::fstat(&self.fd);
        Ok(stat.map_err(|error| Error::io("look at", &self.path, error))?.st_uid)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file that this process has made once more, for writes that pass the page cache by. `None` where that
    /// cannot be: then the file is written as it was made.
    pub(super) fn open_uncached(&self, name: &str) -> Option<File> {
        let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&self.fd, name, flags, Mode::empty()).ok().map(File::from)
    }

    /// The path of `name` in this directory.
    pub(super) fn path_of(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// Looks at what has this name. Only a regular file is opened: opening a pipe or a device could
    /// wait for ever or do things.
    pub(super) fn find(&self, name: &str) -> Result<Found, Error> {
        match self.kind_of(name)? {
            None => return Ok(Found::Nothing),
            Some(FileType::RegularFile) => {}
            Some(other) => return Ok(Found::Other(words_for(other))),
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let wrong = |error: Errno| Error::io("open", self.path_of(name), error);
        let fd = match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::LOOP) => return Ok(Found::Other(words_for(FileType::Symlink))),
            Err(error) => return Err(wrong(error)),
        };
        let stat = fs::fstat(&fd).map_err(wrong)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                Found::File(File::from(fd), u64::try_from(stat.st_size).unwrap_or(0))
            }
            other => Found::Other(words_for(other)),
        })
    }

    fn kind_of(&self, name: impl AsRef<OsStr>) -> Result<Option<FileType>, Error> {
        let name = name.as_ref();
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("look at", self.path_of(name), error)),
        }
    }

    /// What is known of what has this name, itself and not what it links to.
    pub(super) fn facts(&self, name: &str) -> Result<Option<Facts>, Error> {
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Facts {
                is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
                size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
                modified: seconds(stat.st_mtime),
                changed: seconds(stat.st_ctime),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("look at", self.path_of(name), error)),
        }
    }

    /// Whether anything has this name.
    pub(super) fn has(&self, name: &str) -> Result<bool, Error> {
        self.kind_of(name).map(|kind| kind.is_some())
    }

    /// Whether something else than a regular file has this name.
    pub(super) fn has_other_than_file(&self, name: &str) -> Result<bool, Error> {
        let kind = self.kind_of(name)?;
        Ok(kind.is_some_and(|kind| kind != FileType::RegularFile))
    }

    /// Reads a whole small file. `None` if there is none.
    pub(super) fn read(&self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        let (file, size_bytes) = match self.find(name)? {
            Found::Nothing => return Ok(None),
            Found::File(file, size_bytes) => (file, size_bytes),
            Found::Other(_) => return Err(self.unexpected(name, "a regular file")),
        };
        let bytes = read_to_end(&file, size_bytes, limit_bytes.saturating_add(1))
            .map_err(|error| Error::io("read", self.path_of(name), error))?;
        if bytes.len() as u64 > limit_bytes {
            let path = self.path_of(name);
            return Err(Error::TooLarge { path, limit: limit_bytes });
        }
        Ok(Some(bytes))
    }

    /// What to say of a name that is taken by another kind of file than `expected`.
    fn unexpected(&self, name: impl AsRef<OsStr>, expected: &'static str) -> Error {
        let found = match self.kind_of(&name) {
            Ok(Some(kind)) => words_for(kind),
            Ok(None) | Err(_) => "something else",
        };
        let path = self.path_of(name);
        Error::Unexpected { path, found, expected }
    }

    /// Whether `name` still is the file that `file` has open.
    pub(super) fn still_names(&self, name: &str, file: &File) -> Result<bool, Error> {
        let wrong = |error: Errno| Error::io("look at", self.path_of(name), error);
        let open = fs::fstat(file).map_err(wrong)?;
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(wrong(error)),
        }
    }

    /// The names in this directory that are UTF-8, sorted; the store itself gives no others.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let wrong = |error: Errno| Error::io("list", &self.path, error);
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.fd).map_err(wrong)? {
            match entry.map_err(wrong)?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn words_for(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "a file of unknown kind",
    }
}
