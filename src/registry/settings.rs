//! How a registry client behaves, as plain values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::registry::credentials::Given;
use crate::registry::endpoint::{Mirror, Scheme};
use crate::registry::event::EventSink;
use crate::secret::Secret;

/// How a registry client behaves.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Rules for single registries, by host and perhaps port as references name them, such as `docker.io`.
    pub registries: BTreeMap<String, RegistryRule>,
    /// Docker's `config.json` and containers' `auth.json`, in the order in which they are asked. They are
    /// read when a registry first asks for credentials; one that does not exist holds none.
    pub credential_files: Vec<PathBuf>,
    /// How failures are met.
    pub retry: Retry,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// Addresses of hosts that are not asked of the system's resolver, by name in lower case. A port of 0
    /// stands for the URL's.
    pub addresses: BTreeMap<String, Vec<SocketAddr>>,
    /// Who is told about waiting and trying again.
    pub events: EventSink,
}

/// What is special about one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRule {
    /// Whether it is reached over TLS. Unsaid, a loopback registry is tried with TLS first and then
    /// without, as Docker does, and every other one is reached over TLS.
    pub scheme: Option<Scheme>,
    /// Certificates of authorities that are trusted for this registry beside the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether any certificate will do. Then anybody on the way can read credentials and choose what a tag
    /// means; what a digest names stays certain.
    pub any_certificate: bool,
    /// The client's own certificate and its key, in PEM.
    pub identity_pem: Option<Secret>,
    /// What is shown to it. Files and helpers are then not asked.
    pub credential: Option<Given>,
    /// Who is asked before it, in this order.
    pub mirrors: Vec<Mirror>,
    /// Whether it is asked itself where there are mirrors.
    pub fallback: bool,
}

impl RegistryRule {
    /// Whether it says anything that makes sense with TLS only.
    pub(super) const fn is_about_tls(&self) -> bool {
        self.ca_pem.is_some() || self.any_certificate || self.identity_pem.is_some()
    }
}

impl Default for RegistryRule {
    /// Nothing is special.
    fn default() -> Self {
        Self {
            scheme: None,
            ca_pem: None,
            any_certificate: false,
            identity_pem: None,
            credential: None,
            mirrors: Vec::new(),
            fallback: true,
        }
    }
}

/// How failures are met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Tries of one request without progress. Progress starts the count again.
    pub tries_max: u32,
    /// Failures of one registry in the life of a client, progress or not.
    pub failures_per_registry_max: u32,
    /// The pause after the first failure; it doubles with each, and up to as much again is added by chance.
    pub delay_min: Duration,
    /// No pause is chosen longer than this.
    pub delay_max: Duration,
    /// A registry that asks for a longer pause than this is not waited for.
    pub retry_after_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries_max: 5,
            failures_per_registry_max: 30,
            delay_min: Duration::from_millis(500),
            delay_max: Duration::from_secs(30),
            retry_after_max: Duration::from_mins(2),
        }
    }
}

/// How long is waited for what. There is no limit to the whole of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes.
    pub idle: Duration,
    /// For a credential helper.
    pub helper: Duration,
    /// Time waited for bytes over which the speed of a transfer is measured.
    pub speed_window: Duration,
    /// Bytes a second that a transfer must have over that time.
    pub bytes_per_s_min: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            helper: Duration::from_secs(30),
            speed_window: Duration::from_mins(1),
            bytes_per_s_min: 1 << 10,
        }
    }
}
