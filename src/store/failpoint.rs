//! Failpoints: places at which a test ends the program, or makes a change to the file system fail.
//!
//! Every change that a store makes passes one, and so do those to the files of a project: the functions of
//! `directory/change` and of `replace` ask here before they act. A failpoint is a [`Step`] and the kind of
//! directory in which it is taken. `edges` lists them all, and the tests reach every one.
//!
//! Without the feature `failpoints`, `failpoint` is empty: nothing of this is in the program.

#[cfg(feature = "failpoints")]
pub mod edges;

#[cfg(feature = "failpoints")]
pub mod trap;

use std::path::Path;

use rustix::io::Errno;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A directory is made.
    MakeDirectory,
    /// A directory is given its mode.
    DirectoryMode,
    /// A file that did not exist is made.
    Create,
    /// A file that others share is opened, or made.
    Open,
    /// Bytes are written to a file.
    Write,
    /// A file is given its length.
    Resize,
    /// A file is given its mode.
    Mode,
    /// The bytes of a file are made durable.
    Sync,
    /// The names in a directory are made durable.
    SyncNames,
    /// A file is given its name in a directory.
    Rename,
    /// The name of a file is removed.
    Unlink,
    /// A directory is removed.
    UnlinkDirectory,
    /// The time of a file is set.
    Touch,
}

/// Passes the failpoint of `step` in a directory of a store: fails as a test wants it to.
#[cfg(feature = "failpoints")]
pub(super) fn failpoint(step: Step, directory: &Path) -> Result<(), Errno> {
    trap::pass(edges::edge_of(step, edges::place_of(directory)))
}

/// As [`failpoint`], outside of any store.
#[cfg(feature = "failpoints")]
pub(super) fn failpoint_outside(step: Step) -> Result<(), Errno> {
    trap::pass(edges::edge_of(step, edges::Place::Project))
}

/// Passes a failpoint of a program that has none.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature `failpoints` it can fail")]
pub(super) const fn failpoint(_step: Step, _directory: &Path) -> Result<(), Errno> {
    Ok(())
}

/// As [`failpoint`], outside of any store.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature `failpoints` it can fail")]
pub(super) const fn failpoint_outside(_step: Step) -> Result<(), Errno> {
    Ok(())
}
