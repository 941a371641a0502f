//! Where a place on a route is: its URL, whether it is asked over TLS, and how near it is.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use tracing::debug;

use crate::oci::reference::DOCKER_HUB;
use crate::registry::cause::is_refused;
use crate::registry::clients::is_loopback;
use crate::registry::endpoint::{Endpoint, Scheme};
use crate::registry::error::Error;
use crate::registry::reach::Reach;
use crate::registry::resolver::literal;
use crate::registry::settings::RegistryRule;
use crate::registry::transport::Transport;

/// The host that serves Docker Hub's registry.
pub(super) const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// How long a registry on this machine has to answer the question whether it speaks TLS.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

impl Transport {
    /// How near the place at `base` is, which answered from `remote`. Where that is not one of its own
    /// addresses, a proxy answered, and the place counts as being far away.
    pub(super) async fn reach(&self, base: &Url, remote: Option<SocketAddr>) -> Reach {
        if let Some(address) = literal(base) {
            return Reach::of(address);
        }
        let resolver = self.clients.resolver(&self.settings);
        let known = resolver.lookup(base.host_str().unwrap_or_default()).await.unwrap_or_default();
        let answered = remote.map(|remote| remote.ip());
        let own = answered.filter(|ip| known.iter().any(|address| address.ip() == *ip));
        own.map_or(Reach::Public, Reach::of)
    }

    /// The URL of a place, without a path.
    pub(super) async fn base(&self, place: &Endpoint) -> Result<Url, Error> {
        let scheme = match place.scheme() {
            Some(scheme) => scheme,
            None => self.scheme(place.host()).await?,
        };
        let host = if place.host() == DOCKER_HUB { DOCKER_HUB_HOST } else { place.host() };
        Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|_| Error::Host { registry: place.host().to_owned() })
    }

    async fn scheme(&self, registry: &str) -> Result<Scheme, Error> {
        let rule = self.settings.registries.get(registry);
        if let Some(scheme) = rule.and_then(|rule| rule.scheme) {
            return Ok(scheme);
        }
        if !is_loopback(registry) || rule.is_some_and(RegistryRule::is_about_tls) {
            return Ok(Scheme::Https);
        }
        if let Some(known) = self.hosts.scheme(registry) {
            return Ok(known);
        }
        let client = self.clients.get(&self.settings, registry, Scheme::Https)?;
        let probe = client.get(format!("https://{registry}/v2/")).timeout(PROBE_TIMEOUT);
        let scheme = match probe.send().await {
            Ok(_) => Scheme::Https,
            // Nobody listens yet: the question is left open.
            Err(error) if is_refused(&error) => return Ok(Scheme::Http),
            Err(_) => Scheme::Http,
        };
        debug!("`{registry}` is on this machine and speaks {scheme}");
        self.hosts.set_scheme(registry, scheme);
        Ok(scheme)
    }
}
