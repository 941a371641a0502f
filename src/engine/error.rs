//! What goes wrong while decisions are carried out.

mod meaning;

use std::io;
use std::path::PathBuf;

use crate::archive;
use crate::archive::bundle::error::BundleError;
use crate::disk::dm::DmError;
use crate::disk::erofs;
use crate::disk::erofs::reader::error::ReadError;
use crate::disk::extents::DiskTooLong;
use crate::disk::vmdk::VmdkError;
use crate::engine::chain::ChainError;
use crate::layer::builder::error::ChangesetError;
use crate::layer::limits::LimitExceeded;
use crate::layer::merge::error::MergeError;
use crate::layer::overlay::OverlayError;
use crate::oci::digest::{DiffId, Digest};
use crate::oci::document::error::DocumentError;
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::locked::OtherFormat;
use crate::registry;
use crate::spec::source::ImageSource;
use crate::store;
use crate::store::content::ContentDigest;
use crate::store::record::Record;
use crate::words::listed;

/// What a failure means to the caller: which exit code it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Network after retries, I/O, a layer that cannot be built.
    Failed,
    /// Something is not in the store and cannot be had without a network.
    Missing,
    /// Bytes are not what a digest, a size or the lock says.
    Integrity,
    /// Credentials are refused or missing.
    Denied,
    /// Another process held a guard for too long.
    Busy,
    /// The lock is one that this tool cannot hold a store to.
    Stale,
}

