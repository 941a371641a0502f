//! One request to a registry: where it goes, what it shows, which redirects it follows, and how long it
//! waits when the registry asks for a pause.

mod place;

mod redirect;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::Instant;
use tracing::{debug, trace};

use crate::oci::document::media_type;
use crate::oci::reference::{DOCKER_HUB, Reference};
use crate::registry::answer::{check, words};
use crate::registry::auth::{Asker, Auth, Demand, Shown};
use crate::registry::challenge::Challenge;
use crate::registry::clients::Clients;
use crate::registry::endpoint::{Endpoint, Scheme, host_of};
use crate::registry::error::Error;
use crate::registry::event::RegistryEvent;
use crate::registry::hosts::Hosts;
use crate::registry::reach::Naming;
use crate::registry::retry::{Pause, Tries};
use crate::registry::route::Route;
use crate::registry::settings::Settings;
use crate::registry::shown::{ShownUrl, Words};
use crate::registry::token::header;
use crate::registry::transport::place::DOCKER_HUB_HOST;
use crate::words::with_causes;

/// How often one request is made with something else to show: a renewed token, then none of the stored
/// credentials.
const SHOWINGS_MAX: usize = 3;

/// What requests to all registries share.
#[derive(Debug)]
pub(super) struct Transport {
    settings: Settings,
    clients: Clients,
    auth: Auth,
    hosts: Hosts,
}

/// What is asked of a repository, wherever that is.
#[derive(Debug)]
pub(super) struct Request<'a> {
    method: Method,
    /// What follows the repository in the URL.
    path: &'a str,
    accept: String,
    /// The value of a `Range` header.
    range: Option<String>,
}

impl<'a> Request<'a> {
    /// For a manifest or an index.
    pub(super) fn manifest(method: Method, path: &'a str) -> Self {
        Self { method, path, accept: media_type::ACCEPTED.join(", "), range: None }
    }

