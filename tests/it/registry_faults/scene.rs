//! A registry behind tokens, a client with a password, and the places where a fault may lead.

use super::*;

use std::fmt;
use std::time::Duration;

use sandbox_images::registry::Registry;
use sandbox_images::registry::endpoint::Scheme;
use sandbox_images::registry::settings::{RegistryRule, Retry, Settings, Timeouts};

use super::table::{Spoils, Times};
use crate::support::pull::{Failure, HALF, LAYER_BYTES, Parts, layer, pull, put_image, sent_to};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::raw::RawServer;
use crate::support::registry::{Options, Place, TestRegistry};

/// Bytes of the layer.
pub(super) const LAYER: u64 = LAYER_BYTES as u64;

const LOGIN: Login = Login { user: "ann", password: "hunter2-of-ann" };

/// Longer than a label of DNS may be: it is not even asked for.
const NO_NAME: &str = "a-name-that-is-longer-than-the-sixty-three-bytes-of-a-label-of-dns.invalid";

/// What a cell found.
#[derive(Debug)]
pub(super) struct Found {
    /// The failure's name, or nothing where the image came.
    pub(super) ends: Option<String>,
    pub(super) kind: Option<ErrorKind>,
    /// Requests for what the phase is about.
    pub(super) requests: usize,
    /// Bytes of the layer that the registry sent.
    pub(super) bytes: u64,
    /// Secrets where they may not be.
    pub(super) leaks: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ends, kind, requests, bytes, leaks } = self;
        write!(f, "{ends:?} ({kind:?}), {requests} requests, {bytes} bytes, {leaks:?}")
    }
}

/// A registry, and where a fault may lead.
pub(super) struct Scene {
    registry: TestRegistry,
    parts: Parts,
    /// Another registry that has the same image: over TLS with a certificate that nobody trusts, or for
    /// another name.
    elsewhere: Option<TestRegistry>,
    raw: Option<RawServer>,
    files: tempfile::TempDir,
    away: Option<String>,
    settings: Settings,
}

impl Scene {
    pub(super) fn set(row: &Row, phase: Phase) -> Self {
        let settings = settings(row);
        let (elsewhere, raw, away) = match row.spoils {
            Spoils::Answer(_) => (None, None, None),
            Spoils::NoName => (None, None, Some(format!("http://{NO_NAME}"))),
            Spoils::NobodyListens => (None, None, Some("http://127.0.0.1:1".to_owned())),
            Spoils::Raw(answer) => {
                let raw = RawServer::start(answer());
                let url = raw.url();
                (None, Some(raw), Some(url))
            }
            Spoils::NoTls => {
                let plain = TestRegistry::start();
                let url = plain.url().replace("http:", "https:");
                (Some(plain), None, Some(url))
            }
            Spoils::Untrusted | Spoils::OtherName => {
                let names = vec![if matches!(row.spoils, Spoils::OtherName) {
                    "other.example".to_owned()
                } else {
                    "127.0.0.1".to_owned()
                }];
                let options = Options { tls: true, auth: Auth::None };
                let tls = TestRegistry::start_at(options, &Place { names, ..Place::default() });
                let url = tls.url();
                (Some(tls), None, Some(url))
            }
        };
        let auth = match &away {
            Some(url) if phase == Phase::Token => Auth::BearerFrom(format!("{url}/token")),
            _ => Auth::Bearer(Some(LOGIN)),
        };
        let options = Options { tls: row.http2, auth };
        let registry =
            TestRegistry::start_at(options, &Place { http2: row.http2, ..Place::default() });
        let parts = put_image(&registry);
        let files = tempfile::tempdir().expect("a directory");
        let mut scene = Self { registry, parts, elsewhere, raw, files, away, settings };
        scene.settle(row);
        scene
    }

