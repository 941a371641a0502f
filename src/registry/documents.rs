//! Documents of a repository, fetched until they come whole: from a mirror, from the registry, once more.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::oci::digest::Digest;
use crate::oci::document::Document;
use crate::oci::document::descriptor::{Descriptor, check_digest};
use crate::oci::document::error::DocumentError;
use crate::oci::document::parsed::Parsed;
use crate::oci::reference::Reference;
use crate::registry::answer::read_bounded;
use crate::registry::endpoint::Endpoint;
use crate::registry::error::Error;
use crate::registry::retry::Tries;
use crate::registry::shown::ShownUrl;
use crate::registry::transport::{Request, Transport};

/// What is known of a document before it comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected<'a> {
    /// Nothing: a tag names it.
    Anything,
    /// Its digest.
    Digest(Digest),
    /// Its digest, size and media type.
    Descriptor(&'a Descriptor),
}

/// Fetches the document at `path` in the repository of `reference`. A broken transfer is retried as the
/// settings say, a whole one with other bytes than promised once.
pub(super) async fn fetch<T: Parsed>(
    transport: &Transport,
    reference: &Reference,
    path: &str,
    expected: Expected<'_>,
) -> Result<Document<T>, Error> {
    let request =
        if T::IS_BLOB { Request::blob(path, None) } else { Request::manifest(Method::GET, path) };
    let mut route = transport.route(reference);
    let mut tries = Tries::new(transport.settings());
    let mut damaged = false;
    loop {
        let error = match fetch_once(transport, route.place(), &request, expected).await {
            Ok(document) => return Ok(document),
            Err(error) => error,
        };
        if transport.passes_on(&mut route, &error) {
            continue;
        }
        if error.is_damage() && !damaged {
            damaged = true;
        } else {
            transport.pause(&mut tries, route.place().host(), error).await?;
        }
        route.again();
    }
}

async fn fetch_once<T: Parsed>(
    transport: &Transport,
    place: &Endpoint,
    request: &Request<'_>,
    expected: Expected<'_>,
) -> Result<Document<T>, Error> {
    let response = transport.send(place, request).await?;
    let url = ShownUrl::of(response.url());
    let announced = response.headers().get(CONTENT_TYPE);
    let announced = announced.and_then(|value| value.to_str().ok());
    let announced = announced.filter(|_| !T::IS_BLOB).map(str::to_owned);
    let limit = match expected {
        Expected::Descriptor(descriptor) => descriptor.size.min(T::BYTES_MAX),
        Expected::Anything | Expected::Digest(_) => T::BYTES_MAX,
    };
    let bytes = read_bounded(response, limit, &transport.settings().timeouts).await?;
    expected
        .read(bytes, announced.as_deref())
        .map_err(|source| Error::Document { url, source: Box::new(source) })
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