    /// For a blob, or for the bytes of it that this `Range` header names.
    pub(super) fn blob(path: &'a str, range: Option<String>) -> Self {
        Self { method: Method::GET, path, accept: "*/*".to_owned(), range }
    }
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            clients: Clients::default(),
            auth: Auth::default(),
            hosts: Hosts::default(),
        }
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn was_used(&self) -> bool {
        self.clients.any()
    }

    /// The places to ask for what is in the repository of `reference`.
    pub(super) fn route(&self, reference: &Reference) -> Route {
        let rule = self.settings.registries.get(reference.registry());
        Route::new(reference, rule, |place| {
            place.stands_for().is_some() && self.hosts.is_avoided(place.host())
        })
    }

    /// Makes `request` once, showing what the registry or mirror wants to see. The answer is a success, or,
    /// where a part was asked for, 416.
    pub(super) async fn send(
        &self,
        place: &Endpoint,
        request: &Request<'_>,
    ) -> Result<Response, Error> {
        let base = self.base(place).await?;
        let asker = Asker {
            settings: &self.settings,
            clients: &self.clients,
            reference: place.reference(),
            is_plain: base.scheme() == "http",
        };
        let mut shown = self.auth.current(asker).await?;
        for showing in 0..SHOWINGS_MAX {
            self.wait(place.host()).await;
            let response = self.follow(base.clone(), place, request, shown.as_ref()).await?;
            let redirected = response.url().origin() != base.origin();
            let gives_up_stored = match response.status() {
                StatusCode::UNAUTHORIZED if !redirected => showing > 0,
                StatusCode::FORBIDDEN if !redirected && shown.is_some() => true,
                _ => {
                    let is_part = request.range.is_some();
                    let timeouts = &self.settings.timeouts;
                    let answer = check(response, is_part, redirected, timeouts).await?;
                    self.tell_mirror(place);
                    return Ok(answer);
                }
            };
            let demand = Demand {
                challenge: Challenge::of(response.headers()),
                reach: self.reach(&base, response.remote_addr()).await,
            };
            let words = words(response, &self.settings.timeouts).await;
            let refused = shown.take();
            shown = self.auth.answer(asker, demand, refused.as_ref(), gives_up_stored).await?;
            let header = |shown: &Shown| shown.header.clone();
            if shown.as_ref().map(header) == refused.as_ref().map(header) {
                return Err(asker.denied(words));
            }
        }
        Err(asker.denied(Words::default()))
    }

    async fn execute(
        &self,
        url: &Url,
        request: &Request<'_>,
        shown: Option<&Shown>,
        naming: Option<Naming>,
    ) -> Result<Response, Error> {
        let host = host_of(url);
        let host = if host == DOCKER_HUB_HOST { DOCKER_HUB } else { &host };
        let client = match naming {
            Some(naming) => self.clients.named(&self.settings, url, naming)?,
            None => self.clients.get(&self.settings, host, Scheme::of(url))?,
        };
        let mut builder =
            client.request(request.method.clone(), url.clone()).header(ACCEPT, &request.accept);
        if let Some(range) = &request.range {
            builder = builder.header(RANGE, range);
        }
        if let Some(shown) = shown {
            builder = builder.header(AUTHORIZATION, header(&shown.header));
        }
        let asked = Instant::now();
        let answer = builder.send().await;
        log_answer(url, request, shown.is_some(), naming, asked.elapsed(), answer.as_ref());
        answer.map_err(|source| Error::transport(ShownUrl::of(url), source))
    }

    /// Leaves a mirror that has failed to the next place on the route; `false` where there is none.
    pub(super) fn passes_on(&self, route: &mut Route, error: &Error) -> bool {
        let place = route.place();
        let Some(registry) = place.stands_for() else {
            return false;
        };
        let (registry, mirror) = (registry.to_owned(), place.host().to_owned());
        if error.is_damage() {
            self.hosts.avoid(&mirror);
        } else if error.is_transient() {
            self.hosts.mirror_failed(&mirror);
        }
        let advanced = route.advance();
        if advanced {
            let (reason, next) = (with_causes(error), route.place().host());
            debug!("asks `{next}` instead of the mirror `{mirror}`: {reason}");
            self.settings.events.tell(RegistryEvent::MirrorFailed { registry, mirror, reason });
        }
        advanced
    }

    /// Asks the mirror `host` no more, because it has sent other bytes than a digest names; `false` if it
    /// was avoided before.
    pub(super) fn distrust(&self, host: &str) -> bool {
        self.hosts.avoid(host)
    }

    /// Decides what to do after `error` of `host`, and does it: returns after a pause, or returns the error.
    pub(super) async fn pause(
        &self,
        tries: &mut Tries,
        host: &str,
        error: Error,
    ) -> Result<(), Error> {
        let failures_max = self.settings.retry.failures_per_registry_max;
        let pause = tries.after(&error);
        let Some(pause) = pause.filter(|_| self.hosts.may_fail_again(host, failures_max)) else {
            trace!("gives up: {}", with_causes(&error));
            return Err(limited(error, Duration::ZERO));
        };
        let (Pause::Own(delay) | Pause::Asked(delay)) = pause;
        if let Pause::Asked(delay) = pause {
            if delay > self.settings.retry.retry_after_max {
                return Err(limited(error, delay));
            }
            self.hosts.pause(host, delay);
        }
        let (registry, reason) = (host.to_owned(), with_causes(&error));
        debug!("asks `{registry}` again in {delay:.1?}: {reason}");
        self.settings.events.tell(RegistryEvent::Retry { registry, reason, delay });
        match pause {
            Pause::Own(delay) => tokio::time::sleep(delay).await,
            Pause::Asked(_) => self.wait(host).await,
        }
        Ok(())
    }

    /// Waits while the registry has asked for a pause.
    async fn wait(&self, host: &str) {
        while let Some(until) = self.hosts.paused_until(host) {
            let (registry, now) = (host.to_owned(), Instant::now());
            let delay = until.saturating_duration_since(now);
            debug!("waits {delay:.1?} for `{registry}`, which asked for a pause");
            self.settings.events.tell(RegistryEvent::Waiting { registry, delay });
            tokio::time::sleep_until(until).await;
        }
    }

    fn tell_mirror(&self, place: &Endpoint) {
        if let Some(registry) = place.stands_for().filter(|_| self.hosts.is_news(place.host())) {
            let (registry, mirror) = (registry.to_owned(), place.host().to_owned());
            self.settings.events.tell(RegistryEvent::Mirror { registry, mirror });
        }
    }
}

/// Notes a request and its answer. Of where a redirect leads only the origin is told: some storages have
/// keys in their paths.
fn log_answer(
    url: &Url,
    request: &Request<'_>,
    shows_credential: bool,
    naming: Option<Naming>,
    elapsed: Duration,
    answer: Result<&Response, &reqwest::Error>,
) {
    let method = &request.method;
    let place = match naming {
        None => ShownUrl::of(url).to_string(),
        Some(_) => format!("{}/…", url.origin().ascii_serialization()),
    };
    let range = request.range.as_deref().map(|range| format!(" {range}")).unwrap_or_default();
    let shown = if shows_credential { ", with a credential" } else { "" };
    let elapsed = format!("after {elapsed:.1?}{shown}");
    if let Ok(answer) = answer {
        debug!("{method} {place}{range}: {} {elapsed}", answer.status().as_u16());
    } else {
        debug!("{method} {place}{range}: no answer {elapsed}");
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

#[cfg(test)]
mod tests;
