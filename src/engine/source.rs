//! Where images come from: one face for registries, layouts and archives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

use crate::archive::content::Content;
use crate::archive::docker::ArchivedImage;
use crate::archive::files::Files;
use crate::archive::layout::Layout;
use crate::archive::members::Members;
use crate::engine::error::Error;
use crate::layer::limits::Limits;
use crate::oci::digest::Digest;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::parsed::Parsed;
use crate::oci::document::{Document, Root};
use crate::oci::reference::Reference;
use crate::registry::Registry;
use crate::registry::blob::BlobStream;
use crate::spec::source::{ImageSource, LocalSource};

/// Opens what images are locked and synced from. Clones share the archives that one of them opened.
#[derive(Debug, Clone)]
pub struct Sources {
    /// What local sources are relative to: the folder of `sandbox-images.toml`.
    directory: PathBuf,
    /// The registries, or nothing where there is to be no network.
    registry: Option<Registry>,
    limits: Limits,
    opened: Arc<Opened>,
}

/// Archives that were read once. Whoever asks for one while it is read waits.
#[derive(Debug, Default)]
struct Opened {
    archives: Mutex<BTreeMap<PathBuf, Arc<Members>>>,
    images: Mutex<BTreeMap<LocalSource, Arc<ArchivedImage>>>,
    documents: Arc<Documents>,
}

/// Documents that came from registries: who resolved an image and then fetches it asks for none of them
/// twice. A registry counts, and some limit, requests for manifests.
#[derive(Debug, Default)]
pub struct Documents(Mutex<BTreeMap<Digest, Vec<u8>>>);

impl Documents {
    fn keep<T>(&self, document: Document<T>) -> Document<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(document.digest(), document.bytes().to_vec());
        document
    }

    /// The document that `descriptor` describes, if it came before and is one of this kind.
    fn get<T: Parsed>(&self, descriptor: &Descriptor) -> Option<Document<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.get(&descriptor.digest)?;
        descriptor.check(bytes).ok()?;
        let media_type = Some(descriptor.media_type.as_str()).filter(|text| !text.is_empty());
        Document::parse(bytes.clone(), media_type).ok()
    }
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
        /// What came of it and of others so far.
        documents: Arc<Documents>,
    },
    /// A layout, in a directory or in an archive.
    Layout {
        /// The layout.
        layout: Arc<Layout>,
        /// Which of its images.
        selector: Option<String>,
    },
    /// An image of a docker archive.
    DockerArchive(Arc<ArchivedImage>),
}

/// A blob's bytes, not yet verified.
#[derive(Debug)]
pub enum Blob {
    /// From a registry.
    Stream(BlobStream),
    /// From this machine.
    Local(Content),
}

impl Sources {
    /// Sources relative to `directory`. Without `registry` nothing is asked over a network.
    pub fn new(directory: PathBuf, registry: Option<Registry>, limits: Limits) -> Self {
        Self { directory, registry, limits, opened: Arc::default() }
    }

    /// Opens `source`; `None` if that needs the network and there is none.
    pub async fn open(&self, source: &ImageSource) -> Result<Option<Source>, Error> {
        let opened = match source {
            ImageSource::Registry(reference) => {
                let (reference, documents) =
                    (reference.clone(), Arc::clone(&self.opened.documents));
                return Ok(self.registry.clone().map(|registry| Source::Registry {
                    registry,
                    reference,
                    documents,
                }));
            }
            ImageSource::OciLayout(local) => {
                let (sources, local) = (self.clone(), local.clone());
                spawn_blocking(move || sources.layout(&local)).await
            }
            ImageSource::DockerArchive(local) => {
                let (sources, local) = (self.clone(), local.clone());
                spawn_blocking(move || sources.archived(&local)).await
            }
        };
        match opened {
            Ok(source) => source.map(Some),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(Error::NotOpened(source.clone())),
        }
    }

    fn layout(&self, local: &LocalSource) -> Result<Source, Error> {
        let path = self.directory.join(&local.path);
        // What is no directory, or nothing at all, is for the archive to judge.
        let files = if path.is_dir() {
            Files::in_directory(&path)?
        } else {
            Files::Archive(self.archive(&path)?)
        };
        let layout = Arc::new(Layout::open(files)?);
        Ok(Source::Layout { layout, selector: local.selector.clone() })
    }

    fn archived(&self, local: &LocalSource) -> Result<Source, Error> {
        let mut images = self.opened.images.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = images.get(local) {
            return Ok(Source::DockerArchive(Arc::clone(image)));
        }
        let archive = self.archive(&self.directory.join(&local.path))?;
        let image = Arc::new(ArchivedImage::open(archive, local.selector.as_deref())?);
        images.insert(local.clone(), Arc::clone(&image));
        Ok(Source::DockerArchive(image))
    }

    fn archive(&self, path: &Path) -> Result<Arc<Members>, Error> {
        let mut archives = self.opened.archives.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = archives.get(path) {
            return Ok(Arc::clone(archive));
        }
        let archive = Arc::new(Members::open(path, &self.limits)?);
        archives.insert(path.to_owned(), Arc::clone(&archive));
        Ok(archive)
    }
}

impl Source {
    /// The index or manifest that the source names now, or the one with the digest `pin`.
    pub async fn root(&self, pin: Option<Digest>) -> Result<Document<Root>, Error> {
        Ok(match (self, pin) {
            (Self::Registry { registry, reference, documents }, Some(pin)) => {
                documents.keep(registry.resolve(&reference.clone().with_digest(pin)).await?)
            }
            (Self::Registry { registry, reference, documents }, None) => {
                documents.keep(registry.resolve(reference).await?)
            }
            (Self::Layout { layout, .. }, Some(pin)) => layout.read_root(pin)?,
            (Self::Layout { layout, selector }, None) => {
                layout.read_document(layout.resolve(selector.as_deref())?)?
            }
            (Self::DockerArchive(image), pin) => image.root(pin)?,
        })
    }

    /// The digest of the index or manifest that the source names now.
    pub async fn digest(&self) -> Result<Digest, Error> {
        Ok(match self {
            Self::Registry { registry, reference, .. } => registry.digest(reference).await?,
            Self::Layout { layout, selector } => layout.resolve(selector.as_deref())?.digest,
            Self::DockerArchive(image) => image.digest(),
        })
    }

    /// The document that `descriptor` describes, verified.
    pub async fn document<T: Parsed>(&self, descriptor: &Descriptor) -> Result<Document<T>, Error> {
        match self {
            Self::Registry { registry, reference, documents } => match documents.get(descriptor) {
                Some(document) => Ok(document),
                None => Ok(documents.keep(registry.fetch_document(reference, descriptor).await?)),
            },
            Self::Layout { layout, .. } => Ok(layout.read_document(descriptor)?),
            Self::DockerArchive(image) => Ok(image.document(descriptor)?),
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
            Self::Registry { registry, reference, .. } => {
                Blob::Stream(registry.fetch_blob(reference, &descriptor, start..))
            }
            Self::Layout { layout, .. } => Blob::Local(layout.open_blob(&descriptor)?),
            Self::DockerArchive(image) => Blob::Local(image.open_blob(&descriptor)?),
        })
    }
}