    /// Tells the client of the registry, and of its password.
    fn settle(&mut self, row: &Row) {
        let trusting = |registry: &TestRegistry| RegistryRule {
            ca_pem: Some(registry.ca_pem().as_bytes().to_vec()),
            ..RegistryRule::default()
        };
        let rule = if row.http2 {
            trusting(&self.registry)
        } else {
            RegistryRule { scheme: Some(Scheme::Http), ..RegistryRule::default() }
        };
        self.settings.registries.insert(self.registry.host(), rule);
        if let (Spoils::OtherName, Some(tls)) = (&row.spoils, &self.elsewhere) {
            self.settings.registries.insert(tls.host(), trusting(tls));
        }
        let path = self.files.path().join("config.json");
        let Login { user, password } = LOGIN;
        let entry = format!(r#"{{"username":"{user}","password":"{password}"}}"#);
        let json = format!(r#"{{"auths":{{"{}":{entry}}}}}"#, self.registry.host());
        std::fs::write(&path, json).expect("a file");
        self.settings.credential_files = vec![path];
    }

    /// Pulls the image while what `phase` is about is spoiled as `row` says.
    pub(super) async fn pull(self, row: &Row, phase: Phase) -> Found {
        let path = match phase {
            Phase::Token => "/token".to_owned(),
            Phase::Index => "/manifests/1".to_owned(),
            Phase::Manifest => format!("/manifests/{}", self.parts.manifest),
            Phase::Config => format!("/blobs/{}", self.parts.config),
            Phase::Blob | Phase::Resume => format!("/blobs/{}", self.parts.layer),
        };
        // The first request for the index only learns where the token server is.
        let first = u64::from(matches!(phase, Phase::Index | Phase::Resume));
        let which = match row.times {
            Times::Once => first..first + 1,
            Times::Always => first..u64::MAX,
        };
        if phase == Phase::Resume {
            self.registry.fault(Fault::on(&path, Effect::CutAt(HALF)).first(1));
        }
        let effect = match (&row.spoils, &self.away) {
            (Spoils::Answer(effect), _) => Some(effect()),
            (_, Some(_)) if phase == Phase::Token => None,
            (_, Some(url)) => Some(Effect::RedirectTo(url.clone())),
            (_, None) => unreachable!("a place that is elsewhere has a URL"),
        };
        if let Some(effect) = effect {
            self.registry.fault(Fault::on(&path, effect).nth(which));
        }
        let reference = format!("{}/acme/tool:1", self.registry.host());
        let client = Registry::new(self.settings.clone());
        let pulled = pull(&client, &reference.parse().expect("a reference")).await;
        if let Ok(bytes) = &pulled {
            assert!(*bytes == layer(), "{}: other bytes", row.what);
        }
        let failure = pulled.err();
        // A token server of a registry in the clear may itself be in the clear, and is shown the password.
        let is_led_astray = phase != Phase::Token;
        let leaks = if is_led_astray { self.leaks(failure.as_ref()) } else { Vec::new() };
        let layer = self.parts.layer.to_string();
        Found {
            kind: failure.as_ref().map(Failure::kind),
            requests: self.registry.requests_to(&path).len(),
            bytes: self.registry.bytes_sent(&layer),
            leaks,
            ends: failure.map(|failure| failure.name()),
        }
    }

    /// Where the password or a token is and may not be.
    fn leaks(&self, failure: Option<&Failure>) -> Vec<String> {
        let mut leaks = Vec::new();
        for seen in self.registry.requests() {
            let shown = seen.authorization.unwrap_or_default();
            let may = if seen.path.starts_with("/token") { "Basic " } else { "Bearer " };
            if !shown.is_empty() && !shown.starts_with(may) {
                leaks.push(format!("{may}at {}", seen.path));
            }
        }
        if let Some(elsewhere) = &self.elsewhere {
            let sent = sent_to(elsewhere, &[LOGIN.password, "token-1", "authorization"]);
            leaks.extend(sent.iter().filter(|(_, times)| **times > 0).map(|it| format!("{it:?}")));
        }
        if let Some(raw) = &self.raw {
            let heard = raw.heard().concat().to_ascii_lowercase();
            if heard.contains("authorization") {
                leaks.push(heard);
            }
        }
        let text = failure.map(Failure::text).unwrap_or_default();
        if text.contains(LOGIN.password) || text.contains("token-1") {
            leaks.push(text);
        }
        leaks
    }
}

/// Milliseconds where a real client waits seconds.
fn settings(row: &Row) -> Settings {
    let retry = Retry {
        tries_max: 3,
        delay_min: Duration::from_millis(1),
        delay_max: Duration::from_millis(2),
        ..Retry::default()
    };
    let mut timeouts = Timeouts::default();
    if let Some(patience_ms) = row.patience_ms {
        timeouts.idle = Duration::from_millis(patience_ms);
    }
    if let Some(window_ms) = row.speed_window_ms {
        timeouts.speed_window = Duration::from_millis(window_ms);
    }
    Settings { retry, timeouts, ..Settings::default() }
}

/// Settings for an open registry over plain http.
pub(super) fn plain(registry: &TestRegistry) -> Settings {
    let rule = RegistryRule { scheme: Some(Scheme::Http), ..RegistryRule::default() };
    let retry = Retry { delay_min: Duration::from_millis(1), tries_max: 3, ..Retry::default() };
    let mut settings = Settings { retry, ..Settings::default() };
    settings.registries.insert(registry.host(), rule);
    settings
}
