//! HTTP clients, made when the first request needs them.
//!
//! Making one reads the system's certificates, which takes 30 ms and fails without any; so one client
//! serves all registries that have nothing special, and offline runs make none.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, redirect};

use crate::registry::error::Error;
use crate::registry::settings::{Settings, Timeouts};

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
}

impl fmt::Debug for Clients {
    /// A client would show its proxies, whose URLs may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

/// What requests need a client of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Those to hosts with nothing special.
    Common,
    /// Those that stay on this machine: a proxy elsewhere could not reach it.
    Loopback,
    /// Those to a host with certificates of its own.
    Host(String),
}

impl Clients {
    /// The client for requests to `host`, which is a registry's name or `host:port` of a URL.
    pub(super) fn get(&self, settings: &Settings, host: &str) -> Result<Client, Error> {
        let ca_pem = settings.registries.get(host).and_then(|rule| rule.ca_pem.as_deref());
        let key = match ca_pem {
            Some(_) => Key::Host(host.to_owned()),
            None if is_loopback(host) => Key::Loopback,
            None => Key::Common,
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&key) {
            return Ok(client.clone());
        }
        let client = build(settings.timeouts, ca_pem, is_loopback(host))
            .map_err(|source| Error::Client { registry: host.to_owned(), source })?;
        made.insert(key, client.clone());
        Ok(client)
    }

    /// Whether any client was made.
    pub(super) fn any(&self) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        !made.is_empty()
    }
}

fn build(timeouts: Timeouts, ca_pem: Option<&[u8]>, loopback: bool) -> reqwest::Result<Client> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.idle)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    if let Some(pem) = ca_pem {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
    }
    if loopback {
        builder = builder.no_proxy();
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
        clients.get(&Settings::default(), "localhost:1").unwrap();
        assert!(clients.any());
    }
}
