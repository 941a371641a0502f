//! What the bytes of a document can be read as, and how many there may be.

use crate::oci::document::error::DocumentError;

/// A manifest or an index may be this large: the limit that registries themselves set.
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// A config may be this large. Those of real images stay under 1 MiB.
pub const CONFIG_BYTES_MAX: u64 = 8 << 20;

/// What a document's bytes can be read as.
pub trait Parsed: Sized {
    /// A document of this type may have this many bytes.
    const BYTES_MAX: u64;

    /// Whether a registry holds it among its blobs, and not among its manifests.
    const IS_BLOB: bool;

    /// Reads `bytes`, which were announced as `media_type`; `None` where nothing announced them.
    fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, DocumentError>;
}
