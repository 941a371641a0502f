//! Why an entry of a layer is refused.

use crate::layer::limits::{LimitExceeded, SYMLINK_BYTES_MAX};
use crate::layer::name::NameError;
use crate::layer::read::ReadError;
use crate::layer::resolve::ResolveError;
use crate::layer::show::DisplayBytes;
use crate::layer::xattrs::XattrError;

/// A layer that cannot be taken as it is. Nothing of it is used then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangesetError {
    /// The stream or the tar is damaged, or the sink failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An entry is well-formed and cannot be what it says.
    #[error("entry `{}` at byte {offset_bytes} is refused", DisplayBytes(entry))]
    Entry {
        /// The name as the archive has it.
        entry: Box<[u8]>,
        /// Where the entry's header starts in the uncompressed tar.
        offset_bytes: u64,
        /// What is wrong with it.
        #[source]
        problem: EntryError,
    },
}

impl ChangesetError {
    /// A stable word for what is wrong.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(ReadError::Decompress(error)) => error.code(),
            Self::Read(ReadError::Tar(error)) => error.code(),
            Self::Read(ReadError::Sink(_)) => "layer-output",
            Self::Read(_) => "layer-input",
            Self::Entry { problem, .. } => problem.code(),
        }
    }

    /// The name of the entry, as the archive has it, if it is about one.
    pub fn entry(&self) -> Option<&[u8]> {
        match self {
            Self::Read(ReadError::Tar(error)) => error.entry(),
            Self::Read(_) => None,
            Self::Entry { entry, .. } => Some(entry),
        }
    }

    /// Where in the uncompressed tar the trouble is, if that is known.
    pub fn offset_bytes(&self) -> Option<u64> {
        match self {
            Self::Read(ReadError::Tar(error)) => Some(error.offset_bytes()),
            Self::Read(_) => None,
            Self::Entry { offset_bytes, .. } => Some(*offset_bytes),
        }
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Its name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The directory that it should be in.
    #[error(transparent)]
    Parent(#[from] ResolveError),
    /// Its extended attributes.
    #[error(transparent)]
    Xattr(#[from] XattrError),
    /// The root can be nothing but a directory.
    #[error("the root of a layer is not a directory")]
    Root,
    /// Linux has no empty symlinks.
    #[error("the symlink has no target")]
    SymlinkEmpty,
    /// Linux could not read it.
    #[error("the symlink's target has {0} bytes, beyond the limit of {SYMLINK_BYTES_MAX}")]
    SymlinkTooLong(usize),
    /// No file system can hold it.
    #[error("the symlink's target holds a NUL byte")]
    SymlinkNul,
    /// In overlayfs this is a whiteout, which a layer writes as `.wh.NAME`.
    #[error("a character device 0:0 would be taken for a whiteout")]
    WhiteoutDevice,
    /// The text of a hard link's target.
    #[error("the hard link's target is no path: {0}")]
    LinkName(NameError),
    /// The directory that a hard link's target should be in.
    #[error("the hard link's target cannot be reached: {0}")]
    LinkParent(ResolveError),
    /// A whiteout, or a file of AUFS that no layer ships.
    #[error("the hard link's target is a name that stands for no file")]
    LinkReserved,
    /// Directories have one name.
    #[error("the hard link's target is a directory")]
    LinkToDirectory,
    /// Itself, or something in a directory that the link replaces.
    #[error("the hard link would replace its own target")]
    LinkToItself,
    /// Too many entries, with the directories that they imply.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl EntryError {
    /// A stable word for this kind of error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "entry-name",
            Self::Parent(_) => "entry-parent",
            Self::Xattr(_) => "entry-xattr",
            Self::Root => "entry-root",
            Self::SymlinkEmpty | Self::SymlinkTooLong(_) | Self::SymlinkNul => "entry-symlink",
            Self::WhiteoutDevice => "entry-whiteout-device",
            Self::LinkName(_)
            | Self::LinkParent(_)
            | Self::LinkReserved
            | Self::LinkToDirectory
            | Self::LinkToItself => "entry-hard-link",
            Self::Limit(_) => "layer-limit",
        }
    }
}
