//! Documents of an image: index, manifest and config, as raw bytes with their digest and what they say.
//!
//! The bytes are kept and never written again from the parsed form, because their digest is their name.
//! A document is refused where two readers could understand it differently: duplicate JSON keys, both
//! `manifests` and `layers`, a `mediaType` that contradicts what the document was announced as. Fields
//! that nothing here decides upon are ignored, as OCI's `considerations.md` ("Extensibility") asks.

pub mod error;

pub mod media_type;

pub mod layer_type;

pub mod json;

pub mod parsed;

pub mod descriptor;

pub mod kind;

pub mod manifest;

pub mod index;

pub mod config;

pub mod search;

use crate::oci::digest::Digest;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::error::DocumentError;
use crate::oci::document::index::Index;
use crate::oci::document::kind::Kind;
use crate::oci::document::manifest::Manifest;
use crate::oci::document::parsed::{MANIFEST_BYTES_MAX, Parsed};

/// A document's bytes, their digest and what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<T> {
    bytes: Vec<u8>,
    digest: Digest,
    parsed: T,
}

impl<T: Parsed> Document<T> {
    /// Reads `bytes`. `media_type` is what they were announced as, by a descriptor or a `Content-Type`.
    pub fn parse(bytes: Vec<u8>, media_type: Option<&str>) -> Result<Self, DocumentError> {
        check_size::<T>(bytes.len() as u64)?;
        Ok(Self { digest: Digest::of(&bytes), parsed: T::parse(&bytes, media_type)?, bytes })
    }

    /// Reads the bytes that `descriptor` describes: size, digest and media type must agree.
    pub fn verify(bytes: Vec<u8>, descriptor: &Descriptor) -> Result<Self, DocumentError> {
        check_size::<T>(descriptor.size)?;
        descriptor.check(&bytes)?;
        Self::parse(bytes, Some(&descriptor.media_type))
    }
}

impl<T> Document<T> {
    /// The bytes as they were served.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes themselves, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The digest of the bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of bytes.
    pub const fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What they say.
    pub const fn parsed(&self) -> &T {
        &self.parsed
    }
}

fn check_size<T: Parsed>(size: u64) -> Result<(), DocumentError> {
    if size > T::BYTES_MAX {
        return Err(DocumentError::TooLarge { size, limit: T::BYTES_MAX });
    }
    Ok(())
}

/// What a reference can name: an index of several images, or one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Images for several platforms.
    Index(Index),
    /// One image.
    Manifest(Manifest),
}

impl Parsed for Root {
    const BYTES_MAX: u64 = MANIFEST_BYTES_MAX;
    const IS_BLOB: bool = false;

    fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Self, DocumentError> {
        if Kind::of(bytes, media_type)?.is_index() {
            Index::parse(bytes, media_type).map(Self::Index)
        } else {
            Manifest::parse(bytes, media_type).map(Self::Manifest)
        }
    }
}

impl Root {
    /// Its form.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Index(index) => index.kind,
            Self::Manifest(manifest) => manifest.kind,
        }
    }
}

/// Checks that `config` has a `diff_id` for each layer of `manifest`.
pub fn check_layers(manifest: &Manifest, config: &ImageConfig) -> Result<(), DocumentError> {
    let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids.len());
    if layers == diff_ids { Ok(()) } else { Err(DocumentError::LayerCount { layers, diff_ids }) }
}

#[cfg(test)]
mod tests;
