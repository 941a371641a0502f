use super::*;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MIB: u64 = 1 << 20;

fn layer(name: &str) -> DiffId {
    DiffId(Digest::of(name))
}

fn started(name: &str, size_bytes: u64) -> Event {
    let image = "app".parse().unwrap();
    let (diff_id, digest) = (layer(name), Digest::of(name));
    Event::LayerStarted { diff_id, digest, size_bytes, image, stored: false }
}

fn progress(name: &str, received_bytes: u64) -> Event {
    Event::LayerProgress { diff_id: layer(name), received_bytes, size_bytes: 0 }
}

fn done(name: &str, size_bytes: u64) -> Event {
    let (diff_id, digest, image) = (layer(name), Digest::of(name), "app".parse().unwrap());
    Event::LayerDone { diff_id, digest, size_bytes, image_bytes: 0, image, stored: false }
}

fn planned(download_bytes: u64) -> Event {
    let totals = sandbox_images::plan::event::Totals { download_bytes, ..Default::default() };
    Event::Planned(totals)
}

fn wait(kind: WaitKind, waited_s: u64, limit_s: u64) -> Event {
    Event::Waiting {
        subject: "r.example".to_owned(),
        waited_ms: waited_s * 1000,
        limit_ms: Some(limit_s * 1000),
        kind,
    }
}

/// The state after these events.
fn after(events: &[(u64, Event)]) -> State {
    let mut state = State::default();
    for (seconds, event) in events {
        state.take(event, at(*seconds));
    }
    state
}

#[test]
fn a_log_is_told_every_half_minute_while_something_is_under_way() {
    let mut state = after(&[
        (0, planned(12 * MIB)),
        (5, started("a", 10 * MIB)),
        (5, progress("a", 0)),
        (20, progress("a", 3 * MIB)),
    ]);
    let name = short(Digest::of("a"));
    assert_eq!(state.heartbeat(at(34)), None);
    let first =
        format!("1 layer, 3.0 MiB of 12.0 MiB at 102.4 KiB/s: app {name} (3.0 MiB of 10.0 MiB)");
    assert_eq!(state.heartbeat(at(35)), Some(first));
    assert_eq!(state.heartbeat(at(64)), None);
    let building = Event::LayerBuilding { diff_id: layer("a"), image: "app".parse().unwrap() };
    state.take(&progress("a", 10 * MIB), at(64));
    state.take(&building, at(64));
    let second = format!("1 layer, 10.0 MiB of 12.0 MiB at 238.9 KiB/s: app {name} (building)");
    assert_eq!(state.heartbeat(at(65)), Some(second));
    state.take(&done("a", 10 * MIB), at(66));
    assert_eq!(state.heartbeat(at(200)), None);
    state.take(&started("b", MIB), at(300));
    assert_eq!(state.heartbeat(at(329)), None, "time in which nothing was done does not count");
    assert!(state.heartbeat(at(330)).is_some());
}

#[test]
fn of_many_layers_a_few_are_named() {
    let names = ["a", "b", "c", "d", "e"];
    let mut state = after(&names.map(|name| (0, started(name, MIB))));
    let text = state.heartbeat(at(30)).unwrap();
    assert!(text.starts_with("5 layers, 0 B of 5.0 MiB at 0 B/s: app "), "{text}");
    assert!(text.ends_with(" and 2 more"), "{text}");
}

#[test]
fn what_has_no_size_is_named() {
    let resolving = |name: &str| Event::Resolving {
        image: name.parse().unwrap(),
        source: "docker.io/library/a:1".to_owned(),
    };
    let mut state = after(&[(0, resolving("app")), (0, resolving("tool"))]);
    assert_eq!(state.heartbeat(at(30)).as_deref(), Some("resolving app, tool"));
}