/// What goes wrong while decisions are carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] registry::error::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::error::Error),
    /// A layout or an archive failed.
    #[error(transparent)]
    Archive(#[from] archive::error::Error),
    /// A bundle failed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An image's documents do not agree with its block in the lock.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An image cannot be locked.
    #[error("cannot use `{reference}`")]
    Document {
        /// Where the image comes from.
        reference: ImageSource,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// An image has more layers than are accepted.
    #[error("cannot use `{reference}`")]
    TooManyLayers {
        /// Where the image comes from.
        reference: ImageSource,
        /// Which limit.
        #[source]
        source: LimitExceeded,
    },
    /// An image exists for none of the platforms that it is wanted for.
    #[error("`{reference}` is for none of the wanted platforms; there is {}", listed(.available))]
    NoPlatform {
        /// Where the image comes from.
        reference: ImageSource,
        /// What exists.
        available: Vec<Platform>,
    },
    /// The program ends while a local source is opened.
    #[error("`{0}` was not opened before the program ended")]
    NotOpened(ImageSource),
    /// An image is to be resolved, and there is no network.
    #[error("`{0}` is not asked offline")]
    NoNetwork(ImageSource),
    /// It is to be fetched, and there is no network.
    #[error(
        "{artifact} ({size_bytes} bytes) is not in the store, and `{reference}` is not asked offline"
    )]
    Offline {
        /// What is missing.
        artifact: Artifact,
        /// Compressed bytes to fetch.
        size_bytes: u64,
        /// Where it would come from.
        reference: ImageSource,
    },
    /// An image is to be taken as it was pulled before, and was not.
    #[error("`{reference}` was not pulled into this store for {platform}")]
    NotPulled {
        /// Where the image would come from.
        reference: ImageSource,
        /// The platform.
        platform: Platform,
    },
    /// A layer came whole, with other bytes than its digest names.
    #[error("layer `{expected}` from `{reference}` has digest `{actual}`")]
    LayerDigest {
        /// The digest by the lock.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
        /// Where it came from.
        reference: ImageSource,
    },
    /// A layer's compressed bytes are right, and its tar is another than the lock and the config say.
    #[error("layer `{digest}` has diff_id `{actual}`, the lock says `{expected}`")]
    LayerDiffId {
        /// The digest of the compressed bytes.
        digest: Digest,
        /// The `diff_id` by the lock.
        expected: DiffId,
        /// The `diff_id` of what came.
        actual: DiffId,
    },
    /// A layer is what its digest names, and cannot be built.
    #[error("layer `{digest}` cannot be built")]
    Layer {
        /// The digest of the compressed bytes.
        digest: Digest,
        /// Why.
        #[source]
        source: ChangesetError,
    },
    /// A layer's image cannot be written.
    #[error("layer `{digest}` cannot be written as EROFS")]
    LayerImage {
        /// The digest of the compressed bytes.
        digest: Digest,
        /// Why.
        #[source]
        source: erofs::error::Error,
    },
    /// A layer's image in the store is not what was written there.
    #[error("the image of {0} cannot be read")]
    Stored(Artifact, #[source] ReadError),
    /// A layer's image in the store holds what no layer can.
    #[error("the image of {0} is not one of a layer")]
    Overlay(Artifact, #[source] OverlayError),
    /// A stack of layers makes no tree.
    #[error("the layers of {0} do not fit together")]
    Merge(Artifact, #[source] MergeError),
    /// A merged tree cannot be written.
    #[error("{0} cannot be written")]
    Fsmeta(Artifact, #[source] erofs::error::Error),
    /// A disk would be too long.
    #[error("{0} cannot be written")]
    TooLong(Artifact, #[source] DiskTooLong),
    /// A disk cannot be described.
    #[error("{0} cannot be written")]
    Vmdk(Artifact, #[source] VmdkError),
    /// A layer's image has another length than the fsmeta was built for.
    #[error("{artifact} has {actual} bytes, its fsmeta says {expected}")]
    PartSize {
        /// Which part of the disk.
        artifact: Artifact,
        /// Bytes by the fsmeta.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// A disk cannot be a device-mapper table.
    #[error("{0} cannot be written")]
    DmTable(Artifact, #[source] DmError),
    /// A disk cannot be written outside of the store.
    #[error("cannot write `{}`", path.display())]
    Output {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was built, or was there, is not what the lock says that everybody builds.
    #[error("{artifact} is the file `{actual}`, the lock says `{expected}`")]
    ArtifactDiffers {
        /// Which.
        artifact: Artifact,
        /// The digest of the file by the lock.
        expected: Digest,
        /// The digest of the file in the store.
        actual: Digest,
    },
    /// What an artifact holds is not what such an artifact must hold, though its record says that it was
    /// committed so.
    #[error("{artifact} {problem}")]
    Structure {
        /// Which.
        artifact: Artifact,
        /// What is wrong, as a verb and its object.
        problem: &'static str,
    },
    /// A file that follows from others is not what follows from them.
    #[error("{artifact} is the file `{actual}`, its layers make `{expected}`")]
    NotDerived {
        /// Which.
        artifact: Artifact,
        /// The digest of what its layers make.
        expected: Digest,
        /// The digest of the file.
        actual: Digest,
    },
    /// The lock has digests of artifacts that this tool cannot build.
    #[error(transparent)]
    OtherFormat(#[from] OtherFormat),
    /// What it needs could not be made.
    #[error("{artifact} is not made, because {because} is missing")]
    Skipped {
        /// What was to be made.
        artifact: Artifact,
        /// What could not be made before.
        because: Artifact,
    },
    /// A thread ended before its work did.
    #[error("the work on {0} ended before it was done")]
    Aborted(Artifact),
}

impl Error {
    /// Whether a layer's blob came whole, with other bytes than its descriptor promises.
    pub(super) fn is_wrong_blob(&self) -> bool {
        match self {
            Self::LayerDigest { .. } => true,
            Self::Registry(error) => error.is_damage(),
            _ => false,
        }
    }

    /// Whether what came of a layer's blob is of no use to another try.
    pub(super) fn condemns_blob(&self) -> bool {
        self.is_wrong_blob() || matches!(self, Self::LayerDiffId { .. } | Self::Layer { .. })
    }

    /// Whether a registry says that it does not have it.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Registry(error) if error.kind() == registry::error::ErrorKind::NotFound)
    }
}

/// What came of committing an artifact to which the lock may give a digest: bytes that have another one
/// contradict the lock.
pub(super) fn committed(committed: Result<Record, store::error::Error>) -> Result<Record, Error> {
    committed.map_err(|error| match error {
        store::error::Error::WrongDigest {
            artifact: artifact @ (Artifact::Layer(_) | Artifact::Fsmeta(_)),
            expected,
            actual: ContentDigest::Sha256(actual),
        } => Error::ArtifactDiffers { artifact, expected, actual },
        error => error.into(),
    })
}

/// The store's own error, if that is what a writer passed on; it knows what to do next. Else what `other`
/// makes of it.
pub(super) fn not_stored(error: io::Error, other: impl FnOnce(io::Error) -> Error) -> Error {
    error.downcast::<store::error::Error>().map_or_else(other, Error::Store)
}
