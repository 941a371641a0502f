//! Image indexes: images for several platforms (OCI `image-index.md`, Docker's manifest list).

use serde::Deserialize;

use crate::oci::document::descriptor::{Descriptor, DescriptorJson};
use crate::oci::document::error::DocumentError;
use crate::oci::document::json;
use crate::oci::document::kind::Kind;
use crate::oci::document::parsed::{MANIFEST_BYTES_MAX, Parsed};
use crate::oci::platform::Platform;

/// A list of images, of other indexes, and of what lies beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// OCI's form or Docker's.
    pub kind: Kind,
    /// The entries, in the order in which a reader tries them.
    pub manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct IndexJson {
    manifests: Vec<DescriptorJson>,
}

impl Index {
    /// The platforms of the images in it, sorted, attestations left out.
    pub fn platforms(&self) -> Vec<Platform> {
        let mut platforms: Vec<Platform> = self
            .manifests
            .iter()
            .filter(|entry| !entry.is_attestation())
            .filter_map(|entry| entry.platform.clone())
            .collect();
        platforms.sort();
        platforms.dedup();
        platforms
    }
}

impl Parsed for Index {
    const BYTES_MAX: u64 = MANIFEST_BYTES_MAX;
    const IS_BLOB: bool = false;

    fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, DocumentError> {
        let kind = Kind::of(bytes, media_type)?;
        if !kind.is_index() {
            return Err(DocumentError::MediaType {
                announced: Kind::OciIndex.media_type().to_owned(),
                actual: kind.media_type().to_owned(),
            });
        }
        let index: IndexJson = json::read(bytes)?;
        let entries = index.manifests.into_iter();
        Ok(Self {
            kind,
            manifests: entries
                .map(|entry| entry.read("manifests.digest"))
                .collect::<Result<_, _>>()?,
        })
    }
}
