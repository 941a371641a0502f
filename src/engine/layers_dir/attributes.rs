//! Owner, extended attributes, mode and time of what was unpacked, in this order: a new owner takes setuid bits
//! and file capabilities away, and a file that nobody may write to takes no `user.*` attributes.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;

use crate::layer::tree::{Metadata, Timestamp};

/// What was not allowed, counted.
#[derive(Debug, Default)]
pub(super) struct Shortfalls {
    /// Files that belong to this user in place of their owner.
    pub(super) owners: u64,
    /// Device nodes that are not there.
    pub(super) devices: u64,
    /// Extended attributes that are not there.
    pub(super) xattrs: u64,
    /// Hard links into lower layers, which are empty files.
    pub(super) links: u64,
}

impl Shortfalls {
    /// What is to be said of them.
    pub(super) fn clauses(&self) -> Vec<String> {
        let Self { owners, devices, xattrs, links } = *self;
        [
            (owners, "files belong to this user, who may not give them away"),
            (devices, "device nodes are left out, which this user may not make"),
            (xattrs, "extended attributes are left out, which this user or the file system does not allow"),
            (links, "hard links to files of lower layers are empty files"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}

/// Gives an open file or directory its metadata.
pub(super) fn set_on_file(
    file: impl AsFd,
    metadata: &Metadata,
    shortfalls: &mut Shortfalls,
) -> io::Result<()> {
    let (owner, group) = owner(metadata);
    shortfalls.owners += refused(fchown(&file, owner, group))?;
    set_xattrs(metadata, shortfalls, |name, value| {
        fsetxattr(&file, name, value, XattrFlags::empty())
    })?;
    fchmod(&file, Mode::from_raw_mode(metadata.mode.into()))?;
    Ok(futimens(&file, &times(metadata.mtime))?)
}

/// Gives what has `name` in `directory`, and was just made there, its metadata without following it: a link, a
/// device or a pipe. A link has no mode.
pub(super) fn set_on_name(
    directory: impl AsFd,
    name: &[u8],
    mode: Option<u16>,
    metadata: &Metadata,
    shortfalls: &mut Shortfalls,
) -> io::Result<()> {
    let (owner, group) = owner(metadata);
    let chowned = chownat(&directory, name, owner, group, AtFlags::SYMLINK_NOFOLLOW);
    shortfalls.owners += refused(chowned)?;
    // No call sets attributes by directory and name, but the kernel's own link to the directory leads there.
    let folder = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd());
    let path = [folder.as_bytes(), name].concat();
    set_xattrs(metadata, shortfalls, |name, value| {
        lsetxattr(&path[..], name, value, XattrFlags::empty())
    })?;
    if let Some(mode) = mode {
        chmodat(&directory, name, Mode::from_raw_mode(mode.into()), AtFlags::empty())?;
    }
    Ok(utimensat(&directory, name, &times(metadata.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)))
}

/// 1 if it was not allowed.
fn refused(result: Result<(), Errno>) -> io::Result<u64> {
    match result {
        Ok(()) => Ok(0),
        Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::INVAL) => Ok(1),
        Err(error) => Err(error.into()),
    }
}

/// Sets attributes by `set`. Who may not set `trusted.*` gets overlayfs's marks in the form that it has for
/// such users (`userxattr`).
fn set_xattrs(
    metadata: &Metadata,
    shortfalls: &mut Shortfalls,
    set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>,
) -> io::Result<()> {
    for (name, value) in &metadata.xattrs {
        let done = match (set(name, value), name.strip_prefix(b"trusted.")) {
            (Err(Errno::PERM), Some(rest)) if is_mark(rest) => {
                set(&[b"user.", rest].concat(), value)
            }
            (done, _) => done,
        };
        shortfalls.xattrs += refused(done)?;
    }
    Ok(())
}

fn is_mark(name: &[u8]) -> bool {
    name.starts_with(b"overlay.") || name.starts_with(b"sandbox-images.")
}

fn times(time: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
