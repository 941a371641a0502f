//! Who is shown what: tokens, passwords, redirects, TLS.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox_images::registry::error::ErrorKind;

use super::*;
use crate::support::registry::Options;
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};

const LOGIN: Login = Login { user: "ann", password: "hunter2" };

fn with_auth(auth: Auth) -> TestRegistry {
    let registry = TestRegistry::start_with(Options { tls: false, auth });
    put_image(&registry);
    registry
}

/// A file of credentials with this entry for the registry.
fn credentials(registry: &TestRegistry, entry: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.json");
    let json = format!(r#"{{"auths":{{"{}":{entry}}}}}"#, registry.host());
    std::fs::write(&path, json).expect("a file");
    let missing = directory.path().join("auth.json");
    (directory, vec![missing, path])
}

fn password(user: &str, password: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:{password}")))
}

/// Resolves `acme/tool:1` with these credentials.
async fn resolve(registry: &TestRegistry, entry: &str) -> Result<Vec<RegistryEvent>, Error> {
    let (_directory, files) = credentials(registry, entry);
    let mut settings = plain(registry);
    settings.credential_files = files;
    let events = record(&mut settings);
    let client = Registry::new(settings);
    client.resolve(&reference(registry, "acme/tool:1")).await?;
    let events = events.lock().expect("no panic").clone();
    Ok(events)
}

#[tokio::test]
async fn everybody_gets_a_token_for_a_public_image() {
    let registry = with_auth(Auth::Bearer(None));
    let client = client();
    client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    fetch_layer(&client, &registry).await.unwrap();
    let tokens = registry.requests_to("/token");
    assert_eq!(tokens.len(), 1, "one token serves manifest and layer");
    assert_eq!(
        tokens[0].path,
        "/token?service=test%2C+registry&scope=repository%3Aacme%2Ftool%3Apull"
    );
    assert_eq!(tokens[0].authorization, None);
}

#[tokio::test]
async fn a_password_goes_to_the_token_server_only() {
    let registry = with_auth(Auth::Bearer(Some(LOGIN)));
    resolve(&registry, &password("ann", "hunter2")).await.unwrap();
    assert_eq!(registry.requests_to("/token")[0].authorization, Some(LOGIN.basic()));
    for request in registry.requests_to("/v2/") {
        assert!(!request.authorization.unwrap_or_default().starts_with("Basic"));
    }
}

#[tokio::test]
async fn a_password_is_shown_to_a_registry_that_asks_for_it() {
    let registry = with_auth(Auth::Basic(LOGIN));
    resolve(&registry, &password("ann", "hunter2")).await.unwrap();
    let shown: Vec<_> = registry.requests().into_iter().map(|seen| seen.authorization).collect();
    assert_eq!(shown, [None, Some(LOGIN.basic())]);
}

#[tokio::test]
async fn an_identity_token_is_posted() {
    let registry = with_auth(Auth::Bearer(Some(LOGIN)));
    resolve(&registry, r#"{"identitytoken":"hunter2"}"#).await.unwrap();
    let token = &registry.requests_to("/token")[0];
    assert_eq!((token.method.as_str(), token.path.as_str()), ("POST", "/token"));
    assert!(token.body.starts_with("grant_type=refresh_token&service=test%2C+registry"));
}

#[tokio::test]
async fn refused_credentials_are_given_up_once() {
    let registry = with_auth(Auth::Bearer(None));
    let refused = Effect::Answer(401, Vec::new(), Vec::new());
    registry.fault(Fault::on("/token", refused).first(1));
    let events = resolve(&registry, &password("ann", "wrong")).await.unwrap();
    assert!(events.iter().any(|event| matches!(event, RegistryEvent::CredentialsIgnored { .. })));
    let tokens = registry.requests_to("/token");
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[1].authorization, None);
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    for (auth, entry) in [
        (Auth::Basic(LOGIN), password("ann", "wrong")),
        (Auth::Bearer(Some(LOGIN)), password("ann", "wrong")),
        (Auth::Basic(LOGIN), "{}".to_owned()),
        (Auth::Bearer(Some(LOGIN)), "{}".to_owned()),
    ] {
        let registry = with_auth(auth);
        let error = resolve(&registry, &entry).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().contains("denies access to `acme/tool`"), "{error}");
        assert!(registry.requests().len() <= 5);
    }
}

