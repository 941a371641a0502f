//! HTTP clients, made when the first request needs them.
//!
//! Making one reads the system's certificates, which takes 30 ms and fails without any; so one client
//! serves all registries that have nothing special, plain HTTP on this machine has one that trusts no
//! certificate, and offline runs make none.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Identity, Url, redirect};

use crate::registry::endpoint::{Scheme, host_of};
use crate::registry::error::Error;
use crate::registry::reach::Naming;
use crate::registry::resolver::{Addresses, Resolver};
use crate::registry::settings::{RegistryRule, Settings, Timeouts};

/// Bytes of headers that an answer may have.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// Bytes of one HTTP/2 stream that may be under way: enough for 1 Gbit/s over 30 ms.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes of all HTTP/2 streams of a connection that may be under way.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The clients that were made so far.
#[derive(Default)]
pub(super) struct Clients {
    made: Mutex<BTreeMap<Key, Client>>,
    addresses: OnceLock<Addresses>,
}

impl fmt::Debug for Clients {
    /// A client would show its proxies, whose URLs may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

/// What requests need a client of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Those to a host with rules about TLS.
    host: Option<String>,
    /// Those that stay on this machine: a proxy elsewhere could not reach it.
    loopback: bool,
    /// Those that need no certificates: without TLS, also to a proxy.
    plain: bool,
    /// Those to a host that a registry has named.
    named: Option<(String, Naming)>,
}

impl Clients {
    /// The client for requests to `host`, which is a registry's name or `host:port` of a URL.
    pub(super) fn get(
        &self,
        settings: &Settings,
        host: &str,
        scheme: Scheme,
    ) -> Result<Client, Error> {
        self.client(settings, host, scheme, None)
    }

    /// The client for requests to `url`, which a registry has named: it connects to no address that the
    /// registry may not name.
    pub(super) fn named(
        &self,
        settings: &Settings,
        url: &Url,
        naming: Naming,
    ) -> Result<Client, Error> {
        let name = url.host_str().unwrap_or_default().to_owned();
        self.client(settings, &host_of(url), Scheme::of(url), Some((name, naming)))
    }

    fn client(
        &self,
        settings: &Settings,
        host: &str,
        scheme: Scheme,
        named: Option<(String, Naming)>,
    ) -> Result<Client, Error> {
        let rule = settings.registries.get(host).filter(|rule| rule.is_about_tls());
        let loopback = is_loopback(host);
        let plain = loopback && scheme == Scheme::Http && rule.is_none();
        let key = Key { host: rule.map(|_| host.to_owned()), loopback, plain, named };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&key) {
            return Ok(client.clone());
        }
        let mut resolver = self.resolver(settings);
        if let Some((name, naming)) = &key.named {
            resolver = resolver.guarding(name, *naming);
        }
        let client = build(settings.timeouts, rule, &key, resolver)
            .map_err(|source| Error::Client { registry: host.to_owned(), source })?;
        made.insert(key, client.clone());
        Ok(client)
    }

    /// How names become addresses.
    pub(super) fn resolver(&self, settings: &Settings) -> Resolver {
        let addresses = || Arc::new(settings.addresses.clone());
        Resolver::new(Arc::clone(self.addresses.get_or_init(addresses)))
    }

    /// Whether any client was made.
    pub(super) fn any(&self) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        !made.is_empty()
    }
}

fn build(
    timeouts: Timeouts,
    rule: Option<&RegistryRule>,
    key: &Key,
    resolver: Resolver,
) -> reqwest::Result<Client> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .referer(false)
        .dns_resolver(resolver)
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.idle)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    if let Some(pem) = rule.and_then(|rule| rule.ca_pem.as_deref()) {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
    }
    if let Some(pem) = rule.and_then(|rule| rule.identity_pem.as_ref()) {
        builder = builder.identity(Identity::from_pem(pem.reveal().as_bytes())?);
    }
    if rule.is_some_and(|rule| rule.any_certificate) {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if key.loopback {
        builder = builder.no_proxy();
    }
    if key.plain {
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// Whether `host`, perhaps with a port, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_name_and_by_address() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["docker.io", "localhost.example", "10.0.0.1:5000", "[::2]:5000"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn no_client_is_made_before_it_is_needed() {
        let clients = Clients::default();
        assert!(!clients.any());
        clients.get(&Settings::default(), "localhost:1", Scheme::Http).unwrap();
        assert!(clients.any());
    }

    #[test]
    fn plain_http_on_this_machine_waits_for_no_certificates() {
        let (clients, settings) = (Clients::default(), Settings::default());
        let asked = [
            ("localhost:1", Scheme::Http),
            ("127.0.0.1:2", Scheme::Http),
            ("localhost:1", Scheme::Https),
            ("registry.example", Scheme::Http),
        ];
        for (host, scheme) in asked {
            clients.get(&settings, host, scheme).unwrap();
        }
        let made = clients.made.into_inner().unwrap();
        let kinds: Vec<_> = made.keys().map(|key| (key.loopback, key.plain)).collect();
        assert_eq!(kinds, [(false, false), (true, false), (true, true)]);
    }
}
