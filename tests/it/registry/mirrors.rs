//! Mirrors: who is asked, what they are told and shown, and what is believed.

use sandbox_images::registry::credentials::{Credential, Given};
use sandbox_images::registry::endpoint::Mirror;
use sandbox_images::registry::error::ErrorKind;
use sandbox_images::secret::Secret;

use super::*;
use crate::support::registry::Options;
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::fault::{Effect, Fault};

const LOGIN: Login = Login { user: "ann", password: "hunter2" };

/// A registry and a mirror of it, both with the image.
fn pair() -> (TestRegistry, TestRegistry) {
    let pair = (TestRegistry::start(), TestRegistry::start());
    put_image(&pair.0);
    put_image(&pair.1);
    pair
}

/// Settings under which `mirrors` stand for `registry`.
fn mirrored(registry: &TestRegistry, mirrors: &[&str], fallback: bool) -> Settings {
    let mut settings = plain(registry);
    let rule = settings.registries.get_mut(&registry.host()).expect("there is a rule");
    rule.mirrors = mirrors.iter().map(|url| Mirror::parse(url).expect("a mirror")).collect();
    rule.fallback = fallback;
    settings
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_told_for_whom() {
    let (registry, mirror) = pair();
    let mut settings = mirrored(&registry, &[&mirror.url()], true);
    let events = record(&mut settings);
    let client = Registry::new(settings);
    client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());

    assert_eq!(registry.requests(), []);
    let name = registry.host().replace(':', "%3A");
    assert_eq!(mirror.requests()[0].path, format!("/v2/acme/tool/manifests/1?ns={name}"));
    let used = RegistryEvent::Mirror { registry: registry.host(), mirror: mirror.host() };
    assert_eq!(*events.lock().unwrap(), [used], "told once");
}

#[tokio::test]
async fn a_mirror_may_hold_repositories_under_a_prefix() {
    let (registry, mirror) = (TestRegistry::start(), TestRegistry::start());
    let digest = put_image(&registry);
    let manifest = Registry::new(plain(&registry));
    let manifest = manifest.resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    mirror.put_manifest("hub/acme/tool", "1", OCI_MANIFEST, manifest.bytes());
    registry.clear_requests();
    let settings = mirrored(&registry, &[&format!("{}/v2/hub/", mirror.url())], true);
    let found = Registry::new(settings).resolve(&reference(&registry, "acme/tool:1")).await;
    assert_eq!(found.unwrap().digest(), digest);
    assert_eq!(registry.requests(), []);
}

