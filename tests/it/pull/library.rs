//! `pull` and `pull_with_progress` of the library.

use std::fs;
use std::time::{Duration, SystemTime};

use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::event::Event;
use sandbox_images::project::Session;
use sandbox_images::project::pull::{PullPolicy, PullRequest, pull, pull_with_progress};
use sandbox_images::project::telling::Events;
use sandbox_images::registry::settings::{Retry, Settings};
use sandbox_images::store::Store;

use super::image;
use crate::support::fixture::{serve, wait_until};
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

/// A registry, a store, and what to pull.
fn scene() -> (TestRegistry, tempfile::TempDir, Store, PullRequest) {
    let registry = TestRegistry::start();
    serve(&registry, "team/app", "1", &image());
    let files = tempfile::tempdir().unwrap();
    let store = Store::at(files.path().join("store"));
    let reference = format!("{}/team/app:1", registry.host()).parse().unwrap();
    (registry, files, store, PullRequest::new(reference))
}

fn settings() -> Settings {
    let retry = Retry { delay_min: Duration::from_millis(1), ..Retry::default() };
    Settings { retry, ..Settings::default() }
}

/// The names of all events to the end, as JSON has them.
async fn names(mut events: Events) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(event) = events.next().await {
        let json = serde_json::to_value(&event).unwrap();
        names.push(json["event"].as_str().unwrap().to_owned());
    }
    names
}

#[tokio::test]
async fn every_step_is_told_and_the_end_comes_last() {
    let (registry, _files, store, request) = scene();
    registry.fault(Fault::on("/blobs/", Effect::Answer(503, Vec::new(), Vec::new())).first(1));
    let (events, handle) = pull_with_progress(store, request, |reporter| {
        Session::telling(Some(settings()), reporter, SystemTime::now())
    });
    let (names, pulled) = tokio::join!(names(events), handle);
    assert_eq!(pulled.unwrap().layers.len(), 2);
    let count = |name: &str| names.iter().filter(|one| *one == name).count();
    for (name, times) in [
        ("image.resolving", 1),
        ("image.resolved", 1),
        ("plan", 1),
        ("retry", 1),
        ("document.done", 3),
        ("layer.started", 2),
        ("layer.building", 2),
        ("layer.verified", 2),
        ("layer.done", 2),
        ("fsmeta.started", 1),
        ("fsmeta.writing", 1),
        ("fsmeta.done", 1),
        ("disk.started", 1),
        ("disk.done", 1),
        ("done", 1),
    ] {
        assert_eq!(count(name), times, "{name} in {names:?}");
    }
    assert!(count("layer.progress") >= 2);
    let place = |name: &str| names.iter().position(|one| one == name).unwrap();
    assert!(place("layer.verified") < place("layer.done"));
    assert!(place("fsmeta.writing") < place("fsmeta.done"));
    assert_eq!(names.last().map(String::as_str), Some("done"));
}

#[tokio::test]
async fn what_is_resolved_says_how_much_there_is() {
    let (_registry, _files, store, request) = scene();
    let (mut events, handle) = pull_with_progress(store, request, |reporter| {
        Session::telling(Some(settings()), reporter, SystemTime::now())
    });
    handle.await.unwrap();
    let image = image();
    let layers = &image.platforms[&super::host()].layers;
    loop {
        if let Event::Resolved { layers: count, size_bytes, .. } = events.next().await.unwrap() {
            assert_eq!(count, 2);
            assert_eq!(size_bytes, layers.iter().map(|layer| layer.size).sum::<u64>());
            return;
        }
    }
}

#[tokio::test]
async fn a_pull_that_fails_ends_its_events_too() {
    let (registry, _files, store, mut request) = scene();
    request.source = format!("{}/team/none:1", registry.host())
        .parse()
        .map(sandbox_images::spec::source::ImageSource::Registry)
        .unwrap();
    let (events, handle) = pull_with_progress(store.clone(), request.clone(), |reporter| {
        Session::telling(Some(settings()), reporter, SystemTime::now())
    });
    let (names, pulled) = tokio::join!(names(events), handle);
    assert_eq!(names, ["image.resolving", "done"]);
    let error = pulled.unwrap_err();
    assert_eq!(error.to_string(), "cannot pull `none`");
    assert_eq!(error.synced().failures[0].1.code(), "not-found");

    request.policy = PullPolicy::Never;
    let session = Session::new(None, SystemTime::now());
    let error = pull(&store, &request, &session).await.unwrap_err();
    assert_eq!(error.synced().failures[0].1.code(), "not-pulled");
}

#[tokio::test]
async fn without_a_client_what_was_pulled_is_found() {
    let (registry, _files, store, request) = scene();
    let online = Session::telling(
        Some(settings()),
        std::sync::Arc::new(sandbox_images::plan::event::Silent),
        SystemTime::now(),
    );
    let first = pull(&store, &request, &online).await.unwrap();
    drop(registry);
    let offline = Session::new(None, SystemTime::now());
    let again = pull(&store, &request, &offline).await.unwrap();
    assert_eq!((first.cached, again.cached), (false, true));
    assert_eq!((first.disk, first.layers), (again.disk, again.layers));
    let other = PullRequest { platform: Platform::new("linux", "riscv64", None), ..request };
    let error = pull(&store, &other, &offline).await.unwrap_err();
    assert_eq!(error.synced().failures[0].1.code(), "offline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_given_up_leaves_a_store_that_the_next_one_completes() {
    let (registry, files, store, request) = scene();
    let layer = image().platforms[&super::host()].layers[0].digest.clone();
    for effect in [Effect::StallAt(100), Effect::Silence] {
        registry.fault(Fault::on(&layer, effect));
        let (mut events, handle) = pull_with_progress(store.clone(), request.clone(), |reporter| {
            Session::telling(Some(settings()), reporter, SystemTime::now())
        });
        loop {
            let event = events.next().await.expect("a layer is begun before the pull ends");
            if matches!(event, Event::LayerProgress { .. }) {
                break;
            }
        }
        drop(handle);
        while events.next().await.is_some() {}
        registry.clear_faults();
    }
    let unfinished = files.path().join("store/v1/tmp");
    wait_until("nothing unfinished is left", || fs::read_dir(&unfinished).unwrap().count() == 0);
    assert!(store.verify_all(std::num::NonZero::<usize>::MIN, &|_| ()).unwrap().is_clean());

    let session = Session::new(None, SystemTime::now());
    let registry_client = sandbox_images::registry::Registry::new(settings());
    let session = Session { registry: Some(registry_client), ..session };
    let pulled = pull(&store, &request, &session).await.unwrap();
    assert!(!pulled.cached && pulled.disk.is_file());
}
