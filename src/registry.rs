//! A client for OCI registries, after the distribution specification 1.1 and Docker's token protocol.
//!
//! It promises that what it hands out of a document is what its digest names, that it never waits without
//! end, that it goes on where a transfer broke off, and that no credential reaches another origin than the
//! one it belongs to. No connection and no TLS client is made before the first request. It does not write
//! files and does not read the environment, except for the proxy variables, which `reqwest` knows best.

pub mod secret;

pub mod shown;

pub mod error;

pub mod event;

pub mod endpoint;

pub mod credentials;

pub mod settings;

mod challenge;

mod clients;

mod retry;

mod answer;

mod token;

mod auth;

mod transport;

pub mod blob;

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::oci::digest::Digest;
use crate::oci::document::descriptor::{Descriptor, check_digest};
use crate::oci::document::error::DocumentError;
use crate::oci::document::parsed::Parsed;
use crate::oci::document::{Document, Root};
use crate::oci::reference::Reference;
use crate::registry::answer::read_bounded;
use crate::registry::blob::BlobStream;
use crate::registry::error::Error;
use crate::registry::retry::Tries;
use crate::registry::settings::Settings;
use crate::registry::shown::ShownUrl;
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
        let path = manifest_path(reference);
        let expected = reference.digest().map_or(Expected::Anything, Expected::Digest);
        self.document(reference, &path, expected).await
    }

    /// The digest that `reference` names now. Asks with HEAD, which costs no quota at Docker Hub, and
    /// fetches the manifest where the registry does not answer that.
    pub async fn digest(&self, reference: &Reference) -> Result<Digest, Error> {
        let path = manifest_path(reference);
        let request = Request::manifest(reference, Method::HEAD, &path);
        if let Ok(response) = self.transport.send(&request).await {
            let named = response.headers().get("docker-content-digest");
            let named = named.and_then(|value| value.to_str().ok()?.parse().ok());
            if let Some(digest) = named {
                return Ok(digest);
            }
        }
        Ok(self.resolve(reference).await?.digest())
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
        self.document(reference, &path, Expected::Descriptor(descriptor)).await
    }

    /// The bytes of a blob, from the repository of `reference`. The first request is made when the stream
    /// is first polled.
    ///
    /// The stream's length is `descriptor.size`, or its last item is an error. **Its digest is not checked
    /// here**: who reads it does so, with [`HashingReader`](crate::oci::digest::HashingReader), on a thread
    /// that may be busy.
    pub fn fetch_blob(&self, reference: &Reference, descriptor: &Descriptor) -> BlobStream {
        BlobStream::new(Arc::clone(&self.transport), reference, descriptor)
    }

    /// Fetches a document until it comes whole: a broken transfer is retried as the settings say, a whole
    /// one with other bytes than promised once.
    async fn document<T: Parsed>(
        &self,
        reference: &Reference,
        path: &str,
        expected: Expected<'_>,
    ) -> Result<Document<T>, Error> {
        let request = if T::IS_BLOB {
            Request::blob(reference, path, None)
        } else {
            Request::manifest(reference, Method::GET, path)
        };
        let mut tries = Tries::new(self.transport.settings(), reference.registry());
        let mut damaged = false;
        loop {
            match self.document_once(&request, expected).await {
                Ok(document) => return Ok(document),
                Err(error) if error.is_damage() && !damaged => damaged = true,
                Err(error) => self.transport.pause(&mut tries, error).await?,
            }
        }
    }

    async fn document_once<T: Parsed>(
        &self,
        request: &Request<'_>,
        expected: Expected<'_>,
    ) -> Result<Document<T>, Error> {
        let response = self.transport.send(request).await?;
        let url = ShownUrl::of(response.url());
        let announced = response.headers().get(CONTENT_TYPE);
        let announced = announced.and_then(|value| value.to_str().ok());
        let announced = announced.filter(|_| !T::IS_BLOB).map(str::to_owned);
        let limit = match expected {
            Expected::Descriptor(descriptor) => descriptor.size.min(T::BYTES_MAX),
            Expected::Anything | Expected::Digest(_) => T::BYTES_MAX,
        };
        let bytes = read_bounded(response, limit).await?;
        expected
            .read(bytes, announced.as_deref())
            .map_err(|source| Error::Document { url, source: Box::new(source) })
    }
}

/// What is known of a document before it comes.
#[derive(Debug, Clone, Copy)]
enum Expected<'a> {
    /// Nothing: a tag names it.
    Anything,
    /// Its digest.
    Digest(Digest),
    /// Its digest, size and media type.
    Descriptor(&'a Descriptor),
}

impl Expected<'_> {
    /// Reads `bytes`, which came as `announced`, if they are what is expected.
    fn read<T: Parsed>(
        self,
        bytes: Vec<u8>,
        announced: Option<&str>,
    ) -> Result<Document<T>, DocumentError> {
        match self {
            Self::Anything => Document::parse(bytes, announced),
            Self::Digest(digest) => {
                check_digest(&bytes, digest)?;
                Document::parse(bytes, announced)
            }
            Self::Descriptor(descriptor) => Document::verify(bytes, descriptor),
        }
    }
}

fn manifest_path(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => format!("manifests/{digest}"),
        None => format!("manifests/{}", reference.tag().unwrap_or("latest")),
    }
}
