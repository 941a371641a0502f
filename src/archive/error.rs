//! What goes wrong with images in files.

use std::io;
use std::path::PathBuf;

use crate::layer::decompress::DecompressError;
use crate::layer::limits::LimitExceeded;
use crate::layer::show::DisplayBytes;
use crate::layer::tar::error::TarError;
use crate::oci::digest::Digest;
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
    /// The directory or the archive is not an OCI image layout.
    #[error("`{}` is not an OCI image layout", .path.display())]
    NotALayout {
        /// The directory or the archive.
        path: PathBuf,
    },
    /// The archive is not one that `docker load` would take.
    #[error("`{}` is not a docker archive: it has no `manifest.json`", .path.display())]
    NotADockerArchive {
        /// The archive.
        path: PathBuf,
    },
    /// The file is no tar, or one that is damaged or ambiguous.
    #[error("`{}` cannot be read as a tar archive", .path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: TarError,
    },
    /// The file is compressed and cannot be unpacked.
    #[error("`{}` cannot be unpacked", .path.display())]
    Unpack {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecompressError,
    },
    /// An entry of an archive is one that no tool for images writes.
    #[error("entry `{}` of `{}` {reason}", DisplayBytes(.entry), .path.display())]
    Entry {
        /// The archive.
        path: PathBuf,
        /// Its name there.
        entry: Box<[u8]>,
        /// What is wrong with it, as the end of the sentence.
        reason: &'static str,
    },
    /// An archive has more of something than any real one.
    #[error("`{}` has more than {max} {what}", .path.display())]
    Limit {
        /// The archive.
        path: PathBuf,
        /// What there is too much of, in the plural.
        what: &'static str,
        /// The largest number that is accepted.
        max: u64,
    },
    /// An image of a docker archive has no `diff_id` for a layer, or no layer for a `diff_id`.
    #[error("`{}` has an image of {layers} layers whose config has {diff_ids} diff_ids", .path.display())]
    LayerCount {
        /// The archive.
        path: PathBuf,
        /// Layers by `manifest.json`.
        layers: usize,
        /// `diff_id`s of the config.
        diff_ids: usize,
    },
    /// An image of a docker archive has more layers than are accepted.
    #[error("cannot use `{}`", .path.display())]
    TooManyLayers {
        /// The archive.
        path: PathBuf,
        /// Which limit.
        #[source]
        source: LimitExceeded,
    },
    /// The source does not hold what is asked for by its digest.
    #[error("`{}` does not hold `{digest}`; its image has the manifest `{present}`", .path.display())]
    NotHeld {
        /// The archive.
        path: PathBuf,
        /// What is asked for.
        digest: Digest,
        /// The manifest of the image that is there.
        present: Digest,
    },
    /// The layout is of a version that is not known.
    #[error("`{}` has the layout version `{version}` instead of `1.0.0`", .path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// The version it says it has.
        version: String,
    },
    /// The layout or archive holds no image of this name.
    #[error("`{}` holds no image `{selector}`; there is {}", .path.display(), listed(.names))]
    NoImage {
        /// The directory or archive.
        path: PathBuf,
        /// The name.
        selector: String,
        /// The names that exist.
        names: Vec<String>,
    },
    /// The layout holds several images and none was named, or several have the same name.
    #[error("`{}` holds {count} images, so one has to be named; there is {}", .path.display(), listed(.names))]
    Several {
        /// The directory or archive.
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

    /// The stable code of the diagnostic.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotADockerArchive { .. }
            | Self::Tar { .. }
            | Self::Unpack { .. }
            | Self::Entry { .. }
            | Self::Limit { .. }
            | Self::LayerCount { .. } => "archive",
            Self::TooManyLayers { .. } => "layer-limit",
            Self::NotHeld { .. } => "archive-changed",
            _ => "layout",
        }
    }

    /// What to do next, where that can be known.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotHeld { .. } => Some(
                "bring the archive back that was locked, or move the pin with `sandbox-images update`",
            ),
            Self::NotADockerArchive { .. } => {
                Some("an archive of an OCI layout is named `oci:PATH`")
            }
            _ => None,
        }
    }
}
