//! What a client has learned of each host it talks to.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::registry::endpoint::Scheme;

/// Failures after which a mirror is asked no more: it costs each request the time that it takes to fail.
const MIRROR_FAILURES_MAX: u32 = 3;

/// All hosts, by the names that settings use.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    known: Mutex<BTreeMap<String, Host>>,
}

#[derive(Debug, Default)]
struct Host {
    scheme: Option<Scheme>,
    pause_until: Option<Instant>,
    failures: u32,
    avoided: bool,
    told: bool,
}

impl Hosts {
    /// How it is reached, if that was found out.
    pub(super) fn scheme(&self, host: &str) -> Option<Scheme> {
        self.with(host, |host| host.scheme)
    }

    /// Remembers how it is reached.
    pub(super) fn set_scheme(&self, host: &str, scheme: Scheme) {
        self.with(host, |host| host.scheme = Some(scheme));
    }

    /// Lets all requests to it wait for at least this long from now.
    pub(super) fn pause(&self, host: &str, delay: Duration) {
        let until = Instant::now() + delay;
        self.with(host, |host| host.pause_until = host.pause_until.max(Some(until)));
    }

    /// Until when requests to it wait.
    pub(super) fn paused_until(&self, host: &str) -> Option<Instant> {
        self.with(host, |host| host.pause_until.filter(|until| *until > Instant::now()))
    }

    /// Counts a failure: whether there were no more than `max`.
    pub(super) fn may_fail_again(&self, host: &str, max: u32) -> bool {
        self.with(host, |host| {
            host.failures = host.failures.saturating_add(1);
            host.failures <= max
        })
    }

    /// Counts a failure of a mirror, and avoids it after a few.
    pub(super) fn mirror_failed(&self, host: &str) {
        self.with(host, |host| {
            host.failures = host.failures.saturating_add(1);
            host.avoided |= host.failures >= MIRROR_FAILURES_MAX;
        });
    }

    /// Avoids a mirror from now on; `false` if it was avoided before.
    pub(super) fn avoid(&self, host: &str) -> bool {
        self.with(host, |host| !std::mem::replace(&mut host.avoided, true))
    }

    /// Whether a mirror has failed too often, or has sent wrong bytes.
    pub(super) fn is_avoided(&self, host: &str) -> bool {
        self.with(host, |host| host.avoided)
    }

    /// Whether this is the first time that somebody wants to tell of it.
    pub(super) fn is_news(&self, host: &str) -> bool {
        self.with(host, |host| !std::mem::replace(&mut host.told, true))
    }

    fn with<T>(&self, host: &str, with: impl FnOnce(&mut Host) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = known.get_mut(host) {
            return with(host);
        }
        with(known.entry(host.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_fails_is_avoided_and_others_are_not() {
        let hosts = Hosts::default();
        for expected in [false, false, true] {
            hosts.mirror_failed("a.example");
            assert_eq!(hosts.is_avoided("a.example"), expected);
        }
        assert!(!hosts.is_avoided("b.example"));
        assert!(hosts.avoid("b.example") && !hosts.avoid("b.example"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_pause_is_kept() {
        let hosts = Hosts::default();
        hosts.pause("a.example", Duration::from_secs(9));
        hosts.pause("a.example", Duration::from_secs(1));
        let until = hosts.paused_until("a.example").unwrap();
        assert_eq!(until - Instant::now(), Duration::from_secs(9));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(hosts.paused_until("a.example"), None);
    }
}
