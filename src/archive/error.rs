//! What goes wrong with images in files.

use std::io;
use std::path::PathBuf;

use crate::oci::document::error::DocumentError;
use crate::words::listed;

/// What goes wrong with images in files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The directory is not an OCI image layout.
    #[error("`{}` is not an OCI image layout", .path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
    },
    /// The layout is of a version that is not known.
    #[error("`{}` has the layout version `{version}` instead of `1.0.0`", .path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// The version it says it has.
        version: String,
    },
    /// The layout holds no image of this name.
    #[error("`{}` holds no image `{selector}`; there is {}", .path.display(), listed(.names))]
    NoImage {
        /// The directory.
        path: PathBuf,
        /// The name.
        selector: String,
        /// The names that exist.
        names: Vec<String>,
    },
    /// The layout holds several images and none was named, or several have the same name.
    #[error("`{}` holds {count} images, so one has to be named; there is {}", .path.display(), listed(.names))]
    Several {
        /// The directory.
        path: PathBuf,
        /// How many entries fit.
        count: usize,
        /// The names that exist.
        names: Vec<String>,
    },
    /// A path leads out of the layout, or to something that is not a file.
    #[error("`{}` is not a file of the layout", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A blob is larger or smaller than its descriptor says.
    #[error("`{}` has {actual} bytes instead of {expected}", .path.display())]
    Size {
        /// The blob's file.
        path: PathBuf,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// A document is refused.
    #[error("cannot use `{}`", .path.display())]
    Document {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<DocumentError>,
    },
}

impl Error {
    /// Whether bytes are not what their descriptor promises.
    pub fn is_integrity(&self) -> bool {
        match self {
            Self::Size { .. } => true,
            Self::Document { source, .. } => source.is_integrity(),
            _ => false,
        }
    }
}
