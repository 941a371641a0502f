//! What can be done to a store, as data.
//!
//! Each [`Action`] makes one artifact and says which others must be there before: [`Action::needs`] and
//! [`Action::makes`] are all that a scheduler has to know, and the same values are what a dry run prints.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::document::layer_type::LayerType;
use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Fetch an index, a manifest or a config.
    FetchDocument(FetchDocument),
    /// Fetch a compressed layer and make its EROFS image while it streams.
    FetchLayer(FetchLayer),
    /// Fetch a compressed layer, and make nothing of it yet.
    FetchBlob(FetchLayer),
    /// Make the EROFS image of a layer whose compressed bytes are in the store.
    BuildLayer(FetchLayer),
    /// Merge the metadata of a stack of layers.
    BuildFsmeta(Stack),
    /// Write the text that joins merged metadata and layers into a disk.
    WriteDisk(Stack),
}

/// Which image something is wanted for, and where that image comes from. Of several images that share it,
/// the first by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The image.
    pub image: ImageName,
    /// The platform of it.
    pub platform: Platform,
    /// Where it comes from.
    pub source: ImageSource,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// An OCI index or a Docker manifest list.
    Index,
    /// An OCI or Docker manifest.
    Manifest,
    /// An image config.
    Config,
}

/// A document to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchDocument {
    /// What it is.
    pub kind: DocumentKind,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    #[serde(rename = "size_bytes")]
    pub size: u64,
    /// Where to get it.
    pub origin: Origin,
}

/// A layer to be fetched, or to be built of what was fetched before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchLayer {
    /// The digest of the compressed bytes.
    pub digest: Digest,
    /// Their number.
    #[serde(rename = "size_bytes")]
    pub size: u64,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Its media type.
    #[serde(rename = "media_type")]
    pub layer_type: LayerType,
    /// The manifest that lists it: checked against the lock before a layer is fetched on its word. Nothing where
    /// the lock is believed without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The config that has its `diff_id`.
    pub config: Digest,
    /// The digest that its image has by the lock, if the lock has digests of artifacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erofs: Option<Digest>,
    /// Where to get it.
    pub origin: Origin,
}

/// A stack of layers from which something is to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// Its identity.
    pub chain_id: ChainId,
    /// The layers, bottom to top.
    pub layers: Vec<DiffId>,
    /// The digest that the merged metadata have by the lock, if the lock has digests of artifacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsmeta: Option<Digest>,
    /// Whom it is built for.
    pub origin: Origin,
}

impl Action {
    /// What must be in the store before it can be done.
    pub fn needs(&self) -> BTreeSet<Artifact> {
        let layers = |stack: &Stack| stack.layers.iter().copied().map(Artifact::Layer).collect();
        match self {
            Self::FetchDocument(_) => BTreeSet::new(),
            Self::FetchLayer(layer) | Self::FetchBlob(layer) => layer.documents().collect(),
            Self::BuildLayer(layer) => {
                layer.documents().chain([Artifact::Blob(layer.digest)]).collect()
            }
            Self::BuildFsmeta(stack) => layers(stack),
            Self::WriteDisk(stack) => {
                let mut needs: BTreeSet<Artifact> = layers(stack);
                needs.insert(Artifact::Fsmeta(stack.chain_id));
                needs
            }
        }
    }

    /// What is in the store after it was done.
    pub const fn makes(&self) -> Artifact {
        match self {
            Self::FetchDocument(document) => Artifact::Blob(document.digest),
            Self::FetchBlob(layer) => Artifact::Blob(layer.digest),
            Self::FetchLayer(layer) | Self::BuildLayer(layer) => Artifact::Layer(layer.diff_id),
            Self::BuildFsmeta(stack) => Artifact::Fsmeta(stack.chain_id),
            Self::WriteDisk(stack) => Artifact::Disk(stack.chain_id),
        }
    }

    /// Whether it is soon done and opens few files: what it costs is the way to a registry and back.
    pub const fn is_small(&self) -> bool {
        matches!(self, Self::FetchDocument(_))
    }

    /// Whether it makes what one layer alone is needed for: its blob or its image.
    pub const fn is_of_layer(&self) -> bool {
        matches!(self, Self::FetchLayer(_) | Self::FetchBlob(_) | Self::BuildLayer(_))
    }

    /// Bytes that it transfers, if nothing is there in another form.
    pub const fn download_bytes(&self) -> u64 {
        match self {
            Self::FetchDocument(document) => document.size,
            Self::FetchLayer(layer) | Self::FetchBlob(layer) => layer.size,
            Self::BuildLayer(_) | Self::BuildFsmeta(_) | Self::WriteDisk(_) => 0,
        }
    }

    /// Whether it fetches something that only a registry has.
    pub const fn needs_network(&self) -> bool {
        match self {
            Self::FetchDocument(FetchDocument { origin, .. })
            | Self::FetchLayer(FetchLayer { origin, .. })
            | Self::FetchBlob(FetchLayer { origin, .. }) => !origin.source.is_local(),
            Self::BuildLayer(_) | Self::BuildFsmeta(_) | Self::WriteDisk(_) => false,
        }
    }

    /// Whom it is done for, and where what it fetches comes from.
    pub const fn origin(&self) -> &Origin {
        match self {
            Self::FetchDocument(document) => &document.origin,
            Self::FetchLayer(layer) | Self::FetchBlob(layer) | Self::BuildLayer(layer) => {
                &layer.origin
            }
            Self::BuildFsmeta(stack) | Self::WriteDisk(stack) => &stack.origin,
        }
    }
}

impl FetchLayer {
    /// The documents by which it is known.
    fn documents(&self) -> impl Iterator<Item = Artifact> {
        self.manifest.into_iter().chain([self.config]).map(Artifact::Blob)
    }
}