#[tokio::test]
async fn a_forbidden_image_is_asked_for_once_more_without_credentials() {
    let registry = with_auth(Auth::Bearer(None));
    let forbidden = Effect::Answer(403, Vec::new(), Vec::new());
    registry.fault(Fault::on("/manifests/", forbidden).nth(1..2));
    resolve(&registry, &password("ann", "hunter2")).await.unwrap();
    let tokens = registry.requests_to("/token");
    assert_eq!(tokens[0].authorization, Some(LOGIN.basic()));
    assert_eq!(tokens[1].authorization, None);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_pull_is_renewed() {
    let registry = with_auth(Auth::Bearer(None));
    let client = client();
    client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    registry.revoke_tokens();
    fetch_layer(&client, &registry).await.unwrap();
    assert_eq!(registry.requests_to("/token").len(), 2);
}

#[tokio::test]
async fn a_broken_file_of_credentials_does_not_keep_a_public_image_away() {
    let registry = with_auth(Auth::Bearer(None));
    let events = resolve(&registry, "\"hunter2\"").await.unwrap();
    let ignored = events.iter().find_map(|event| match event {
        RegistryEvent::CredentialsIgnored { reason, .. } => Some(reason),
        _ => None,
    });
    let reason = ignored.unwrap();
    assert!(reason.contains("not the expected JSON") && !reason.contains("hunter2"), "{reason}");
}

#[tokio::test]
async fn a_token_server_in_the_clear_gets_nothing_from_a_registry_behind_tls() {
    let thief = TestRegistry::start();
    let registry = TestRegistry::start_with(Options {
        tls: true,
        auth: Auth::BearerFrom(format!("{}/token", thief.url())),
    });
    put_image(&registry);
    let (_directory, files) = credentials(&registry, &password("ann", "hunter2"));
    let mut settings = trusting(&registry);
    settings.credential_files = files;
    let client = Registry::new(settings);
    let error = client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap_err();
    assert!(matches!(error, Error::Realm { .. }), "{error}");
    assert_eq!(thief.requests(), []);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_shown_nothing() {
    let storage = TestRegistry::start();
    put_image(&storage);
    let registry = with_auth(Auth::Basic(LOGIN));
    registry.fault(Fault::on("/blobs/", Effect::RedirectTo(storage.url())).nth(1..2));
    let (_directory, files) = credentials(&registry, &password("ann", "hunter2"));
    let mut settings = plain(&registry);
    settings.credential_files = files;
    let fetched = fetch_layer(&Registry::new(settings), &registry).await.unwrap();
    assert_eq!(fetched, layer());
    assert_eq!(storage.requests_to("/blobs/").len(), 1);
    assert!(storage.requests().iter().all(|request| request.authorization.is_none()));
}

#[tokio::test]
async fn redirects_that_lead_astray_are_not_followed() {
    let registry = TestRegistry::start_with(Options { tls: true, auth: Auth::None });
    put_image(&registry);
    let plain_origin = TestRegistry::start();
    for target in [
        plain_origin.url(),
        "https://ann:pw@127.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        registry.url(),
    ] {
        registry.clear_faults();
        registry.fault(Fault::on("/blobs/", Effect::RedirectExactly(format!("{target}/blobs/"))));
        let client = Registry::new(trusting(&registry));
        let error = fetch_layer(&client, &registry).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{target}: {error}");
        assert!(!shown(&error).contains("pw@"));
    }
    assert_eq!(plain_origin.requests(), []);
    assert!(registry.requests().len() <= 9, "the circle ends after five redirects");
}

#[tokio::test]
async fn a_redirect_leads_to_no_address_that_is_nearer_than_the_registry() {
    let registry = TestRegistry::start();
    put_image(&registry);
    let mut settings = plain(&registry);
    let metadata = "169.254.169.254:80".parse().unwrap();
    settings.addresses.insert("storage.example".to_owned(), vec![metadata]);
    for target in ["http://169.254.169.254/", "http://2852039166/", "http://storage.example/"] {
        registry.clear_faults();
        registry.fault(Fault::on("/blobs/", Effect::RedirectExactly(target.to_owned())));
        let client = Registry::new(settings.clone());
        let error = fetch_layer(&client, &registry).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{target}: {error}");
        assert!(error.to_string().contains(&registry.host()), "{error}");
    }
}

fn trusting(registry: &TestRegistry) -> Settings {
    let rule = RegistryRule {
        ca_pem: Some(registry.ca_pem().as_bytes().to_vec()),
        ..RegistryRule::default()
    };
    let mut settings = settings();
    settings.registries.insert(registry.host(), rule);
    settings
}

#[tokio::test]
async fn tls_wants_an_authority_that_is_trusted() {
    let registry = TestRegistry::start_with(Options { tls: true, auth: Auth::None });
    let digest = put_image(&registry);
    let reference = reference(&registry, "acme/tool:1");
    let found = Registry::new(trusting(&registry)).resolve(&reference).await.unwrap();
    assert_eq!(found.digest(), digest);

    let mut strict = settings();
    let rule = RegistryRule { scheme: Some(Scheme::Https), ..RegistryRule::default() };
    strict.registries.insert(registry.host(), rule);
    registry.clear_requests();
    let error = Registry::new(strict).resolve(&reference).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Certificate);
    assert!(shown(&error).contains("UnknownIssuer"), "{}", shown(&error));
    assert_eq!(registry.requests(), [], "it is not asked, and not tried again");

    let rule = RegistryRule { any_certificate: true, ..RegistryRule::default() };
    let mut careless = settings();
    careless.registries.insert(registry.host(), rule);
    assert_eq!(Registry::new(careless).resolve(&reference).await.unwrap().digest(), digest);
}

#[tokio::test]
async fn no_secret_is_shown_by_an_error_or_an_event() {
    let registry = with_auth(Auth::Basic(LOGIN));
    let (_directory, files) = credentials(&registry, &password("ann", "hunter2"));
    let mut settings = plain(&registry);
    settings.credential_files = files;
    let events = record(&mut settings);
    let presigned = "http://127.0.0.1:1/blob?X-Amz-Signature=presigned-key".to_owned();
    registry.fault(Fault::on("/blobs/", Effect::RedirectExactly(presigned)).nth(1..u64::MAX));
    let client = Registry::new(settings);
    let error = fetch_layer(&client, &registry).await.unwrap_err();
    let text = format!("{} {:?} {client:?}", shown(&error), events.lock().unwrap());
    for secret in ["hunter2", "presigned-key", LOGIN.basic().trim_start_matches("Basic ")] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("127.0.0.1:1/blob?…"), "{text}");
}

#[tokio::test]
async fn layers_that_start_together_share_one_token() {
    let registry = with_auth(Auth::Bearer(None));
    let client = client();
    let fetches = (0..8).map(|_| fetch_layer(&client, &registry));
    let layers = futures_util::future::try_join_all(fetches).await.unwrap();
    assert!(layers.iter().all(|bytes| *bytes == layer()));
    assert_eq!(registry.requests_to("/token").len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let registry = with_auth(Auth::Bearer(None));
    let short = br#"{"access_token":"token-1","expires_in":0}"#.to_vec();
    registry.fault(Fault::on("/token", Effect::Answer(200, Vec::new(), short)).first(1));
    let client = client();
    let reference = reference(&registry, "acme/tool:1");
    client.resolve(&reference).await.unwrap();
    registry.clear_requests();
    client.resolve(&reference).await.unwrap();
    let asked = registry.requests();
    let asked: Vec<_> =
        asked.iter().map(|seen| (seen.path.starts_with("/token"), seen.status)).collect();
    assert_eq!(asked, [(true, 200), (false, 200)], "the old token is not tried first");
}
