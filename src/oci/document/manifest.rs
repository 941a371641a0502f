//! Image manifests: the config and the layers of one image (OCI `manifest.md`, Docker's schema 2).

use serde::Deserialize;

use crate::oci::document::descriptor::{Descriptor, DescriptorJson};
use crate::oci::document::error::DocumentError;
use crate::oci::document::json;
use crate::oci::document::kind::Kind;
use crate::oci::document::parsed::{MANIFEST_BYTES_MAX, Parsed};

/// The config and the layers of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// OCI's form or Docker's.
    pub kind: Kind,
    /// Where the config is.
    pub config: Descriptor,
    /// The layers, bottom to top.
    pub layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct ManifestJson {
    config: DescriptorJson,
    layers: Vec<DescriptorJson>,
}

impl Parsed for Manifest {
    const BYTES_MAX: u64 = MANIFEST_BYTES_MAX;
    const IS_BLOB: bool = false;

    fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, DocumentError> {
        let kind = Kind::of(bytes, media_type)?;
        if kind.is_index() {
            return Err(DocumentError::MediaType {
                announced: Kind::OciManifest.media_type().to_owned(),
                actual: kind.media_type().to_owned(),
            });
        }
        let manifest: ManifestJson = json::read(bytes)?;
        let config = manifest.config.read("config.digest")?;
        let layers = manifest.layers.into_iter();
        Ok(Self {
            kind,
            config,
            layers: layers.map(|layer| layer.read("layers.digest")).collect::<Result<_, _>>()?,
        })
    }
}
