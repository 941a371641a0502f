//! Where images come from: one face for registries and layouts.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::archive::layout::Layout;
use crate::engine::error::Error;
use crate::oci::digest::Digest;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::parsed::Parsed;
use crate::oci::document::{Document, Root};
use crate::oci::reference::Reference;
use crate::registry::Registry;
use crate::registry::blob::BlobStream;
use crate::spec::source::ImageSource;

/// Opens what images are locked and synced from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// What local sources are relative to: the folder of `sandbox-images.toml`.
    pub directory: PathBuf,
    /// The registries, or nothing where there is to be no network.
    pub registry: Option<Registry>,
}

/// One image's source, open.
#[derive(Debug, Clone)]
pub enum Source {
    /// A repository.
    Registry {
        /// The client.
        registry: Registry,
        /// Repository, tag and digest.
        reference: Reference,
    },
    /// A layout directory.
    Layout {
        /// The directory.
        layout: Arc<Layout>,
        /// Which of its images.
        selector: Option<String>,
    },
}

/// A blob's bytes, not yet verified.
#[derive(Debug)]
pub enum Blob {
    /// From a registry.
    Stream(BlobStream),
    /// From a file.
    File(File),
}

impl Sources {
    /// Opens `source`; `None` if that needs the network and there is none.
    pub fn open(&self, source: &ImageSource) -> Result<Option<Source>, Error> {
        Ok(match source {
            ImageSource::Registry(reference) => self
                .registry
                .clone()
                .map(|registry| Source::Registry { registry, reference: reference.clone() }),
            ImageSource::OciLayout(local) => {
                let layout = Layout::open(&self.directory.join(&local.path))?;
                Some(Source::Layout { layout: Arc::new(layout), selector: local.selector.clone() })
            }
            ImageSource::DockerArchive(_) => return Err(Error::Unsupported(source.clone())),
        })
    }
}

impl Source {
    /// The index or manifest that the source names now, or the one with the digest `pin`.
    pub async fn root(&self, pin: Option<Digest>) -> Result<Document<Root>, Error> {
        Ok(match (self, pin) {
            (Self::Registry { registry, reference }, Some(pin)) => {
                registry.resolve(&reference.clone().with_digest(pin)).await?
            }
            (Self::Registry { registry, reference }, None) => registry.resolve(reference).await?,
            (Self::Layout { layout, .. }, Some(pin)) => layout.read_root(pin)?,
            (Self::Layout { layout, selector }, None) => {
                layout.read_document(layout.resolve(selector.as_deref())?)?
            }
        })
    }

    /// The digest of the index or manifest that the source names now.
    pub async fn digest(&self) -> Result<Digest, Error> {
        Ok(match self {
            Self::Registry { registry, reference } => registry.digest(reference).await?,
            Self::Layout { layout, selector } => layout.resolve(selector.as_deref())?.digest,
        })
    }

    /// The document that `descriptor` describes, verified.
    pub async fn document<T: Parsed>(&self, descriptor: &Descriptor) -> Result<Document<T>, Error> {
        match self {
            Self::Registry { registry, reference } => {
                Ok(registry.fetch_document(reference, descriptor).await?)
            }
            Self::Layout { layout, .. } => Ok(layout.read_document(descriptor)?),
        }
    }

    /// Whether its bytes come over a network, which may break.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Registry { .. })
    }

    /// The bytes of a layer of `size` bytes, over a network from `start` on. Who reads them verifies their
    /// digest.
    pub fn blob(&self, digest: Digest, size: u64, start: u64) -> Result<Blob, Error> {
        let descriptor = Descriptor::new("", digest, size);
        Ok(match self {
            Self::Registry { registry, reference } => {
                Blob::Stream(registry.fetch_blob(reference, &descriptor, start..))
            }
            Self::Layout { layout, .. } => Blob::File(layout.open_blob(&descriptor)?),
        })
    }
}