#[test]
fn a_transfer_that_begins_anew_takes_its_bytes_back() {
    let mut state = after(&[
        (0, planned(10 * MIB)),
        (0, started("a", 10 * MIB)),
        (0, progress("a", 4 * MIB)),
        (1, progress("a", 9 * MIB)),
    ]);
    assert_eq!((state.bytes(), state.jumps), (9 * MIB, 1), "what an earlier run kept is no speed");
    state.take(&progress("a", 0), at(2));
    assert_eq!((state.bytes(), state.jumps), (0, 2));
    state.take(&done("a", 10 * MIB), at(3));
    assert_eq!((state.bytes(), state.planned_bytes()), (10 * MIB, 10 * MIB));
}

#[test]
fn what_fails_or_is_there_already_is_not_to_be_fetched_any_more() {
    let artifact = Artifact::Layer(layer("a"));
    let (code, image) = ("transport".to_owned(), "app".parse::<ImageName>().unwrap());
    let failed = Event::Failed { code, artifact, image: image.clone(), message: String::new() };
    let present =
        Event::Present { artifact: Artifact::Layer(layer("b")), download_bytes: 2 * MIB, image };
    let events = [(0, planned(9 * MIB)), (0, started("a", 4 * MIB)), (1, failed), (1, present)];
    let state = after(&events);
    assert_eq!((state.bytes(), state.planned_bytes()), (0, 3 * MIB));
    assert!(!state.is_busy());
}

#[test]
fn a_pause_is_news_once_and_counts_down() {
    let mut state = State::default();
    assert!(state.take(&wait(WaitKind::Pause, 0, 60), at(0)));
    assert!(!state.take(&wait(WaitKind::Pause, 0, 55), at(5)), "another request keeps it too");
    let text = "for r.example, which asked for a pause: 20 s left";
    assert_eq!(state.waiting(at(40)), [text]);
    assert_eq!(state.heartbeat(at(40)).unwrap(), format!("waiting {text}"));
    assert_eq!(state.waiting(at(60)), [""; 0]);
    assert!(state.take(&wait(WaitKind::Pause, 0, 60), at(61)), "the next one is news");
}

#[test]
fn a_wait_for_a_process_is_news_once_and_ends_when_it_is_not_told_any_more() {
    let mut state = State::default();
    assert!(state.take(&wait(WaitKind::Process, 0, 600), at(0)));
    assert!(!state.take(&wait(WaitKind::Process, 1, 600), at(1)));
    assert_eq!(state.waiting(at(2)), ["for r.example, 2 s so far, at most 10 min 0 s"]);
    assert_eq!(state.waiting(at(4)), [""; 0]);
    assert!(state.take(&wait(WaitKind::Process, 0, 600), at(5)));
}

#[test]
fn sizes_that_no_disk_has_end_at_what_can_be_counted() {
    let state = after(&[
        (0, started("a", u64::MAX)),
        (0, progress("a", u64::MAX)),
        (0, started("b", u64::MAX)),
        (0, done("c", u64::MAX)),
    ]);
    assert_eq!((state.bytes(), state.planned_bytes()), (u64::MAX, u64::MAX));
}

#[test]
fn a_log_is_told_how_far_a_verification_is() {
    let started = Event::VerifyStarted { artifacts: 3, size_bytes: 90 * MIB };
    let progress = Event::VerifyProgress { read_bytes: 60 * MIB, size_bytes: 90 * MIB };
    let mut state = after(&[(0, started), (20, progress)]);
    assert_eq!(state.total(), Some(("Verifying", 60 * MIB, 90 * MIB)));
    assert_eq!(state.heartbeat(at(29)), None);
    let text = "verifying, 60.0 MiB of 90.0 MiB at 2.0 MiB/s";
    assert_eq!(state.heartbeat(at(30)).unwrap(), text);
    state.take(&Event::VerifyDone { artifacts: 3, flawed: 0 }, at(31));
    assert_eq!((state.total(), state.heartbeat(at(90))), (None, None));
}
