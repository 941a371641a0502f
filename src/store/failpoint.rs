//! Failpoints: places at which a test ends the program, or makes a change to the file system fail.
//!
//! Every change that a store makes passes one: the functions of `directory/change` ask here before they act. So
//! do those who change something else by the store's rule that nothing is half there: `unfinished` and
//! `replace` for the files of a project and what is handed out, `publish` for other programs' caches. A
//! failpoint is a [`Step`] and the [`Place`] in which it is taken. `edges` lists them all, and the tests reach
//! every one.
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
    /// A file is given a further name.
    Link,
    /// The name of a file is removed.
    Unlink,
    /// A directory is removed.
    UnlinkDirectory,
    /// The time of a file is set.
    Touch,
}

/// In which directory a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The store, and the directories in it that hold directories.
    Store,
    /// `tmp`, which holds a directory a run.
    Runs,
    /// `tmp/<run>`, where a run has its unfinished files.
    Run,
    /// Where artifacts lie.
    Artifacts,
    /// Where their records lie.
    Records,
    /// `refs`.
    References,
    /// `roots`.
    Roots,
    /// `leases`.
    Leases,
    /// `guards`.
    Guards,
    /// `partial`.
    Partials,
    /// `quarantine`.
    Quarantine,
    /// `publications`.
    Publications,
    /// Outside of a store, where a file is to be: in a project, or wherever the user said.
    Project,
    /// Outside of a store, where a directory is to be, or a file of the store under a second name.
    HandedOut,
    /// Another program's cache.
    Cache,
}

/// Passes the failpoint of `step` in a directory of a store: fails as a test wants it to.
#[cfg(feature = "failpoints")]
pub(super) fn failpoint(step: Step, directory: &Path) -> Result<(), Errno> {
    trap::pass(edges::edge_of(step, edges::place_of(directory)))
}

/// As [`failpoint`], outside of any store.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint_outside(step: Step, place: Place) -> Result<(), Errno> {
    trap::pass(edges::edge_of(step, place))
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
pub(crate) const fn failpoint_outside(_step: Step, _place: Place) -> Result<(), Errno> {
    Ok(())
}
