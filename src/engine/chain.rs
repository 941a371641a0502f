//! The chain from an image's digest to its layers, checked whole.
//!
//! A lock is written by a program and edited by people, bots and merges. Before anything is fetched on its
//! word, the index must list the manifest, the manifest must name the config and the layers, and the config
//! their `diff_id`s, as the image's block says. The documents themselves were checked against their digests
//! when they were read.

use std::fmt;

use crate::oci::digest::Digest;
use crate::oci::document::Document;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::error::DocumentError;
use crate::oci::document::index::Index;
use crate::oci::document::manifest::Manifest;
use crate::oci::platform::Platform;
use crate::spec::lockfile::{LockedImage, LockedPlatform};
use crate::spec::name::ImageName;
use crate::words;

/// How an image's documents contradict its block in the lock, or each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The index does not list the manifest.
    #[error(
        "manifest `{manifest}` of image `{image}` for {platform} is not in its index `{index}`, which lists {}",
        words::listed(.listed)
    )]
    NotListed {
        /// The image.
        image: ImageName,
        /// The platform.
        platform: Platform,
        /// The manifest by the lock.
        manifest: Digest,
        /// The index by the lock.
        index: Digest,
        /// What it lists, indexes nested in it included.
        listed: Vec<Digest>,
    },
    /// A field of a document is not what the lock says.
    #[error(
        "{field} of image `{image}` for {platform} is `{actual}` in `{document}`, the lock says `{expected}`"
    )]
    Differs {
        /// The image.
        image: ImageName,
        /// The platform.
        platform: Platform,
        /// The document.
        document: Digest,
        /// What differs, such as `digest of layer 2`.
        field: String,
        /// By the lock.
        expected: String,
        /// By the document.
        actual: String,
    },
    /// A document is not what it should be.
    #[error("image `{image}` for {platform} is refused")]
    Document {
        /// The image.
        image: ImageName,
        /// The platform.
        platform: Platform,
        /// Why.
        #[source]
        source: DocumentError,
    },
}

/// One image on one platform, as the lock has it.
#[derive(Debug, Clone, Copy)]
pub struct Block<'l> {
    /// Its name.
    pub name: &'l ImageName,
    /// Its block.
    pub image: &'l LockedImage,
    /// The platform.
    pub platform: &'l Platform,
    /// What is locked for it.
    pub locked: &'l LockedPlatform,
}

impl Block<'_> {
    /// The index by the lock, or nothing where the image is a single manifest.
    pub fn index(&self) -> Option<Descriptor> {
        let media_type = self.image.media_type;
        media_type
            .is_index()
            .then(|| Descriptor::new(media_type.media_type(), self.image.digest, self.image.size))
    }

    /// Checks what `indexes`, the image's own first and then those nested in it, say of the manifest.
    pub fn check_listed(&self, indexes: &[Document<Index>]) -> Result<(), ChainError> {
        let entries = || indexes.iter().flat_map(|index| &index.parsed().manifests);
        let manifest = self.locked.manifest;
        match entries().find(|entry| entry.digest == manifest.digest) {
            Some(entry) => {
                self.same("size of the manifest", self.image.digest, &manifest.size, &entry.size)
            }
            None => Err(ChainError::NotListed {
                image: self.name.clone(),
                platform: self.platform.clone(),
                manifest: manifest.digest,
                index: self.image.digest,
                listed: entries().map(|entry| entry.digest).collect(),
            }),
        }
    }

    /// Checks that an image without an index is locked to one manifest only.
    pub fn check_single(&self) -> Result<(), ChainError> {
        let digest = self.image.digest;
        self.same("digest of the manifest", digest, &self.locked.manifest.digest, &digest)
    }

    /// Checks the manifest field by field.
    pub fn check_manifest(&self, manifest: &Document<Manifest>) -> Result<(), ChainError> {
        let document = manifest.digest();
        let named = &manifest.parsed().config;
        self.same("digest of the config", document, &self.locked.config.digest, &named.digest)?;
        self.same("size of the config", document, &self.locked.config.size, &named.size)?;
        let layers = &manifest.parsed().layers;
        self.same("number of layers", document, &self.locked.layers.len(), &layers.len())?;
        for (place, (locked, layer)) in self.locked.layers.iter().zip(layers).enumerate() {
            let field = |what: &str| format!("{what} of layer {}", place + 1);
            self.same(&field("digest"), document, &locked.digest, &layer.digest)?;
            self.same(&field("size"), document, &locked.size, &layer.size)?;
            let media_type = locked.layer_type.media_type();
            self.same(&field("media type"), document, media_type, layer.media_type.as_str())?;
        }
        Ok(())
    }

    /// Checks the config: a `diff_id` for each layer, and the platform.
    pub fn check_config(
        &self,
        config: &Document<ImageConfig>,
        allow_platform_mismatch: bool,
    ) -> Result<(), ChainError> {
        let document = config.digest();
        let diff_ids = &config.parsed().diff_ids;
        self.same("number of diff_ids", document, &self.locked.layers.len(), &diff_ids.len())?;
        for (place, (locked, diff_id)) in self.locked.layers.iter().zip(diff_ids).enumerate() {
            let field = format!("diff_id of layer {}", place + 1);
            self.same(&field, document, &locked.diff_id, diff_id)?;
        }
        if allow_platform_mismatch {
            return Ok(());
        }
        config.parsed().check_platform(self.platform).map_err(|source| ChainError::Document {
            image: self.name.clone(),
            platform: self.platform.clone(),
            source,
        })
    }

    fn same<T: PartialEq + fmt::Display + ?Sized>(
        &self,
        field: &str,
        document: Digest,
        expected: &T,
        actual: &T,
    ) -> Result<(), ChainError> {
        if expected == actual {
            return Ok(());
        }
        Err(ChainError::Differs {
            image: self.name.clone(),
            platform: self.platform.clone(),
            document,
            field: field.to_owned(),
            expected: expected.to_string(),
            actual: actual.to_string(),
        })
    }
}
