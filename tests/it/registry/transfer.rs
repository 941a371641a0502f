//! Transfers that break, stop, lie and go on.

use sandbox_images::registry::error::ErrorKind;

use super::*;
use crate::support::registry::fault::{Effect, Fault};

const HALF: usize = 200_000;

#[tokio::test]
async fn a_blob_comes_in_one_request() {
    let registry = TestRegistry::start();
    put_image(&registry);
    assert_eq!(fetch_layer(&client(), &registry).await.unwrap(), layer());
    assert_eq!(registry.requests_to("/blobs/").len(), 1);
}

#[tokio::test]
async fn a_cut_body_goes_on_where_it_stopped() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::CutAt(HALF)).first(1));
    let mut settings = plain(&registry);
    let events = record(&mut settings);
    assert_eq!(fetch_layer(&Registry::new(settings), &registry).await.unwrap(), layer());

    let requests = registry.requests_to("/blobs/");
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].range.as_deref(), Some("bytes=200000-"));
    assert_eq!(registry.bytes_sent("/blobs/"), 400_000, "nothing is sent twice");
    let events = events.lock().unwrap();
    assert!(matches!(&events[0], RegistryEvent::Retry { .. }));
    assert!(matches!(&events[1], RegistryEvent::Resumed { offset: 200_000, .. }));
}

#[tokio::test]
async fn progress_gives_new_tries() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::CutAt(40_000)).first(8));
    assert_eq!(fetch_layer(&client(), &registry).await.unwrap(), layer());
    assert_eq!(registry.requests_to("/blobs/").len(), 9);
}

#[tokio::test]
async fn a_body_that_never_comes_ends_after_five_tries() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::CutAt(HALF)).first(1));
    registry.fault(Fault::on("/blobs/", Effect::CutAt(0)));
    let error = fetch_layer(&client(), &registry).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert_eq!(registry.requests_to("/blobs/").len(), 5, "the first failure and four more");
}

#[tokio::test]
async fn a_body_without_length_that_ends_early_is_truncated() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::EndAt(9)).first(1));
    registry.fault(Fault::on("/blobs/", Effect::EndAt(0)));
    let error = fetch_layer(&client(), &registry).await.unwrap_err();
    assert!(matches!(error, Error::Truncated { expected: 400_000, actual: 9, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[tokio::test]
async fn a_registry_that_ignores_the_range_is_understood() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::CutAt(HALF)).first(1));
    registry.fault(Fault::on("/blobs/", Effect::IgnoreRange).nth(1..2));
    assert_eq!(fetch_layer(&client(), &registry).await.unwrap(), layer());
    assert_eq!(registry.bytes_sent("/blobs/"), 600_000);
}

#[tokio::test]
async fn a_wrong_part_is_thrown_away() {
    let range = |range: &str| Effect::Header("content-range", range.to_owned());
    for effect in [
        range("bytes 1-399999/400000"),
        range("bytes 200000-399998/400000"),
        range("bytes 200000-399999/7"),
        Effect::NoHeader("content-range"),
    ] {
        let registry = TestRegistry::start();
        put_image(&registry);
        registry.fault(Fault::on("/blobs/", Effect::CutAt(HALF)).first(1));
        registry.fault(Fault::on("/blobs/", effect.clone()).nth(1..2));
        let fetched = fetch_layer(&client(), &registry).await.unwrap();
        assert_eq!(fetched, layer(), "{effect:?}");
        let third = &registry.requests_to("/blobs/")[2];
        assert_eq!(third.range, None, "{effect:?}");
    }
}

#[tokio::test]
async fn a_refused_range_starts_over() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::CutAt(HALF)).first(1));
    registry.fault(Fault::on("/blobs/", Effect::Answer(416, Vec::new(), Vec::new())).nth(1..2));
    assert_eq!(fetch_layer(&client(), &registry).await.unwrap(), layer());
    assert_eq!(registry.requests_to("/blobs/").len(), 3);
}

#[tokio::test]
async fn one_byte_too_many_stops_the_transfer() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::Endless));
    let error = fetch_layer(&client(), &registry).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { limit: 400_000, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(registry.requests_to("/blobs/").len(), 1);
}

#[tokio::test]
async fn a_whole_body_of_another_length_is_damage() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::Append(vec![0])));
    let error = fetch_layer(&client(), &registry).await.unwrap_err();
    assert!(matches!(error, Error::Size { expected: 400_000, actual: 400_001, .. }), "{error}");
}

#[tokio::test]
async fn failures_that_may_pass_are_tried_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let registry = TestRegistry::start();
        let digest = put_image(&registry);
        let fault = Effect::Answer(status, Vec::new(), Vec::new());
        registry.fault(Fault::on("/manifests/", fault).first(2));
        registry.fault(Fault::on("/manifests/", Effect::Reset).nth(2..3));
        let found = client().resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
        assert_eq!(found.digest(), digest);
        assert!(registry.requests_to("/manifests/").len() >= 4, "{status}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_once() {
    let registry = TestRegistry::start();
    let error = client().resolve(&reference(&registry, "acme/none:1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("MANIFEST_UNKNOWN: manifest unknown"), "{error}");
    assert_eq!(registry.requests_to("/manifests/").len(), 1);
}

#[tokio::test]
async fn retry_after_is_obeyed_and_told() {
    let registry = TestRegistry::start();
    put_image(&registry);
    let busy = Effect::Answer(429, vec![("retry-after", "0".to_owned())], Vec::new());
    registry.fault(Fault::on("/manifests/", busy).first(1));
    let mut settings = plain(&registry);
    let events = record(&mut settings);
    let client = Registry::new(settings);
    client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    let events = events.lock().unwrap();
    assert!(
        matches!(&events[..], [RegistryEvent::Retry { delay: Duration::ZERO, .. }]),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_pause_that_is_too_long_ends_the_request_at_once() {
    let registry = TestRegistry::start();
    put_image(&registry);
    let busy = Effect::Answer(429, vec![("retry-after", "121".to_owned())], Vec::new());
    registry.fault(Fault::on("/manifests/", busy));
    let error = client().resolve(&reference(&registry, "acme/tool:1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.to_string().contains("asks to come back in 121 s"), "{error}");
    assert_eq!(registry.requests_to("/manifests/").len(), 1);
}

#[tokio::test]
async fn a_stalled_body_is_given_up_and_resumed() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::StallAt(HALF)).first(1));
    let mut settings = plain(&registry);
    settings.timeouts.idle = Duration::from_millis(100);
    assert_eq!(fetch_layer(&Registry::new(settings), &registry).await.unwrap(), layer());
    assert_eq!(registry.bytes_sent("/blobs/"), 400_000);
}

#[tokio::test]
async fn a_registry_that_is_gone_is_a_network_failure() {
    let mut registry = TestRegistry::start();
    put_image(&registry);
    let client = Registry::new(plain(&registry));
    assert!(!client.was_used());
    registry.stop();
    let error = client.resolve(&reference(&registry, "acme/tool:1")).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }));
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(client.was_used());
}

#[tokio::test]
async fn a_registry_that_fails_again_and_again_is_given_up_even_with_progress() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/blobs/", Effect::EndAt(9)));
    let error = fetch_layer(&client(), &registry).await.unwrap_err();
    assert!(matches!(error, Error::Truncated { actual: 279, .. }), "{error}");
    assert_eq!(registry.requests_to("/blobs/").len(), 31);
}
