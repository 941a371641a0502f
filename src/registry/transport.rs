//! One request to a registry: where it goes, what it shows, which redirects it follows, and how long it
//! waits when the registry asks for a pause.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::iter::successors;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::Instant;

use crate::oci::document::media_type;
use crate::oci::reference::{DOCKER_HUB, Reference};
use crate::registry::answer::{check, words};
use crate::registry::auth::{Asker, Auth, Shown, host_of};
use crate::registry::challenge::Challenge;
use crate::registry::clients::{Clients, is_loopback};
use crate::registry::endpoint::Scheme;
use crate::registry::error::Error;
use crate::registry::event::RegistryEvent;
use crate::registry::retry::{Pause, Tries};
use crate::registry::settings::Settings;
use crate::registry::shown::{ShownUrl, Words};
use crate::registry::token::header;

/// Redirects of one request: a registry's own, a storage's, and some to spare.
const REDIRECTS_MAX: usize = 5;

/// How often one request is made with something else to show: a renewed token, then none of the stored
/// credentials.
const SHOWINGS_MAX: usize = 3;

/// How long a registry on this machine has to answer the question whether it speaks TLS.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What requests to all registries share.
#[derive(Debug)]
pub(super) struct Transport {
    settings: Settings,
    clients: Clients,
    auth: Auth,
    hosts: Mutex<BTreeMap<String, Host>>,
}

/// What is known of a registry.
#[derive(Debug, Default)]
struct Host {
    scheme: Option<Scheme>,
    pause_until: Option<Instant>,
    failures: u32,
}

/// A request to the registry of a reference.
#[derive(Debug)]
pub(super) struct Request<'a> {
    reference: &'a Reference,
    method: Method,
    /// What follows the repository in the URL.
    path: &'a str,
    accept: String,
    range_start: Option<u64>,
}

impl<'a> Request<'a> {
    /// For a manifest or an index.
    pub(super) fn manifest(reference: &'a Reference, method: Method, path: &'a str) -> Self {
        Self { reference, method, path, accept: media_type::ACCEPTED.join(", "), range_start: None }
    }

