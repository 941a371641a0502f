//! What is published of one image: files of a store, and texts.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::disk::Disk;
use crate::oci::digest::{DiffId, Digest};
use crate::oci::document::Document;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::manifest::Manifest;
use crate::oci::document::parsed::Parsed;
use crate::plan::artifact::Artifact;
use crate::publish::error::Error;
use crate::publish::microsandbox::note::NotedImage;
use crate::publish::microsandbox::{Image, metadata, names};
use crate::store::Store;
use crate::store::stored::StoredFile;

/// All that an image is.
#[derive(Debug)]
pub(super) struct Content {
    /// What it can be asked for by.
    pub(super) references: BTreeSet<String>,
    /// The digest of its manifest.
    pub(super) manifest: Digest,
    /// The images of its layers, each once.
    pub(super) layers: BTreeMap<DiffId, StoredFile>,
    /// The merged metadata.
    pub(super) fsmeta: StoredFile,
    /// The disk.
    pub(super) vmdk: String,
    /// What is known of it.
    pub(super) metadata: Vec<u8>,
    artifacts: BTreeSet<Artifact>,
}

impl Content {
    /// Reads the image's documents and opens its files, all of which are in `store`.
    pub(super) fn of(store: &Store, image: &Image<'_>) -> Result<Self, Error> {
        let references = image.references()?;
        let manifest: Document<Manifest> = document(store, image.locked.manifest.digest)?;
        let config: Document<ImageConfig> = document(store, image.locked.config.digest)?;
        let diff_ids: Vec<DiffId> = image.locked.diff_ids().collect();
        let mut layers = BTreeMap::new();
        for &diff_id in &diff_ids {
            layers.insert(diff_id, store.open(Artifact::Layer(diff_id))?);
        }
        let chain_id = image.locked.chain_id();
        let manifest_digest = manifest.digest();
        let vmdk = Disk::open(store, chain_id)?.vmdk(|part| match part.artifact {
            Artifact::Layer(diff_id) => format!("../{}/{}", names::LAYERS, names::layer(diff_id)),
            _ => format!("../{}/{}", names::FSMETA, names::fsmeta(manifest_digest)),
        })?;
        Ok(Self {
            references,
            manifest: manifest_digest,
            layers,
            fsmeta: store.open(Artifact::Fsmeta(chain_id))?,
            vmdk,
            metadata: metadata::render(&manifest, &config, &diff_ids)?,
            artifacts: image.artifacts(),
        })
    }

    /// What stands for its references in names.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.references.iter().map(|reference| names::key(reference)).collect()
    }

    /// What is noted of it.
    pub(super) fn noted(&self) -> NotedImage {
        NotedImage { artifacts: self.artifacts.clone(), keys: self.keys() }
    }
}

fn document<T: Parsed>(store: &Store, digest: Digest) -> Result<Document<T>, Error> {
    let bytes = store.read_blob(digest, T::BYTES_MAX)?;
    Document::parse(bytes, None).map_err(|source| Error::Document { digest, source })
}
