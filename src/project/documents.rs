//! The documents of a locked image, read from the store or from where the image comes from, and the chain
//! that they make.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::apply::refetch;
use crate::engine::chain::{Block, ChainError};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::source::Source;
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
    /// In the store.
    Store {
        /// Which.
        store: &'a Store,
        /// With what a damaged one is fetched again; nothing where only the store is to be looked at.
        heal: Option<&'a Arc<Context>>,
    },
    /// Where the image comes from. Nothing is kept.
    Source(&'a Source),
}

impl Documents<'_> {
    /// Checks that those that are `wanted` agree with the lock and with each other.
    pub(super) async fn check(
        &self,
        wanted: extent::Documents,
        allow_platform_mismatch: bool,
    ) -> Result<(), Error> {
        if wanted == extent::Documents::All {
            self.check_index().await?;
            self.check_manifest().await?;
        }
        let LockedDocument { digest, size } = self.block.locked.config;
        let config = Descriptor::new("", digest, size);
        let config: Document<ImageConfig> = self.get(DocumentKind::Config, &config).await?;
        Ok(self.block.check_config(&config, allow_platform_mismatch)?)
    }

    async fn check_manifest(&self) -> Result<(), Error> {
        let LockedDocument { digest, size } = self.block.locked.manifest;
        let manifest = Descriptor::new("", digest, size);
        let manifest: Document<Manifest> = self.get(DocumentKind::Manifest, &manifest).await?;
        Ok(self.block.check_manifest(&manifest)?)
    }

    /// Looks for the manifest in the index and, where it is not there, in the indexes nested in it.
    async fn check_index(&self) -> Result<(), Error> {
        let Some(index) = self.block.index() else {
            return Ok(self.block.check_single()?);
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
        Ok(self.block.check_listed(&indexes)?)
    }

    async fn get<T: Parsed>(
        &self,
        kind: DocumentKind,
        descriptor: &Descriptor,
    ) -> Result<Document<T>, Error> {
        let (store, heal) = match self.desk {
            Desk::Store { store, heal } => (store, heal),
            Desk::Source(source) => return source.document(descriptor).await,
        };
        let bytes = match (store.read_blob(descriptor.digest, T::BYTES_MAX), heal) {
            (Err(error), Some(context)) if is_healed_by_fetching(&error) => {
                let Descriptor { digest, size, .. } = *descriptor;
                let document = FetchDocument { kind, digest, size, origin: self.origin() };
                refetch(context, &document).await?;
                store.read_blob(digest, T::BYTES_MAX)?
            }
            (read, _) => read?,
        };
        let media_type = Some(descriptor.media_type.as_str()).filter(|text| !text.is_empty());
        descriptor
            .check(&bytes)
            .and_then(|()| Document::parse(bytes, media_type))
            .map_err(|source| self.refused(source))
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
