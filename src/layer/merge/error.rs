//! Why layers do not fit on each other.

use crate::layer::limits::{PATH_BYTES_MAX, PATH_DEPTH_MAX};
use crate::layer::resolve::ResolveError;
use crate::layer::show::DisplayBytes;

/// A stack of layers that has no tree. `layer` counts from the bottom, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A directory that no entry of its layer names lies on something else.
    #[error("`{}` is a directory in layer {layer} but not in the layers below", DisplayBytes(path))]
    NotDirectory {
        /// The layer that has entries in the directory.
        layer: u16,
        /// The directory.
        path: Vec<u8>,
    },
    /// A directory that no entry of its layer names lies on a symlink that leads nowhere.
    #[error(
        "`{}` in layer {layer} lies behind a symlink that cannot be followed",
        DisplayBytes(path)
    )]
    Symlink {
        /// The layer that has entries in the directory.
        layer: u16,
        /// The directory.
        path: Vec<u8>,
        /// Why not.
        source: ResolveError,
    },
    /// The stack has no such path.
    #[error(
        "hard link `{}` in layer {layer} has the target `{}`, which is in no layer",
        DisplayBytes(path),
        DisplayBytes(target)
    )]
    LinkMissing {
        /// The layer of the link.
        layer: u16,
        /// A name of the link.
        path: Vec<u8>,
        /// What it should be another name of.
        target: Vec<u8>,
    },
    /// Directories have one name.
    #[error(
        "hard link `{}` in layer {layer} has the target `{}`, which is a directory",
        DisplayBytes(path),
        DisplayBytes(target)
    )]
    LinkToDirectory {
        /// The layer of the link.
        layer: u16,
        /// A name of the link.
        path: Vec<u8>,
        /// What it should be another name of.
        target: Vec<u8>,
    },
    /// Behind symlinks a path grew beyond what can be walked.
    #[error(
        "`{}` in layer {layer} is deeper than {PATH_DEPTH_MAX} names or longer than {PATH_BYTES_MAX} bytes",
        DisplayBytes(path)
    )]
    TooLong {
        /// The layer of the entry.
        layer: u16,
        /// Where it should have been put.
        path: Vec<u8>,
    },
    /// Dangling symlinks made a layer create more directories than this.
    #[error("layer {layer} needs more than {limit} directories behind dangling symlinks")]
    TooManyFollowed {
        /// The layer.
        layer: u16,
        /// The limit.
        limit: usize,
    },
    /// More inodes than a tree's table can number.
    #[error("the layers up to layer {layer} have more inodes than 32 bits can number")]
    TooManyInodes {
        /// The layer that was too much.
        layer: u16,
    },
    /// More layers than 16 bits can number.
    #[error("the stack has more than 65,536 layers")]
    TooManyLayers,
}

impl MergeError {
    /// A stable word for this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotDirectory { .. } => "merge-not-directory",
            Self::Symlink { .. } => "merge-symlink",
            Self::LinkMissing { .. } | Self::LinkToDirectory { .. } => "merge-hard-link",
            Self::TooLong { .. } => "merge-path-too-long",
            Self::TooManyFollowed { .. } | Self::TooManyInodes { .. } | Self::TooManyLayers => {
                "layer-limit"
            }
        }
    }
}
