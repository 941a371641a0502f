//! What goes wrong with bundles.

use std::io;

use crate::archive::bundle::contents::{CONTENTS, ContentsError};
use crate::layer::show::DisplayBytes;
use crate::layer::tar::error::TarError;
use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::spec::name::ImageName;

/// What goes wrong with a bundle. `origin` is the file that it is read from, or what stands for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It cannot be read.
    #[error("cannot read `{origin}`")]
    Io {
        /// The bundle.
        origin: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("`{origin}` is not a bundle: it does not begin with `{CONTENTS}`")]
    NotABundle {
        /// What is no bundle.
        origin: String,
    },
    /// It is no tar, or one that is cut short or damaged.
    #[error("`{origin}` cannot be read as a tar archive")]
    Tar {
        /// The bundle.
        origin: String,
        /// Where and why.
        #[source]
        source: TarError,
    },
    /// Its list is not one.
    #[error("`{CONTENTS}` of `{origin}` is wrong")]
    Contents {
        /// The bundle.
        origin: String,
        /// Why.
        #[source]
        source: ContentsError,
    },
    /// Another entry stands where one of the list should.
    #[error("`{origin}` has the entry `{}` where `{expected}` of {size_bytes} bytes should be", DisplayBytes(.found))]
    Entry {
        /// The bundle.
        origin: String,
        /// What should be there.
        expected: String,
        /// Its size by the list.
        size_bytes: u64,
        /// What is there.
        found: Box<[u8]>,
    },
    /// It ends before all of the list has come.
    #[error("`{origin}` ends before `{expected}`")]
    Cut {
        /// The bundle.
        origin: String,
        /// What should have come.
        expected: String,
    },
    /// Something stands behind the last entry of the list.
    #[error("`{origin}` has the entry `{}`, which is not in its `{CONTENTS}`", DisplayBytes(.found))]
    Unlisted {
        /// The bundle.
        origin: String,
        /// What is there.
        found: Box<[u8]>,
    },
    /// A file has other bytes than the list says.
    #[error("`{name}` of `{origin}` has the digest {actual}, its list says {expected}")]
    Digest {
        /// The bundle.
        origin: String,
        /// The file.
        name: String,
        /// By the list.
        expected: Digest,
        /// Of what came.
        actual: Digest,
    },
    /// A file is larger than any real one.
    #[error("`{name}` of `{origin}` has {size_bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// The bundle.
        origin: String,
        /// The file.
        name: String,
        /// Its bytes.
        size_bytes: u64,
        /// How many are read.
        limit: u64,
    },
    /// A file of the layout is not what the lock makes it.
    #[error("`{name}` of `{origin}` is not what its lock says")]
    Layout {
        /// The bundle.
        origin: String,
        /// The file.
        name: String,
    },
    /// Its lock cannot be read.
    #[error("the lock of `{origin}` cannot be read: {reason}")]
    Lock {
        /// The bundle.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is for an image or a platform that its lock does not have.
    #[error("`{origin}` is for image `{image}` on {platform}, which its lock does not have")]
    NotLocked {
        /// The bundle.
        origin: String,
        /// The image.
        image: ImageName,
        /// The platform.
        platform: String,
    },
    /// It holds something that nothing in its lock names.
    #[error("`{origin}` holds {artifact}, which is of none of its images")]
    Foreign {
        /// The bundle.
        origin: String,
        /// What.
        artifact: Artifact,
    },
    /// An artifact is not the one that is made of the same layers.
    #[error("{artifact} of `{origin}` is the file `{found}`, and of its layers comes `{made}`")]
    NotMade {
        /// The bundle.
        origin: String,
        /// Which.
        artifact: Artifact,
        /// The digest in the bundle.
        found: Digest,
        /// The digest of what is made, or what is in the store.
        made: Digest,
    },
    /// A layer image cannot be read, or is of another layer.
    #[error("{artifact} of `{origin}` is not the image of that layer")]
    LayerImage {
        /// The bundle.
        origin: String,
        /// Which.
        artifact: Artifact,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BundleError {
    /// Whether its bytes are not what they should be.
    pub const fn is_integrity(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::NotABundle { .. })
    }

    /// The stable code of the diagnostic.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "bundle-unreadable",
            Self::NotABundle { .. } => "not-a-bundle",
            _ => "bundle-damaged",
        }
    }

    /// What to do next.
    pub const fn help(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => None,
            Self::NotABundle { .. } => Some(
                "`sandbox-images export` makes bundles; other archives of images are sources: `oci:PATH`, `docker-archive:PATH`",
            ),
            _ => Some(
                "bring the bundle again, and find out what changed it: nothing of it was stored",
            ),
        }
    }
}
