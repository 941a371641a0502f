//! A client for OCI registries, after the distribution specification 1.1 and Docker's token protocol.
//!
//! It promises that what it hands out of a document is what its digest names, that it never waits without
//! end, that it goes on where a transfer broke off, and that no credential reaches another origin than the
//! one it belongs to. No connection and no TLS client is made before the first request. It does not write
//! files and does not read the environment, except for the proxy variables, which `reqwest` knows best.

pub mod shown;

mod cause;

pub mod error;

pub mod event;

pub mod endpoint;

pub mod credentials;

pub mod settings;

mod reach;

mod resolver;

mod challenge;

mod hosts;

mod route;

mod clients;

mod retry;

mod speed;

mod answer;

mod token;

mod auth;

mod transport;

mod documents;

pub mod blob;

use std::ops::RangeBounds;
use std::sync::Arc;

use reqwest::Method;

use crate::oci::digest::Digest;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::index::Index;
use crate::oci::document::manifest::Manifest;
use crate::oci::document::parsed::Parsed;
use crate::oci::document::search::{Search, Step};
use crate::oci::document::{Document, Root};
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;
use crate::registry::blob::BlobStream;
use crate::registry::documents::{Expected, fetch};
use crate::registry::error::Error;
use crate::registry::settings::Settings;
use crate::registry::transport::{Request, Transport};

/// A client for all registries. A clone shares connections, tokens and pauses with the original.
#[derive(Debug, Clone)]
pub struct Registry {
    transport: Arc<Transport>,
}

impl Registry {
    /// A client that has not connected to anything.
    pub fn new(settings: Settings) -> Self {
        Self { transport: Arc::new(Transport::new(settings)) }
    }

    /// Whether a request was made, or at least prepared.
    pub fn was_used(&self) -> bool {
        self.transport.was_used()
    }

    /// The index or manifest that `reference` names now, by its digest if it has one, else by its tag, else
    /// by the tag `latest`. The document's digest is that of the bytes that came.
    pub async fn resolve(&self, reference: &Reference) -> Result<Document<Root>, Error> {
        self.fetch_named(reference).await
    }

    /// The manifest of the image for `platform` that `reference` names now: the only one, or the best of
    /// an index and of those nested in it. Of an image without an index only the config knows the platform.
    pub async fn resolve_platform(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Document<Manifest>, Error> {
        let root = self.resolve(reference).await?;
        let refused = |source| Error::Unusable { image: reference.clone(), source };
        let index = match root.parsed() {
            Root::Manifest(_) => {
                let media_type = root.parsed().kind().media_type();
                return Document::parse(root.bytes().to_vec(), Some(media_type)).map_err(refused);
            }
            Root::Index(index) => index,
        };
        let mut search = Search::new(platform.clone(), root.digest(), index);
        loop {
            match search.step().map_err(refused)? {
                Step::Found(descriptor) => {
                    return self.fetch_document(reference, &descriptor).await;
                }
                Step::Descend(descriptor) => {
                    let nested: Document<Index> =
                        self.fetch_document(reference, &descriptor).await?;
                    search.enter(nested.parsed());
                }
            }
        }
    }

    /// The digest that `reference` names now. Asks with HEAD, which costs no quota at Docker Hub, and
    /// fetches the document where the registry does not answer that.
    pub async fn digest(&self, reference: &Reference) -> Result<Digest, Error> {
        let path = manifest_path(reference);
        let request = Request::manifest(Method::HEAD, &path);
        let route = self.transport.route(reference);
        if let Ok(response) = self.transport.send(route.place(), &request).await {
            let named = response.headers().get("docker-content-digest");
            let named = named.and_then(|value| value.to_str().ok()?.parse().ok());
            if let Some(digest) = named {
                return Ok(digest);
            }
        }
        Ok(self.resolve(reference).await?.digest())
    }

    /// The index that `reference` names. An image without an index is an error.
    pub async fn fetch_index(&self, reference: &Reference) -> Result<Document<Index>, Error> {
        self.fetch_named(reference).await
    }

    /// The manifest that `reference` names. An index is an error; see [`Self::resolve_platform`].
    pub async fn fetch_manifest(&self, reference: &Reference) -> Result<Document<Manifest>, Error> {
        self.fetch_named(reference).await
    }

    /// The config that a manifest of the repository of `reference` names.
    pub async fn fetch_config(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> Result<Document<ImageConfig>, Error> {
        self.fetch_document(reference, &manifest.config).await
    }

    /// The document that `descriptor` describes, from the repository of `reference`: size, digest and media
    /// type agree. A descriptor with an empty media type agrees with any.
    pub async fn fetch_document<T: Parsed>(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Document<T>, Error> {
        let kind = if T::IS_BLOB { "blobs" } else { "manifests" };
        let path = format!("{kind}/{}", descriptor.digest);
        fetch(&self.transport, reference, &path, Expected::Descriptor(descriptor)).await
    }

    /// These bytes of a blob, from the repository of `reference`: `..` for all. The first request is made
    /// when the stream is first polled, and none for no bytes.
    ///
    /// The stream has as many bytes as the range has within `descriptor.size`, or its last item is an error.
    /// **Their digest is not checked here**: who reads all of them does so, with
    /// [`HashingReader`](crate::oci::digest::HashingReader), on a thread that may be busy.
    pub fn fetch_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        range: impl RangeBounds<u64>,
    ) -> BlobStream {
        BlobStream::new(Arc::clone(&self.transport), reference, descriptor, range)
    }

    async fn fetch_named<T: Parsed>(&self, reference: &Reference) -> Result<Document<T>, Error> {
        let expected = reference.digest().map_or(Expected::Anything, Expected::Digest);
        fetch(&self.transport, reference, &manifest_path(reference), expected).await
    }
}

fn manifest_path(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => format!("manifests/{digest}"),
        None => format!("manifests/{}", reference.tag().unwrap_or("latest")),
    }
}
