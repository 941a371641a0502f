//! Why a document is refused.

use crate::oci::digest::{Digest, DigestError};
use crate::oci::platform::Platform;
use crate::words::listed;

/// Why a document is refused. Texts of the document are shown escaped by who prints them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is larger than any real one.
    #[error("document has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// Its size is not the one that its descriptor says.
    #[error("`{digest}` has {actual} bytes instead of {expected}")]
    Size {
        /// The document.
        digest: Digest,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// Its digest is not the one that its descriptor says.
    #[error("document has the digest `{actual}` instead of `{expected}`")]
    Digest {
        /// The digest by the descriptor.
        expected: Digest,
        /// The digest of the bytes that came.
        actual: Digest,
    },
    /// It is not JSON, or a field has another type.
    #[error("document is not the expected JSON")]
    Json(#[source] serde_json::Error),
    /// A digest in it is not one.
    #[error("document has a wrong digest in `{field}`")]
    WrongDigest {
        /// Where.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: DigestError,
    },
    /// It has both `manifests` and `layers`, so that two readers would see two things.
    #[error("document is ambiguous: it has `manifests` as well as `layers` or `config`")]
    Ambiguous,
    /// It was announced as another thing than it is.
    #[error("document was announced as `{announced}` and says that it is `{actual}`")]
    MediaType {
        /// By the descriptor or the `Content-Type`.
        announced: String,
        /// By its `mediaType` or its form.
        actual: String,
    },
    /// Docker's schema 1 has no digests of layers' contents.
    #[error("image is in Docker's schema 1 format, which is not supported")]
    SchemaOne,
    /// It is an artifact, and has no file system.
    #[error("`{0}` is an artifact, not an image")]
    Artifact(String),
    /// It is neither an index nor a manifest.
    #[error("document is neither an image index nor an image manifest")]
    Unknown,
    /// A layer is of a kind that cannot be read.
    #[error("layer media type `{0}` is not supported")]
    LayerMediaType(String),
    /// A layer is to be had elsewhere only.
    #[error("layer media type `{0}` is foreign, and foreign layers are not allowed")]
    ForeignLayer(String),
    /// Manifest and config tell of different numbers of layers.
    #[error("manifest has {layers} layers, but its config has {diff_ids} diff_ids")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// `diff_id`s of the config.
        diff_ids: usize,
    },
    /// The index has no image for the platform.
    #[error("no image for {wanted}; there is {}", listed(.available))]
    NoPlatform {
        /// What was looked for.
        wanted: Platform,
        /// What exists, sorted.
        available: Vec<Platform>,
    },
    /// The config is of another platform than the index or the lock says.
    #[error("config is for `{actual}` instead of `{expected}`")]
    PlatformMismatch {
        /// The platform that was chosen.
        expected: Platform,
        /// `os/architecture` of the config.
        actual: String,
    },
    /// Indexes are nested deeper than any real ones.
    #[error("indexes are nested deeper than {0} levels")]
    TooDeep(usize),
}

impl DocumentError {
    /// Whether the bytes are not what they were promised to be, and not merely something that is not
    /// supported or not there.
    pub const fn is_integrity(&self) -> bool {
        match self {
            Self::Size { .. }
            | Self::Digest { .. }
            | Self::Json(_)
            | Self::WrongDigest { .. }
            | Self::Ambiguous
            | Self::MediaType { .. }
            | Self::LayerCount { .. }
            | Self::PlatformMismatch { .. } => true,
            Self::TooLarge { .. }
            | Self::SchemaOne
            | Self::Artifact(_)
            | Self::Unknown
            | Self::LayerMediaType(_)
            | Self::ForeignLayer(_)
            | Self::NoPlatform { .. }
            | Self::TooDeep(_) => false,
        }
    }

    /// Whether other bytes came than the descriptor promised, so that another transfer may help.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Size { .. } | Self::Digest { .. })
    }
}
