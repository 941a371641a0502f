//! What the registry holds and what it was asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use super::auth::Auth;
use super::fault::Fault;

/// What the server's tasks and the test share.
#[derive(Debug)]
pub(crate) struct State {
    url: String,
    /// What a client has to show.
    pub(crate) auth: Auth,
    /// What changes while the server runs.
    pub(crate) held: Mutex<Held>,
}

/// What the registry holds, how it misbehaves and what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Blobs by digest.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// Manifests and indexes by repository and tag or digest.
    pub(crate) manifests: BTreeMap<(String, String), Manifest>,
    /// How it misbehaves.
    pub(crate) faults: Vec<Fault>,
    /// Tokens given out, each with its scope.
    pub(crate) tokens: BTreeMap<String, String>,
    /// How many tokens were given out.
    pub(crate) tokens_made: u64,
    /// Requests so far.
    pub(crate) seen: Vec<Seen>,
    /// Bytes of bodies sent, by path.
    pub(crate) sent: BTreeMap<String, u64>,
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// Its `Content-Type`.
    pub(crate) media_type: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `GET`, `HEAD` or `POST`.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// All headers, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    /// The `Range` header.
    pub(crate) range: Option<String>,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The body, as text.
    pub(crate) body: String,
    /// The status it was answered with; 0 where the connection was closed instead.
    pub(crate) status: u16,
}

impl Seen {
    /// A request, not yet answered.
    pub(crate) fn of(request: &Parts, body: &[u8]) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let header = |name: &str| request.headers.get(name).map(text);
        let headers = request.headers.iter();
        Self {
            method: request.method.to_string(),
            // An HTTP/2 request names its origin too.
            path: request.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            range: header("range"),
            authorization: header("authorization"),
            body: String::from_utf8_lossy(body).into_owned(),
            status: 0,
        }
    }
}

impl State {
    /// An empty registry at `url`.
    pub(crate) fn new(url: String, auth: Auth) -> Self {
        Self { url, auth, held: Mutex::default() }
    }

    /// The URL it is reached at, without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it holds. A panic of a test that held it does not matter to the others.
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
