//! Proxies, which the environment names: a process of its own for each.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox_images::registry::Registry;
use sandbox_images::registry::settings::{RegistryRule, Retry, Settings};
use tokio::runtime::Runtime;

use crate::support::alone::with_environment;
use crate::support::pull::{Failure, layer, pull, put_image, sent_to};
use crate::support::registry::auth::Auth;
use crate::support::registry::raw::RawServer;
use crate::support::registry::tunnel::Tunnel;
use crate::support::registry::{Options, Place, TestRegistry};

const PROXY_PASSWORD: &str = "secret-of-the-proxy";

/// Pulls `r.example/acme/tool:1`, trusting this authority.
fn pull_through(ca_pem: Option<String>) -> Result<Vec<u8>, Failure> {
    let ca_pem = ca_pem.map(String::into_bytes);
    let rule = RegistryRule { ca_pem, ..RegistryRule::default() };
    let delay = Duration::from_millis(1);
    let retry = Retry { tries_max: 3, delay_min: delay, delay_max: delay, ..Retry::default() };
    let mut settings = Settings { retry, ..Settings::default() };
    settings.registries.insert("r.example".to_owned(), rule);
    let reference = "r.example/acme/tool:1".parse().expect("a reference");
    Runtime::new().expect("a runtime").block_on(pull(&Registry::new(settings), &reference))
}

/// In the other process: the pull fails, and shows nothing of the proxy's password.
fn fails() {
    let failure = pull_through(None).expect_err("the proxy does not serve");
    assert_eq!(failure.name(), "Transport");
    assert!(!failure.text().contains(PROXY_PASSWORD), "{}", failure.text());
}

fn with_proxy(host: &str, work: impl FnOnce()) {
    let url = format!("http://ann:{PROXY_PASSWORD}@{host}");
    with_environment(&[("HTTPS_PROXY", &url[..]), ("NO_PROXY", "")], work);
}

#[test]
fn a_proxy_is_shown_its_own_password_and_the_registry_is_not() {
    let place = Place { names: vec!["r.example".to_owned()], ..Place::default() };
    let options = Options { tls: true, auth: Auth::None };
    let registry = TestRegistry::start_at(options, &place);
    put_image(&registry);
    let tunnel = Tunnel::to(registry.host());
    let url = format!("http://ann:{PROXY_PASSWORD}@{}", tunnel.host());
    let ca = registry.ca_pem();

    let variables = [("HTTPS_PROXY", &url[..]), ("TEST_CA", ca), ("NO_PROXY", "")];
    let has_run = with_environment(&variables, || {
        let pulled = pull_through(std::env::var("TEST_CA").ok());
        assert!(pulled.is_ok_and(|bytes| bytes == layer()));
    });

    if has_run {
        let heads = tunnel.heads();
        let shown = STANDARD.encode(format!("ann:{PROXY_PASSWORD}"));
        assert!(!heads.is_empty(), "the proxy was asked");
        assert!(heads.iter().all(|head| head.starts_with("CONNECT r.example:443 ")), "{heads:?}");
        assert!(heads.iter().all(|head| head.contains(&shown)), "{heads:?}");
        let sent = sent_to(&registry, &[PROXY_PASSWORD, "proxy-authorization"]);
        assert!(sent.values().all(|times| *times == 0), "{sent:?}");
    }
}

#[test]
fn a_proxy_that_wants_another_password_ends_the_pull() {
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\
        proxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n";
    let proxy = RawServer::start(answer);
    with_proxy(proxy.url().trim_start_matches("http://"), fails);
}

#[test]
fn a_proxy_that_cannot_reach_the_registry_ends_the_pull() {
    let proxy = RawServer::start("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    with_proxy(proxy.url().trim_start_matches("http://"), fails);
}

#[test]
fn a_proxy_that_hangs_up_ends_the_pull() {
    let proxy = RawServer::start("");
    with_proxy(proxy.url().trim_start_matches("http://"), fails);
}

#[test]
fn a_proxy_that_speaks_something_else_ends_the_pull() {
    let proxy = RawServer::start("SSH-2.0-OpenSSH_9.6\r\n");
    with_proxy(proxy.url().trim_start_matches("http://"), fails);
}

#[test]
fn a_proxy_that_is_not_there_ends_the_pull() {
    with_proxy("127.0.0.1:1", fails);
}
