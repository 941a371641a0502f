//! Every change that a store makes to the file system: one function each, and none elsewhere.
//!
//! Whoever wants to know what a crash, a full disk or a failing device can interrupt need only read this
//! file; the order in which these steps follow each other is written down in `ingest`.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::store::directory::{Directory, MODE_PLAIN};
use crate::store::error::Error;
use crate::store::failpoint::{Step, failpoint};

const MODE_DIRECTORY: Mode = Mode::from_raw_mode(0o755);

impl Directory {
    /// Opens the directory that the user named, making it and what is missing above it.
    pub(in crate::store) fn make_all(path: &Path) -> Result<Self, Error> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        let missing = || Error::io("make directory", path, Errno::NOENT);
        let name = path.file_name().ok_or_else(missing)?;
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Self::open(Path::new("."))?,
            Some(parent) => Some(Self::make_all(parent)?),
            None => None,
        };
        parent.ok_or_else(missing)?.make_child(name)
    }

    /// Opens the directory at `path`, making what is missing of it, durably.
    pub(in crate::store) fn make(&self, path: &str) -> Result<Self, Error> {
        match path.split_once('/') {
            None => self.make_child(path),
            Some((first, rest)) => self.make_child(first)?.make(rest),
        }
    }

    fn make_child(&self, name: impl AsRef<OsStr>) -> Result<Self, Error> {
        let name = name.as_ref();
        let wrong = |error: Errno| Error::io("make directory", self.path_of(name), error);
        match self.child(name) {
            Ok(Some(child)) => return Ok(child),
            Ok(None) => {}
            Err(Error::Denied { .. }) if self.mend(name, Step::DirectoryMode, MODE_DIRECTORY) => {}
            Err(error) => return Err(error),
        }
        let made = self
            .before(Step::MakeDirectory)
            .and_then(|()| fs::mkdirat(&self.fd, name, MODE_DIRECTORY));
        match made {
            Ok(()) => {
                self.before(Step::DirectoryMode)
                    .and_then(|()| fs::chmodat(&self.fd, name, MODE_DIRECTORY, AtFlags::empty()))
                    .map_err(wrong)?;
                self.sync()?;
            }
            Err(Errno::EXIST) => {
                self.mend(name, Step::DirectoryMode, MODE_DIRECTORY);
            }
            Err(error) => return Err(wrong(error)),
        }
        self.child(name)?.ok_or_else(|| wrong(Errno::NOENT))
    }

    /// Makes a file that did not exist, for reading and writing, readable by its owner only.
    pub(in crate::store) fn create(&self, name: &str) -> Result<File, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        self.before(Step::Create)
            .and_then(|()| fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR))
            .map(File::from)
            .map_err(|error| Error::io("create", self.path_of(name), error))
    }

    /// Opens a file for reading and writing that is shared with other processes, made if it is missing.
    pub(in crate::store) fn open_shared(&self, name: &str) -> Result<File, Error> {
        let wrong = |error: Errno| Error::io("open", self.path_of(name), error);
        let fd = match self.open_or_make(name) {
            Err(Errno::ACCESS) if self.mend(name, Step::Mode, MODE_PLAIN) => {
                self.open_or_make(name)
            }
            opened => opened,
        };
        let fd = match fd {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::EXIST) => {
                return Err(self.unexpected(name, "a regular file"));
            }
            Err(error) => return Err(wrong(error)),
        };
        let mode = fs::fstat(&fd).map_err(wrong)?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return Err(self.unexpected(name, "a regular file"));
        }
        if Mode::from_raw_mode(mode) != MODE_PLAIN {
            self.before(Step::Mode).and_then(|()| fs::fchmod(&fd, MODE_PLAIN)).map_err(wrong)?;
        }
        Ok(File::from(fd))
    }

    /// Opens a regular file, made if it is missing. What is something else is not opened: opening a device
    /// does things.
    fn open_or_make(&self, name: &str) -> Result<OwnedFd, Errno> {
        self.before(Step::Open)?;
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                return Err(Errno::EXIST);
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, MODE_PLAIN)
    }

    /// Gives what this user made the mode that it should have. Between its making and its `chmod` a umask
    /// may keep everybody out; other processes come by in that moment, and a kill makes it last.
    fn mend(&self, name: impl AsRef<OsStr>, step: Step, mode: Mode) -> bool {
        let name = name.as_ref();
        let is_link = fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        let mend = || fs::chmodat(&self.fd, name, mode, AtFlags::empty());
        !is_link && self.before(step).and_then(|()| mend()).is_ok()
    }

    /// Writes `bytes` at `offset_bytes` of an open file that lies here as `name`.
    pub(in crate::store) fn write_at(
        &self,
        name: &str,
        file: &File,
        bytes: &[u8],
        offset_bytes: u64,
    ) -> Result<(), Error> {
        self.before(Step::Write)
            .map_err(io::Error::from)
            .and_then(|()| file.write_all_at(bytes, offset_bytes))
            .map_err(|error| Error::io("write", self.path_of(name), error))
    }

    /// As [`Directory::write_at`], to a file from [`Directory::open_uncached`]. `false` where the file system takes
    /// no such writes, or not these.
    pub(in crate::store) fn write_uncached_at(
        &self,
        name: &str,
        file: &File,
        bytes: &[u8],
        offset_bytes: u64,
    ) -> Result<bool, Error> {
        let written = self
            .before(Step::Write)
            .map_err(io::Error::from)
            .and_then(|()| file.write_all_at(bytes, offset_bytes));
        match written {
            Ok(()) => Ok(true),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(false),
            Err(error) => Err(Error::io("write", self.path_of(name), error)),
        }
    }

    /// Gives an open file that lies here as `name` a length.
    pub(in crate::store) fn resize(
        &self,
        name: &str,
        file: &File,
        size_bytes: u64,
    ) -> Result<(), Error> {
        self.before(Step::Resize)
            .map_err(io::Error::from)
            .and_then(|()| file.set_len(size_bytes))
            .map_err(|error| Error::io("resize", self.path_of(name), error))
    }

    /// Sets the mode of an open file that lies here as `name`.
    pub(in crate::store) fn set_mode(
        &self,
        name: &str,
        file: &File,
        mode: Mode,
    ) -> Result<(), Error> {
        self.before(Step::Mode)
            .and_then(|()| fs::fchmod(file, mode))
            .map_err(|error| Error::io("set the mode of", self.path_of(name), error))
    }

    /// Makes the bytes of an open file that lies here as `name` durable.
    pub(in crate::store) fn sync_file(&self, name: &str, file: &File) -> Result<(), Error> {
        self.before(Step::Sync)
            .and_then(|()| fs::fdatasync(file))
            .map_err(|error| Error::io("make durable", self.path_of(name), error))
    }

    /// Makes the names in this directory durable.
    pub(in crate::store) fn sync(&self) -> Result<(), Error> {
        self.before(Step::SyncNames)
            .and_then(|()| fs::fsync(&self.fd))
            .map_err(|error| Error::io("make durable", &self.path, error))
    }

    /// Gives `name` another name in `target`, in place of what has it there.
    pub(in crate::store) fn rename(
        &self,
        name: &str,
        target: &Self,
        new_name: &str,
    ) -> Result<(), Error> {
        target
            .before(Step::Rename)
            .and_then(|()| fs::renameat(&self.fd, name, &target.fd, new_name))
            .map_err(|error| Error::io("rename a file to", target.path_of(new_name), error))
    }

    /// Removes the name of a file, if there is one.
    pub(in crate::store) fn unlink(&self, name: &str) -> Result<(), Error> {
        self.remove(name, Step::Unlink, AtFlags::empty())
    }

    /// Removes the directory `name` and the files in it, if there is one.
    pub(in crate::store) fn unlink_directory(&self, name: &str) -> Result<(), Error> {
        let Some(directory) = self.child(name)? else {
            return Ok(());
        };
        for file in directory.names()? {
            directory.unlink(&file)?;
        }
        self.remove(name, Step::UnlinkDirectory, AtFlags::REMOVEDIR)
    }

    fn remove(&self, name: &str, step: Step, flags: AtFlags) -> Result<(), Error> {
        match self.before(step).and_then(|()| fs::unlinkat(&self.fd, name, flags)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Error::io("remove", self.path_of(name), error)),
        }
    }

    /// Notes when an open file of this directory was last used, in seconds since 1970, as its mtime.
    pub(in crate::store) fn touch(&self, file: &File, seconds: i64) -> Result<(), Errno> {
        let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let used = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: unchanged, last_modification: used };
        self.before(Step::Touch).and_then(|()| fs::futimens(file, &times))
    }

    /// Passes the failpoint of `step` in this directory.
    fn before(&self, step: Step) -> Result<(), Errno> {
        failpoint(step, &self.path)
    }
}
