//! What the registry holds and what it was asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::auth::Auth;
use super::fault::Fault;

/// What the server's tasks and the test share.
#[derive(Debug)]
pub struct State {
    url: String,
    /// What a client has to show.
    pub auth: Auth,
    /// What changes while the server runs.
    pub held: Mutex<Held>,
}

/// What the registry holds, how it misbehaves and what it has seen.
#[derive(Debug, Default)]
pub struct Held {
    /// Blobs by digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// Manifests and indexes by repository and tag or digest.
    pub manifests: BTreeMap<(String, String), Manifest>,
    /// How it misbehaves.
    pub faults: Vec<Fault>,
    /// Tokens given out, each with its scope.
    pub tokens: BTreeMap<String, String>,
    /// How many tokens were given out.
    pub tokens_made: u64,
    /// Requests so far.
    pub seen: Vec<Seen>,
    /// Bytes of bodies sent, by path.
    pub sent: BTreeMap<String, u64>,
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its `Content-Type`.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET`, `HEAD` or `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The body, as text.
    pub body: String,
    /// The status it was answered with; 0 where the connection was closed instead.
    pub status: u16,
}

impl State {
    /// An empty registry at `url`.
    pub fn new(url: String, auth: Auth) -> Self {
        Self {
            url,
            auth,
            held: Mutex::default(),
        }
    }

    /// The URL it is reached at, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it holds. A panic of a test that held it does not matter to the others.
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
