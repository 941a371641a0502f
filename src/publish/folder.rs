//! Directories of another program, held open, and the few operations on the names in them.
//!
//! A name in them is never followed if it is a symbolic link, and what belongs to another user is not used:
//! who may change a directory could put anything in place of what is written there.

use std::fs::{self, File, canonicalize};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::disk::file::ReadAt;
use crate::publish::error::Error;
use crate::store::content::ContentDigest;
use crate::store::failpoint::{Place, Step, failpoint_outside};

/// Everybody may read, nobody changes: what a store's files have too.
const MODE_SEALED: Mode = Mode::from_raw_mode(0o444);

/// What a text has that may be replaced.
const MODE_PLAIN: Mode = Mode::from_raw_mode(0o644);

/// Locks are their owner's.
const MODE_LOCK: Mode = Mode::from_raw_mode(0o600);

/// An open directory.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub(super) struct Found {
    file: File,
    /// Which file it is, whatever its name.
    pub(super) identity: (u64, u64),
    pub(super) size_bytes: u64,
}

impl Found {
    /// Whether its bytes are these.
    pub(super) fn has(&self, content: ContentDigest) -> io::Result<bool> {
        let mut file = &self.file;
        file.rewind()?;
        content.is_of(file.take(self.size_bytes))
    }
}

impl ReadAt for Found {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset_bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.size_bytes)
    }
}

impl Folder {
    /// Opens the directory that the user named, through symbolic links if there are any, making it and what
    /// is missing above it.
    pub(super) fn make_all(path: &Path) -> Result<Self, Error> {
        before(Step::MakeDirectory)
            .map_err(io::Error::from)
            .and_then(|()| fs::create_dir_all(path))
            .map_err(|error| Error::io("make directory", path, error))?;
        Self::open(path)?.ok_or_else(|| Error::io("open", path, Errno::NOENT))
    }

    /// As [`Folder::make_all`], but makes nothing. `None` if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let canonical = match canonicalize(path) {
            Ok(canonical) => canonical,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &canonical, flags, Mode::empty())
            .map_err(|error| Error::io("open", &canonical, error))?;
        Self { fd, path: canonical }.of_this_user().map(Some)
    }

    /// Opens the directory `name`, making it if it is missing.
    pub(super) fn make(&self, name: &str) -> Result<Self, Error> {
        let mode = Mode::from_raw_mode(0o755);
        let result = match self.child(name)? {
            Some(child) => return Ok(child),
            None => {
                before(Step::MakeDirectory).and_then(|()| rustix::fs::mkdirat(&self.fd, name, mode))
            }
        };
        match result {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(Error::io("make directory", self.path_of(name), error)),
        }
        self.child(name)?.ok_or_else(|| Error::io("open", self.path_of(name), Errno::NOENT))
    }

    /// Opens the directory `name`. `None` if it does not exist.
    pub(super) fn child(&self, name: &str) -> Result<Option<Self>, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = self.path_of(name);
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Self { fd, path }.of_this_user().map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.unexpected(name, "a directory")),
            Err(error) => Err(Error::io("open", path, error)),
        }
    }

    fn of_this_user(self) -> Result<Self, Error> {
        let stat = rustix::fs::fstat(&self.fd);
        let owner = stat.map_err(|error| Error::io("look at", &self.path, error))?.st_uid;
        let user = geteuid().as_raw();
        if owner == user {
            return Ok(self);
        }
        Err(Error::Foreign { path: self.path, owner, user })
    }

    /// Where it is, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens the regular file `name`, if there is one. What is no regular file is not opened, and an error.
    pub(super) fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        match self.kind_of(name)? {
            None => return Ok(None),
            Some(FileType::RegularFile) => {}
            Some(_) => return Err(self.unexpected(name, "a regular file")),
        }
        let wrong = |error: Errno| Error::io("open", self.path_of(name), error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.unexpected(name, "a regular file")),
            Err(error) => return Err(wrong(error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(wrong)?;
        Ok(Some(Found {
            file: File::from(fd),
            identity: (stat.st_dev, stat.st_ino),
            size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        }))
    }

    /// Reads a small file whole. `None` if there is none.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(found) = self.find(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let mut limited = found.file.take(limit.saturating_add(1));
        limited
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("read", self.path_of(name), error))?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge { path: self.path_of(name), limit });
        }
        Ok(Some(bytes))
    }

    /// The names in it that are UTF-8, sorted; the other program gives no others.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let wrong = |error: Errno| Error::io("list", &self.path, error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(wrong)? {
            if let Ok(name) = entry.map_err(wrong)?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file that is there to be locked, made if it is missing, for its owner only.
    pub(super) fn lock_file(&self, name: &str) -> Result<File, Error> {
        if self.kind_of(name)?.is_some_and(|kind| kind != FileType::RegularFile) {
            return Err(self.unexpected(name, "a regular file"));
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = before(Step::Open)
            .and_then(|()| rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, MODE_LOCK));
        match opened {
            Ok(fd) => Ok(File::from(fd)),
            Err(Errno::LOOP | Errno::ISDIR) => Err(self.unexpected(name, "a regular file")),
            Err(error) => Err(Error::io("open", self.path_of(name), error)),
        }
    }

    /// Gives `file`, which is on the same file system, the further name `name`. `false` where the file
    /// system or its rules do not allow it.
    pub(super) fn link(&self, file: &impl std::os::fd::AsFd, name: &str) -> Result<bool, Error> {
        let open = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        let linked = before(Step::Link)
            .and_then(|()| rustix::fs::linkat(CWD, open, &self.fd, name, AtFlags::SYMLINK_FOLLOW));
        match linked {
            Ok(()) => Ok(true),
            Err(
                Errno::XDEV
                | Errno::PERM
                | Errno::ACCESS
                | Errno::MLINK
                | Errno::OPNOTSUPP
                | Errno::NOENT
                | Errno::NOSYS,
            ) => Ok(false),
            Err(error) => Err(Error::io("link", self.path_of(name), error)),
        }
    }

    /// Begins the file that is to be called `name`. What an earlier one that was not finished left goes.
    pub(super) fn part(&self, name: &str) -> Result<Part<'_>, Error> {
        let temporary = format!("{name}.part");
        self.unlink(&temporary)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let path = self.path_of(&temporary);
        let fd = before(Step::Create)
            .and_then(|()| {
                rustix::fs::openat(&self.fd, &temporary, flags | OFlags::CLOEXEC, MODE_LOCK)
            })
            .map_err(|error| Error::io("create", &path, error))?;
        Ok(Part { folder: self, name: name.to_owned(), temporary, path, file: File::from(fd) })
    }

    /// Makes the file `name` of these bytes, complete and durable.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut part = self.part(name)?;
        part.fill(|file| file.write_all(bytes))?;
        part.finish(MODE_PLAIN)
    }

    /// Removes a name, if it is there.
    pub(super) fn unlink(&self, name: &str) -> Result<(), Error> {
        if self.kind_of(name)?.is_none() {
            return Ok(());
        }
        let unlink = || rustix::fs::unlinkat(&self.fd, name, AtFlags::empty());
        match before(Step::Unlink).and_then(|()| unlink()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Error::io("remove", self.path_of(name), error)),
        }
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        before(Step::SyncNames)
            .and_then(|()| rustix::fs::fsync(&self.fd))
            .map_err(|error| Error::io("make durable", &self.path, error))
    }

    fn kind_of(&self, name: &str) -> Result<Option<FileType>, Error> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("look at", self.path_of(name), error)),
        }
    }

    fn unexpected(&self, name: &str, expected: &'static str) -> Error {
        let found = match self.kind_of(name) {
            Ok(Some(FileType::RegularFile)) => "a regular file",
            Ok(Some(FileType::Directory)) => "a directory",
            Ok(Some(FileType::Symlink)) => "a symbolic link",
            _ => "something else",
        };
        Error::Unexpected { path: self.path_of(name), found, expected }
    }
}

