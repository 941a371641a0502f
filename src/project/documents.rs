//! The documents of a locked image, read from the store or from where the image comes from, and the chain
//! that they make.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::apply::refetch;
use crate::engine::chain::{Block, ChainError};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::source::Source;
use crate::oci::digest::Digest;
use crate::oci::document::Document;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::error::DocumentError;
use crate::oci::document::index::Index;
use crate::oci::document::kind::Kind;
use crate::oci::document::manifest::Manifest;
use crate::oci::document::parsed::Parsed;
use crate::oci::document::search::INDEX_DEPTH_MAX;
use crate::plan::action::{DocumentKind, FetchDocument, Origin};
use crate::plan::extent;
use crate::spec::lockfile::LockedDocument;
use crate::store;
use crate::store::Store;
use crate::store::reader::Reader;

/// The documents of one image on one platform.
#[derive(Debug)]
pub(super) struct Documents<'a> {
    /// What the lock says of them.
    pub(super) block: Block<'a>,
    /// Where they are read.
    pub(super) desk: Desk<'a>,
}

/// Where documents are read.
#[derive(Debug)]
pub(super) enum Desk<'a> {
    /// In a store.
    Store {
        /// Its reader.
        reader: &'a Reader,
        /// With what a damaged one is fetched again; nothing where only the store is to be looked at.
        heal: Option<&'a Arc<Context>>,
    },
    /// Among those that a bundle brought, and in the store where it left one out.
    Bundle {
        /// The bytes of each, verified.
        documents: &'a BTreeMap<Digest, Vec<u8>>,
        /// Which store.
        store: &'a Store,
    },
    /// Where the image comes from. Nothing is kept.
    Source(&'a Source),
}

/// The documents from what an image is pinned to down to its config.
#[derive(Debug)]
pub(super) struct Chain {
    /// The index, and those nested in it that were looked at.
    pub(super) indexes: Vec<Document<Index>>,
    /// The manifest.
    pub(super) manifest: Document<Manifest>,
    /// The config.
    pub(super) config: Document<ImageConfig>,
}

impl Chain {
    /// The bytes of each document, by its digest.
    pub(super) fn into_bytes(self) -> impl Iterator<Item = (Digest, Vec<u8>)> {
        let Self { indexes, manifest, config } = self;
        let indexes = indexes.into_iter().map(|index| (index.digest(), index.into_bytes()));
        let rest =
            [(manifest.digest(), manifest.into_bytes()), (config.digest(), config.into_bytes())];
        indexes.chain(rest)
    }
}

impl Documents<'_> {
    /// Checks that those that are `wanted` agree with the lock and with each other.
    pub(super) async fn check(
        &self,
        wanted: extent::Documents,
        allow_platform_mismatch: bool,
    ) -> Result<(), Error> {
        if wanted == extent::Documents::All {
            return self.checked(allow_platform_mismatch).await.map(drop);
        }
        self.checked_config(allow_platform_mismatch).await.map(drop)
    }

    /// Checks that all of them agree with the lock and with each other, and answers them: the indexes down to the
    /// manifest, the manifest and the config.
    pub(super) async fn checked(&self, allow_platform_mismatch: bool) -> Result<Chain, Error> {
        let indexes = self.check_index().await?;
        let LockedDocument { digest, size } = self.block.locked.manifest;
        let manifest = Descriptor::new("", digest, size);
        let manifest: Document<Manifest> = self.get(DocumentKind::Manifest, &manifest).await?;
        self.block.check_manifest(&manifest)?;
        let config = self.checked_config(allow_platform_mismatch).await?;
        Ok(Chain { indexes, manifest, config })
    }

    async fn checked_config(
        &self,
        allow_platform_mismatch: bool,
    ) -> Result<Document<ImageConfig>, Error> {
        let LockedDocument { digest, size } = self.block.locked.config;
        let config = Descriptor::new("", digest, size);
        let config: Document<ImageConfig> = self.get(DocumentKind::Config, &config).await?;
        self.block.check_config(&config, allow_platform_mismatch)?;
        Ok(config)
    }

    /// Looks for the manifest in the index and, where it is not there, in the indexes nested in it.
    async fn check_index(&self) -> Result<Vec<Document<Index>>, Error> {
        let Some(index) = self.block.index() else {
            self.block.check_single()?;
            return Ok(Vec::new());
        };
        let mut seen = BTreeSet::from([index.digest]);
        let mut waiting = VecDeque::from([(index, 1)]);
        let mut indexes: Vec<Document<Index>> = Vec::new();
        while let Some((descriptor, depth)) = waiting.pop_front() {
            if depth > INDEX_DEPTH_MAX {
                return Err(self.refused(DocumentError::TooDeep(INDEX_DEPTH_MAX)));
            }
            let index: Document<Index> = self.get(DocumentKind::Index, &descriptor).await?;
            let nested =
                index.parsed().manifests.iter().filter(|entry| {
                    Kind::from_media_type(&entry.media_type).is_ok_and(Kind::is_index)
                });
            waiting.extend(
                nested
                    .filter(|entry| seen.insert(entry.digest))
                    .map(|entry| (entry.clone(), depth + 1)),
            );
            indexes.push(index);
            if self.block.check_listed(&indexes).is_ok() {
                break;
            }
        }
        self.block.check_listed(&indexes)?;
        Ok(indexes)
    }

    async fn get<T: Parsed>(
        &self,
        kind: DocumentKind,
        descriptor: &Descriptor,
    ) -> Result<Document<T>, Error> {
        let bytes = match self.desk {
            Desk::Source(source) => return source.document(descriptor).await,
            Desk::Bundle { documents, store } => match documents.get(&descriptor.digest) {
                Some(bytes) => bytes.clone(),
                None => store.read_blob(descriptor.digest, T::BYTES_MAX)?,
            },
            Desk::Store { reader, heal } => {
                self.stored(reader, heal, kind, descriptor, T::BYTES_MAX).await?
            }
        };
        let media_type = Some(descriptor.media_type.as_str()).filter(|text| !text.is_empty());
        descriptor
            .check(&bytes)
            .and_then(|()| Document::parse(bytes, media_type))
            .map_err(|source| self.refused(source))
    }

    /// The bytes of a document in the store. One that is not whole is fetched again where that is possible.
    async fn stored(
        &self,
        reader: &Reader,
        heal: Option<&Arc<Context>>,
        kind: DocumentKind,
        descriptor: &Descriptor,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let Descriptor { digest, size, .. } = *descriptor;
        // What is wrong with one is for the closer look to say.
        let known = reader.read_known_blob(digest, limit_bytes);
        match (known.or_else(|_| reader.read_blob(digest, limit_bytes)), heal) {
            (Err(error), Some(context)) if is_healed_by_fetching(&error) => {
                let document = FetchDocument { kind, digest, size, origin: self.origin() };
                refetch(context, &document).await?;
                Ok(reader.read_blob(digest, limit_bytes)?)
            }
            (read, _) => Ok(read?),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            image: self.block.name.clone(),
            platform: self.block.platform.clone(),
            source: self.block.image.source.clone(),
        }
    }

    fn refused(&self, source: DocumentError) -> Error {
        let (image, platform) = (self.block.name.clone(), self.block.platform.clone());
        Error::Chain(ChainError::Document { image, platform, source })
    }
}

fn is_healed_by_fetching(error: &store::error::Error) -> bool {
    matches!(error.class(), store::error::Class::Missing | store::error::Class::Integrity)
}