#[tokio::test]
async fn what_a_mirror_lacks_comes_from_the_registry() {
    let (registry, mirror) = (TestRegistry::start(), TestRegistry::start());
    put_image(&registry);
    let client = Registry::new(mirrored(&registry, &[&mirror.url()], true));
    client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    assert_eq!((mirror.requests().len(), registry.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_mirror_that_fails_is_soon_asked_no_more() {
    let (registry, mirror) = pair();
    mirror.fault(Fault::on("/v2/", Effect::Answer(503, Vec::new(), Vec::new())));
    let mut settings = mirrored(&registry, &[&mirror.url()], true);
    let events = record(&mut settings);
    let client = Registry::new(settings);
    for _ in 0..6 {
        assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    }
    assert_eq!((mirror.requests().len(), registry.requests().len()), (3, 6));
    let events = events.lock().unwrap();
    assert!(events.iter().all(|event| matches!(event, RegistryEvent::MirrorFailed { .. })));
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn a_document_that_a_mirror_has_changed_is_not_believed() {
    let (registry, mirror) = pair();
    let digest = put_image(&registry);
    mirror.fault(Fault::on("/manifests/", Effect::FlipAt(20)));
    let client = Registry::new(mirrored(&registry, &[&mirror.url()], true));
    let pinned = reference(&registry, &format!("acme/tool@{digest}"));
    assert_eq!(client.resolve(&pinned).await.unwrap().digest(), digest);
    assert_eq!(client.resolve(&pinned).await.unwrap().digest(), digest);
    assert_eq!(mirror.requests().len(), 1, "who lies is asked no more");
}

#[tokio::test]
async fn without_fallback_the_registry_is_never_asked() {
    let (registry, mirror) = (TestRegistry::start(), TestRegistry::start());
    put_image(&registry);
    let client = Registry::new(mirrored(&registry, &[&mirror.url()], false));
    let error = client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(&mirror.host()), "{error}");
    let error = fetch_layer(&client, &registry).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(registry.requests(), []);
}

#[tokio::test]
async fn without_fallback_mirrors_take_turns_until_one_answers() {
    let (first, second) = pair();
    let registry = TestRegistry::start();
    for mirror in [&first, &second] {
        mirror.fault(Fault::on("/v2/", Effect::Answer(502, Vec::new(), Vec::new())).first(1));
    }
    let client = Registry::new(mirrored(&registry, &[&first.url(), &second.url()], false));
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    assert_eq!((first.requests().len(), second.requests().len()), (2, 1));
}

#[tokio::test]
async fn a_body_that_breaks_goes_on_at_the_same_mirror() {
    let (registry, mirror) = pair();
    mirror.fault(Fault::on("/blobs/", Effect::CutAt(200_000)).first(1));
    let client = Registry::new(mirrored(&registry, &[&mirror.url()], true));
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    assert_eq!(mirror.requests()[1].range.as_deref(), Some("bytes=200000-"));
    assert_eq!(registry.requests(), []);
}

#[tokio::test]
async fn a_mirror_that_dies_in_the_middle_is_replaced_by_the_registry() {
    let (registry, mirror) = pair();
    mirror.fault(Fault::on("/blobs/", Effect::CutAt(200_000)).first(1));
    mirror.fault(Fault::on("/blobs/", Effect::Answer(404, Vec::new(), Vec::new())));
    let client = Registry::new(mirrored(&registry, &[&mirror.url()], true));
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    assert_eq!(registry.requests()[0].range.as_deref(), Some("bytes=200000-"));
    assert_eq!(mirror.bytes_sent("/blobs/") + registry.bytes_sent("/blobs/"), 400_000);
}

#[tokio::test]
async fn the_senders_of_a_wrong_blob_are_asked_no_more() {
    let (registry, mirror) = pair();
    mirror.fault(Fault::on("/blobs/", Effect::FlipAt(7)));
    let client = Registry::new(mirrored(&registry, &[&mirror.url()], true));
    let stream = blob_stream(&client, &registry, ..);
    let senders = stream.senders();
    assert_ne!(collected(stream).await.unwrap(), layer());
    assert!(senders.distrust() && !senders.distrust());
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    assert_eq!((mirror.requests().len(), registry.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_mirror_is_shown_its_own_credentials_and_no_others() {
    let mirror = TestRegistry::start_with(Options { tls: false, auth: Auth::Basic(LOGIN) });
    let registry = TestRegistry::start();
    put_image(&mirror);
    put_image(&registry);
    let password = |secret: &str| {
        Some(Given::Credential(Credential::Password {
            user: "ann".to_owned(),
            password: Secret::new(secret),
        }))
    };
    let mut settings = mirrored(&registry, &[&mirror.url()], true);
    settings.registries.get_mut(&registry.host()).unwrap().credential = password("of-the-registry");
    let client = Registry::new(settings.clone());
    assert_eq!(fetch_layer(&client, &registry).await.unwrap(), layer());
    assert!(mirror.requests().iter().all(|request| request.authorization.is_none()));
    assert_eq!(registry.requests().len(), 1, "the mirror lets nobody in");

    mirror.clear_requests();
    let rule = RegistryRule { credential: password("hunter2"), ..RegistryRule::default() };
    settings.registries.insert(mirror.host(), rule);
    assert_eq!(fetch_layer(&Registry::new(settings), &registry).await.unwrap(), layer());
    assert_eq!(mirror.requests()[1].authorization, Some(LOGIN.basic()));
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_part_of_a_blob_is_asked_for_and_checked() {
    let registry = TestRegistry::start();
    put_image(&registry);
    let client = client();
    let whole = layer();
    for range in [0..1, 7..400_000, 399_999..400_000, 5..5, 100_000..200_000] {
        let part = collected(blob_stream(&client, &registry, range.clone())).await.unwrap();
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        assert!(part == whole[start..end], "{range:?}");
    }
    let asked = registry.requests_to("/blobs/");
    let asked: Vec<_> = asked.iter().map(|seen| seen.range.as_deref().unwrap()).collect();
    assert_eq!(asked, ["bytes=0-0", "bytes=7-", "bytes=399999-", "bytes=100000-199999"]);
}

#[tokio::test]
async fn a_part_is_cut_out_where_ranges_are_ignored_or_wrong() {
    let registry = TestRegistry::start();
    put_image(&registry);
    for effect in [
        Effect::IgnoreRange,
        Effect::Header("content-range", "bytes 100-299/399".to_owned()),
        Effect::Header("content-range", "bytes 99-298/400000".to_owned()),
    ] {
        registry.clear_faults();
        registry.fault(Fault::on("/blobs/", effect).first(1));
        let part = collected(blob_stream(&client(), &registry, 100..300)).await.unwrap();
        assert!(part == layer()[100..300]);
    }
}
