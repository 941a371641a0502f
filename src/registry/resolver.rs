//! Names become addresses: by the settings or by the system, and no address that may not be asked.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::registry::reach::{Naming, Reach};

/// Names to addresses, as the settings hold them.
pub(super) type Addresses = Arc<BTreeMap<String, Vec<SocketAddr>>>;

/// The resolver of a client.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    addresses: Addresses,
    guarded: Option<Guarded>,
}

/// A host that a registry has named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guarded {
    host: String,
    naming: Naming,
}

/// A host has no address that the registry may name.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` has only addresses that are nearer than the registry")]
pub(super) struct TooNear {
    host: String,
}

impl Resolver {
    pub(super) const fn new(addresses: Addresses) -> Self {
        Self { addresses, guarded: None }
    }

    /// The same, for a client of `host`, which a registry has named. Other names are those of proxies,
    /// which the user has named.
    pub(super) fn guarding(self, host: &str, naming: Naming) -> Self {
        Self { guarded: Some(Guarded { host: host.to_owned(), naming }), ..self }
    }

    /// All addresses of `name`, with port 0 where any will do.
    pub(super) async fn lookup(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        match self.addresses.get(&name.to_ascii_lowercase()) {
            Some(addresses) => Ok(addresses.clone()),
            None => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
        }
    }

    async fn allowed(self, name: String) -> Result<Addrs, Box<dyn StdError + Send + Sync>> {
        let mut addresses = self.lookup(&name).await?;
        if let Some(guarded) = self.guarded.filter(|guarded| guarded.host == name) {
            addresses.retain(|address| guarded.naming.allows(Reach::of(address.ip())));
            if addresses.is_empty() {
                return Err(TooNear { host: name }.into());
            }
        }
        Ok(Box::new(addresses.into_iter()))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().allowed(name.as_str().to_owned()))
    }
}

/// The address that a URL itself holds.
pub(super) fn literal(url: &Url) -> Option<std::net::IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(registry: Reach) -> Resolver {
        let addresses = [
            ("near.example", vec!["169.254.169.254:0", "10.0.0.1:0"]),
            ("mixed.example", vec!["10.0.0.1:0", "198.51.100.7:0"]),
        ];
        let addresses = addresses.map(|(name, addresses)| {
            (name.to_owned(), addresses.iter().map(|address| address.parse().unwrap()).collect())
        });
        Resolver::new(Arc::new(addresses.into()))
            .guarding("near.example", Naming::TokenServer(registry))
    }

    async fn allowed(registry: Reach, name: &str) -> Option<Vec<String>> {
        let found = resolver(registry).allowed(name.to_owned()).await.ok()?;
        Some(found.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn what_is_nearer_than_the_registry_is_left_out() {
        assert_eq!(allowed(Reach::Public, "near.example").await, None);
        assert_eq!(allowed(Reach::Private, "near.example").await.unwrap(), ["10.0.0.1"]);
        let proxy = allowed(Reach::Public, "mixed.example").await.unwrap();
        assert_eq!(proxy, ["10.0.0.1", "198.51.100.7"]);
    }

    #[test]
    fn a_url_can_hold_an_address_in_many_forms() {
        for (url, address) in [
            ("https://2852039166/", Some("169.254.169.254")),
            ("https://0xa9fea9fe/", Some("169.254.169.254")),
            ("https://[::ffff:a9fe:a9fe]/", Some("::ffff:169.254.169.254")),
            ("https://localhost/", None),
        ] {
            let found = literal(&Url::parse(url).unwrap());
            assert_eq!(found.map(|address| address.to_string()).as_deref(), address, "{url}");
        }
    }
}