    /// For a blob, from the byte `range_start` on.
    pub(super) fn blob(reference: &'a Reference, path: &'a str, range_start: Option<u64>) -> Self {
        Self { reference, method: Method::GET, path, accept: "*/*".to_owned(), range_start }
    }
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            clients: Clients::default(),
            auth: Auth::default(),
            hosts: Mutex::default(),
        }
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn was_used(&self) -> bool {
        self.clients.any()
    }

    /// Makes `request` once, showing what the registry wants to see. The answer is a success, or, where a
    /// part was asked for, 416.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        let registry = request.reference.registry();
        let base = self.base(registry).await?;
        let asker = Asker {
            settings: &self.settings,
            clients: &self.clients,
            reference: request.reference,
            is_plain: base.scheme() == "http",
        };
        let mut shown = self.auth.current(asker).await?;
        for showing in 0..SHOWINGS_MAX {
            self.wait(registry).await;
            let response = self.follow(base.clone(), request, shown.as_ref()).await?;
            let redirected = response.url().origin() != base.origin();
            let gives_up_stored = match response.status() {
                StatusCode::UNAUTHORIZED if !redirected => showing > 0,
                StatusCode::FORBIDDEN if !redirected && shown.is_some() => true,
                _ => return check(response, request.range_start.is_some(), redirected).await,
            };
            let challenge = Challenge::of(response.headers());
            let words = words(response).await;
            let refused = shown.take();
            shown = self.auth.answer(asker, challenge, refused.as_ref(), gives_up_stored).await?;
            let header = |shown: &Shown| shown.header.clone();
            if shown.as_ref().map(header) == refused.as_ref().map(header) {
                return Err(asker.denied(words));
            }
        }
        Err(asker.denied(Words::default()))
    }

    /// Follows redirects. What is shown to the registry is shown to no other origin, and not again after
    /// another origin was asked.
    async fn follow(
        &self,
        base: Url,
        request: &Request<'_>,
        shown: Option<&Shown>,
    ) -> Result<Response, Error> {
        let repository = request.reference.repository();
        let mut url = base;
        url.set_path(&format!("/v2/{repository}/{}", request.path));
        let mut shown = shown;
        for _ in 0..=REDIRECTS_MAX {
            let response = self.execute(&url, request, shown).await?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(response);
            };
            let next = redirect(&url, location.to_str().unwrap_or_default())?;
            if next.origin() != url.origin() {
                shown = None;
            }
            url = next;
        }
        Err(Error::Redirect { url: ShownUrl::of(&url), reason: "there were too many before it" })
    }

    async fn execute(
        &self,
        url: &Url,
        request: &Request<'_>,
        shown: Option<&Shown>,
    ) -> Result<Response, Error> {
        let host = match url.host_str() {
            Some(DOCKER_HUB_HOST) => request.reference.registry().to_owned(),
            _ => host_of(url),
        };
        let client = self.clients.get(&self.settings, &host)?;
        let mut builder =
            client.request(request.method.clone(), url.clone()).header(ACCEPT, &request.accept);
        if let Some(start) = request.range_start {
            builder = builder.header(RANGE, format!("bytes={start}-"));
        }
        if let Some(shown) = shown {
            builder = builder.header(AUTHORIZATION, header(&shown.header));
        }
        builder.send().await.map_err(|source| Error::Transport {
            url: ShownUrl::of(url),
            source: source.without_url(),
        })
    }

    /// Decides what to do after `error`, and does it: returns after a pause, or returns the error.
    pub(super) async fn pause(&self, tries: &mut Tries, error: Error) -> Result<(), Error> {
        let pause = tries.after(&error);
        let Some(pause) = pause.filter(|_| self.may_fail_again(tries.registry())) else {
            return Err(limited(error, Duration::ZERO));
        };
        let (Pause::Own(delay) | Pause::Asked(delay)) = pause;
        let registry = tries.registry().to_owned();
        if let Pause::Asked(delay) = pause {
            if delay > self.settings.retry.retry_after_max {
                return Err(limited(error, delay));
            }
            self.host(&registry, |host| {
                let until = Instant::now() + delay;
                host.pause_until = host.pause_until.max(Some(until));
            });
        }
        self.settings.events.tell(RegistryEvent::Retry {
            registry: registry.clone(),
            reason: error.to_string(),
            delay,
        });
        match pause {
            Pause::Own(delay) => tokio::time::sleep(delay).await,
            Pause::Asked(_) => self.wait(&registry).await,
        }
        Ok(())
    }

    fn may_fail_again(&self, registry: &str) -> bool {
        let max = self.settings.retry.failures_per_registry_max;
        self.host(registry, |host| {
            host.failures = host.failures.saturating_add(1);
            host.failures <= max
        })
    }

    /// Waits while the registry has asked for a pause.
    async fn wait(&self, registry: &str) {
        let paused = |host: &mut Host| host.pause_until.filter(|until| *until > Instant::now());
        while let Some(until) = self.host(registry, paused) {
            self.settings.events.tell(RegistryEvent::Waiting {
                registry: registry.to_owned(),
                delay: until.saturating_duration_since(Instant::now()),
            });
            tokio::time::sleep_until(until).await;
        }
    }

    fn host<T>(&self, registry: &str, with: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        with(hosts.entry(registry.to_owned()).or_default())
    }

    /// The URL of `registry` without a path.
    async fn base(&self, registry: &str) -> Result<Url, Error> {
        let scheme = match self.scheme(registry).await? {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let host = if registry == DOCKER_HUB { DOCKER_HUB_HOST } else { registry };
        Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|_| Error::Host { registry: registry.to_owned() })
    }

    async fn scheme(&self, registry: &str) -> Result<Scheme, Error> {
        let rule = self.settings.registries.get(registry);
        if let Some(scheme) = rule.and_then(|rule| rule.scheme) {
            return Ok(scheme);
        }
        let trusts_more = rule.is_some_and(|rule| rule.ca_pem.is_some());
        if trusts_more || !is_loopback(registry) {
            return Ok(Scheme::Https);
        }
        if let Some(known) = self.host(registry, |host| host.scheme) {
            return Ok(known);
        }
        let client = self.clients.get(&self.settings, registry)?;
        let probe = client.get(format!("https://{registry}/v2/")).timeout(PROBE_TIMEOUT);
        let scheme = match probe.send().await {
            Ok(_) => Scheme::Https,
            // Nobody listens yet: the question is left open.
            Err(error) if is_refused(&error) => return Ok(Scheme::Http),
            Err(_) => Scheme::Http,
        };
        self.host(registry, |host| host.scheme = Some(scheme));
        Ok(scheme)
    }
}

/// The host that serves Docker Hub's registry.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Whether nobody listens at the port.
fn is_refused(error: &reqwest::Error) -> bool {
    let causes = successors(error.source(), |&cause| cause.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// Where a redirect of `from` leads, if it may be followed.
fn redirect(from: &Url, location: &str) -> Result<Url, Error> {
    let refused = |reason| Error::Redirect { url: ShownUrl::of(from), reason };
    let next = from.join(location).map_err(|_| refused("its target is not a URL"))?;
    if !next.username().is_empty() || next.password().is_some() {
        return Err(refused("its target holds a user"));
    }
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(next),
        ("https", "http") => Err(refused("it leads from TLS to plain http")),
        _ => Err(refused("its target is not reached over http")),
    }
}

/// The error where a registry asks for a pause that is not kept, and `error` otherwise.
fn limited(error: Error, wait: Duration) -> Error {
    match error {
        Error::Status { url, words, retry_after: Some(_), .. } if !wait.is_zero() => {
            Error::RateLimited { url, wait, words }
        }
        other => other,
    }
}
