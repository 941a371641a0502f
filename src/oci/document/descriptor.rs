//! Descriptors: the media type, digest and size of something that lies elsewhere (OCI `descriptor.md`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::oci::digest::Digest;
use crate::oci::document::error::DocumentError;
use crate::oci::platform::Platform;

/// Marks the entries that `BuildKit` puts beside images: they attest something and cannot be run.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// Names an entry of a layout's `index.json` (OCI `annotations.md`).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What names, by its digest, something that lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The number of its bytes.
    pub size: u64,
    /// What it runs on, where the descriptor says so in words that a platform can have.
    pub platform: Option<Platform>,
    /// Remarks by key.
    pub annotations: BTreeMap<String, String>,
    /// Where else it may be had. Nothing follows these unless foreign layers are allowed.
    pub urls: Vec<String>,
}

impl Descriptor {
    /// A descriptor without platform, annotations and urls.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
        }
    }

    /// Checks that `bytes` are what this describes.
    pub fn check(&self, bytes: &[u8]) -> Result<(), DocumentError> {
        let size = bytes.len() as u64;
        if size != self.size {
            return Err(DocumentError::Size {
                digest: self.digest,
                expected: self.size,
                actual: size,
            });
        }
        check_digest(bytes, self.digest)
    }

    /// Whether this is an attestation beside images, and not an image.
    pub fn is_attestation(&self) -> bool {
        let unknown = |platform: &Platform| {
            platform.os() == "unknown" && platform.architecture() == "unknown"
        };
        self.annotations.contains_key(ATTESTATION) || self.platform.as_ref().is_some_and(unknown)
    }

    /// Its name in a layout.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }
}

/// Checks that `bytes` have the digest `expected`.
pub fn check_digest(bytes: &[u8], expected: Digest) -> Result<(), DocumentError> {
    let actual = Digest::of(bytes);
    if actual == expected { Ok(()) } else { Err(DocumentError::Digest { expected, actual }) }
}

/// A descriptor as JSON has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescriptorJson {
    media_type: Option<String>,
    digest: String,
    size: u64,
    platform: Option<PlatformJson>,
    annotations: Option<BTreeMap<String, Option<String>>>,
    urls: Option<Vec<String>>,
}

/// A platform as JSON has it.
#[derive(Debug, Deserialize)]
struct PlatformJson {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl DescriptorJson {
    /// The descriptor, whose digest stands in `field` of its document.
    pub(super) fn read(self, field: &'static str) -> Result<Descriptor, DocumentError> {
        let digest =
            self.digest.parse().map_err(|source| DocumentError::WrongDigest { field, source })?;
        let annotations = self.annotations.unwrap_or_default();
        let platform = self.platform.and_then(|platform| {
            read_platform(
                &platform.os.unwrap_or_default(),
                &platform.architecture.unwrap_or_default(),
                platform.variant.as_deref(),
            )
        });
        Ok(Descriptor {
            media_type: self.media_type.unwrap_or_default(),
            digest,
            size: self.size,
            platform,
            annotations: annotations
                .into_iter()
                .map(|(key, value)| (key, value.unwrap_or_default()))
                .collect(),
            urls: self.urls.unwrap_or_default(),
        })
    }
}

/// The platform that these words of a document name, if they are words that a platform can have.
/// containerd compares them without regard to case.
pub(super) fn read_platform(
    os: &str,
    architecture: &str,
    variant: Option<&str>,
) -> Option<Platform> {
    let mut text = format!("{os}/{architecture}");
    if let Some(variant) = variant.filter(|variant| !variant.is_empty()) {
        text = format!("{text}/{variant}");
    }
    text.to_ascii_lowercase().parse().ok()
}