/// Passes the failpoint of a step in another program's cache.
fn before(step: Step) -> Result<(), Errno> {
    failpoint_outside(step, Place::Cache)
}

/// A file that is not finished, under a name that nobody reads. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Part<'a> {
    folder: &'a Folder,
    name: String,
    temporary: String,
    path: PathBuf,
    file: File,
}

impl Part<'_> {
    /// Writes what it is to hold.
    pub(super) fn fill(
        &mut self,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), Error> {
        let Self { path, file, .. } = self;
        before(Step::Write)
            .map_err(io::Error::from)
            .and_then(|()| fill(file))
            .map_err(|error| Error::io("write", path, error))
    }

    /// Reads what was written so far.
    pub(super) fn read<T>(&self, read: impl FnOnce(&File) -> io::Result<T>) -> Result<T, Error> {
        read(&self.file).map_err(|error| Error::io("read", &self.path, error))
    }

    /// Makes it the file that it is to be, which nobody changes any more.
    pub(super) fn seal(self) -> Result<(), Error> {
        self.finish(MODE_SEALED)
    }

    fn finish(self, mode: Mode) -> Result<(), Error> {
        let Self { folder, name, temporary, path, file } = &self;
        before(Step::Mode)
            .and_then(|()| rustix::fs::fchmod(file, mode))
            .map_err(|error| Error::io("set the mode of", path, error))?;
        before(Step::Sync)
            .and_then(|()| rustix::fs::fsync(file))
            .map_err(|error| Error::io("make durable", path, error))?;
        before(Step::Rename)
            .and_then(|()| rustix::fs::renameat(&folder.fd, temporary, &folder.fd, name))
            .map_err(|error| Error::io("rename a file to", folder.path_of(name), error))?;
        folder.sync()
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // After the rename there is nothing of that name; what cannot be removed is replaced next time.
        let _ = self.folder.unlink(&self.temporary);
    }
}
