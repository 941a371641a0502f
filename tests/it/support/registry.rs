//! An OCI registry in this process, on 127.0.0.1, that can be told to misbehave.
//!
//! It is a real server over hyper, with a thread and a runtime of its own, so that blocking and async
//! tests and the examples can use it. What it holds is put in by [`TestRegistry::put_blob`] and
//! [`TestRegistry::put_manifest`]; how it fails is said by [`Fault`]s; what it was asked is told by
//! [`TestRegistry::requests`]. It depends on nothing else of the tests, so a file elsewhere can include
//! it by `#[path]`.

#[path = "registry/fault.rs"]
pub(crate) mod fault;

#[path = "registry/state.rs"]
pub(crate) mod state;

#[path = "registry/auth.rs"]
pub(crate) mod auth;

#[path = "registry/respond.rs"]
mod respond;

#[path = "registry/serve.rs"]
mod serve;

#[path = "registry/http2.rs"]
mod http2;

#[path = "registry/raw.rs"]
pub(crate) mod raw;

#[path = "registry/tunnel.rs"]
pub(crate) mod tunnel;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use sandbox_images::oci::digest::Digest;
use tokio::sync::oneshot;

use self::auth::Auth;
use self::fault::Fault;
use self::state::{Seen, State};

/// The OCI media type of an image manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The OCI media type of an image index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A running registry; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct TestRegistry {
    state: Arc<State>,
    address: SocketAddr,
    ca_pem: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a registry is started.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Speaks TLS with a certificate of an authority of its own, see [`TestRegistry::ca_pem`].
    pub(crate) tls: bool,
    /// What a client has to show.
    pub(crate) auth: Auth,
}

/// Where a registry listens, and what its certificate says.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// An address of this machine: all of 127.0.0.0/8 are.
    pub(crate) ip: Ipv4Addr,
    /// The names in its certificate, where it speaks TLS.
    pub(crate) names: Vec<String>,
    /// Whether it speaks HTTP/2, where it speaks TLS.
    pub(crate) http2: bool,
}

impl Default for Place {
    fn default() -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        Self { ip: Ipv4Addr::LOCALHOST, names, http2: false }
    }
}

impl TestRegistry {
    /// Starts an open registry over plain http.
    pub(crate) fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a registry as `options` say.
    pub(crate) fn start_with(options: Options) -> Self {
        Self::start_at(options, &Place::default())
    }

    /// Starts a registry as `options` say at another place.
    pub(crate) fn start_at(options: Options, place: &Place) -> Self {
        let listener = TcpListener::bind((place.ip, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("a bound socket");
        let (tls, ca_pem) = options.tls.then(|| serve::tls(place)).unzip();
        let scheme = if options.tls { "https" } else { "http" };
        let state = Arc::new(State::new(format!("{scheme}://{address}"), options.auth));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || serve::run(listener, tls, served, stopped));
        Self { state, address, ca_pem, stop: Some(stop), thread: Some(thread) }
    }

    /// `127.0.0.1:PORT`, the registry's name in a reference.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT` or `https://…`.
    pub(crate) fn url(&self) -> String {
        self.state.url().to_owned()
    }

    /// The authority that a client must trust, where the registry speaks TLS.
    pub(crate) fn ca_pem(&self) -> &str {
        self.ca_pem.as_deref().expect("started with TLS")
    }

    /// Holds `bytes` as a blob of every repository.
    pub(crate) fn put_blob(&self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.lock().blobs.insert(digest.to_string(), bytes);
        digest
    }

    /// Holds `bytes` as a manifest or index of `repository`, by its digest and by `tag`.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let manifest = state::Manifest { media_type: media_type.to_owned(), bytes };
        let mut held = self.lock();
        for name in [digest.to_string(), tag.to_owned()] {
            let key = (repository.to_owned(), name);
            held.manifests.insert(key, manifest.clone());
        }
        digest
    }

    /// From now on, answers as `fault` says where it applies. Of several, the first that applies is used.
    pub(crate) fn fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Behaves from now on.
    pub(crate) fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Takes `token`, which somebody else gives out, for this scope.
    pub(crate) fn accept_token(&self, token: &str, scope: &str) {
        self.lock().tokens.insert(token.to_owned(), scope.to_owned());
    }

    /// Refuses the tokens that were given out so far.
    pub(crate) fn revoke_tokens(&self) {
        self.lock().tokens.clear();
    }

    /// The requests so far, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// The requests so far whose path contains `part`.
    pub(crate) fn requests_to(&self, part: &str) -> Vec<Seen> {
        let mut seen = self.requests();
        seen.retain(|request| request.path.contains(part));
        seen
    }

    /// Bytes of bodies sent so far for paths that contain `part`.
    pub(crate) fn bytes_sent(&self, part: &str) -> u64 {
        let held = self.lock();
        let sent = held.sent.iter().filter(|(path, _)| path.contains(part));
        sent.map(|(_, bytes)| bytes).sum()
    }

    /// Forgets which requests came and how many bytes were sent.
    pub(crate) fn clear_requests(&self) {
        let mut held = self.lock();
        held.seen.clear();
        held.sent.clear();
    }

    /// Ends the server and closes its port and its connections.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself; then there is nobody to tell.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the registry's thread ends");
        }
    }

    fn lock(&self) -> MutexGuard<'_, state::Held> {
        self.state.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.stop();
    }
}
