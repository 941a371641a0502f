//! Pauses, in time that is paused itself: what is waited for is counted, and nobody waits.

use std::sync::Arc;

use super::*;
use crate::registry::event::EventSink;

const SECOND: Duration = Duration::from_secs(1);

fn refusal(status: u16, retry_after: Option<Duration>) -> Error {
    let url = ShownUrl::of(&Url::parse("https://r.example/v2/").unwrap());
    Error::Status { url, status, retry_after, redirected: false, words: Words::default() }
}

/// A transport, and where its events go.
fn transport() -> (Transport, Arc<std::sync::Mutex<Vec<RegistryEvent>>>) {
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let events_sink = EventSink::new(move |event| told.lock().unwrap().push(event));
    (Transport::new(Settings { events: events_sink, ..Settings::default() }), events)
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_asked_for_is_kept_to_the_second_by_all() {
    for status in [429, 503] {
        let (transport, events) = transport();
        let start = Instant::now();
        let refused = async {
            let mut tries = Tries::new(transport.settings());
            let error = refusal(status, Some(7 * SECOND));
            transport.pause(&mut tries, "r.example", error).await.unwrap();
            start.elapsed()
        };
        let another_task = async {
            tokio::time::sleep(SECOND).await;
            transport.wait("r.example").await;
            start.elapsed()
        };
        let another_registry = async {
            tokio::time::sleep(SECOND).await;
            transport.wait("s.example").await;
            start.elapsed()
        };
        let waited = tokio::join!(refused, another_task, another_registry);
        let seconds = [waited.0, waited.1, waited.2].map(|waited| waited.as_secs());
        assert_eq!(seconds, [7, 7, 1], "{status}");
        let told = events.lock().unwrap();
        let waiting = told.iter().filter(|it| matches!(it, RegistryEvent::Waiting { .. }));
        assert_eq!(waiting.count(), 2, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_pause_that_is_kept_is_two_minutes() {
    let (transport, _) = transport();
    let start = Instant::now();
    let pause = |wait: Duration| {
        let transport = &transport;
        async move {
            let mut tries = Tries::new(transport.settings());
            transport.pause(&mut tries, "r.example", refusal(429, Some(wait))).await
        }
    };
    let refused = pause(121 * SECOND).await.unwrap_err();
    assert!(matches!(refused, Error::RateLimited { wait, .. } if wait == 121 * SECOND));
    assert_eq!(start.elapsed(), Duration::ZERO, "it fails at once");
    pause(120 * SECOND).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn own_pauses_double_and_are_at_most_doubled_by_chance() {
    let (transport, _) = transport();
    let mut tries = Tries::new(transport.settings());
    let mut least = Duration::from_millis(500);
    for _ in 1..transport.settings().retry.tries_max {
        let start = Instant::now();
        transport.pause(&mut tries, "r.example", refusal(500, None)).await.unwrap();
        let waited = start.elapsed();
        let tick = Duration::from_millis(2);
        assert!(least <= waited && waited <= 2 * least + tick, "{waited:?} for {least:?}");
        least *= 2;
    }
    let ended = transport.pause(&mut tries, "r.example", refusal(500, None)).await;
    assert!(matches!(ended, Err(Error::Status { status: 500, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_waited_for() {
    let (transport, _) = transport();
    let start = Instant::now();
    for status in [400, 401, 403, 404, 405, 410, 416, 451] {
        let mut tries = Tries::new(transport.settings());
        let error = refusal(status, Some(SECOND));
        assert!(transport.pause(&mut tries, "r.example", error).await.is_err(), "{status}");
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}
