//! What a run shows while it works: bars on a terminal, lines elsewhere, events for programs.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::fixture::{
    project_naming, registry_and_project, serve, two_platforms, wait_until,
};
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};
use crate::support::terminal::{Terminal, screen};

const MIB: usize = 1 << 20;

fn layer() -> Layer {
    Layer::new("/lib 0644 random=3000000")
}

/// A registry with an image of one layer that is locked, and of which half of the layer comes.
fn halfway() -> (TestRegistry, Project, Layer) {
    let layer = layer();
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.run(&["lock"]).exits(0);
    registry.fault(Fault::on(&layer.digest, Effect::StallAt(layer.blob.len() / 2)));
    (registry, project, layer)
}

/// The lines of a text without digests and times.
fn lines(text: &str) -> Vec<String> {
    let is_word = |word: &str| !(word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit()));
    let line = |line: &str| {
        line.split_whitespace().filter(|word| is_word(word)).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).map(|line| line.split(" (").next().unwrap_or_default().into()).collect()
}

/// The events among the lines, each of which is one.
fn events(stderr: &str) -> Vec<Value> {
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    let events: Vec<Value> = stderr.lines().map(event).collect();
    assert!(events.iter().all(|event| event["v"] == 1 && event["event"].is_string()));
    events
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn bars_show_how_far_a_layer_is_and_vanish() {
    let (_registry, project, layer) = halfway();
    let terminal = Terminal::start(project.unbounded(&["sync"]), 30, 120);
    let shown = || screen(&terminal.written(), 120);
    wait_until("the bar is halfway", || shown().contains(" 1.4 MiB of "));
    let short = layer.digest["sha256:".len()..].chars().take(12).collect::<String>();
    let bars = shown();
    assert!(bars.contains(&format!("  Fetching app {short} ")), "{bars}");
    assert!(bars.contains("\n     Total "), "{bars}");

    terminal.interrupt();
    let (code, written) = terminal.end();
    let shown = screen(&written, 120);
    assert_eq!(code, 130, "{shown}");
    assert!(!shown.contains("Total") && !shown.contains("Fetching"), "{shown}");
    assert!(shown.contains("interrupted; the store is consistent"), "{shown}");
}

#[test]
fn bars_fit_the_window_as_it_is_now() {
    let (_registry, project, _layer) = halfway();
    let terminal = Terminal::start(project.unbounded(&["sync"]), 24, 40);
    wait_until("the narrow bar is halfway", || terminal.written().contains(" 50 %"));
    let narrow = terminal.written();
    assert!(!narrow.contains(" MiB of "), "{narrow}");
    terminal.resize(24, 120);
    wait_until("the bar is wide", || terminal.written()[narrow.len()..].contains(" 1.4 MiB of "));
    terminal.interrupt();
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn on_a_terminal_what_is_done_stays_and_leads_on() {
    let (base, app) = (layer(), Layer::new("/app 0755 run"));
    let registry = TestRegistry::start();
    serve(&registry, "base", "1", &two_platforms(&[&base]));
    serve(&registry, "app", "1", &two_platforms(&[&base, &app]));
    let at = |repository: &str| format!("{}/{repository}:1", registry.host());
    let project = project_naming(&[("app", &at("app")), ("base", &at("base"))]);
    let mut command = project.unbounded(&["sync", "-j", "8"]);
    command.env("CLICOLOR", "0");
    let (code, written) = Terminal::start(command, 24, 80).end();
    let shown = screen(&written, 80);
    assert_eq!(code, 0, "{shown}");
    let mut shown: Vec<String> = lines(&shown);
    let summary = shown.iter().position(|line| line.starts_with("Synced")).expect("a summary");
    shown[..summary].sort();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    Built disk of app
    Built disk of base
    Fetched layer of app, 2.9 MiB
    Fetched layer of app, 90 B
    Merged layers of app, 8.0 KiB
    Merged layers of base, 8.0 KiB
    Resolved app
    Resolved base
    Synced 2 images: 2.9 MiB fetched, 2 layers and 2 disks built
    Next `sandbox-images path app` prints where its disk is
    "#);
}

#[test]
fn a_dumb_terminal_gets_lines_without_colour() {
    let (_registry, project) = registry_and_project(&two_platforms(&[&layer()]));
    // The terminal is said to be another one than it is, so the shell says it again.
    let command = project.command_under(&["env", "TERM=dumb"], &["sync"]);
    let (code, written) = Terminal::start(command, 24, 80).end();
    assert_eq!(code, 0, "{written}");
    assert!(!written.contains('\u{1b}') && written.contains("   Fetched layer"), "{written}");
}

#[test]
fn a_log_gets_a_line_for_each_artifact() {
    let (_registry, project) = registry_and_project(&two_platforms(&[&layer()]));
    let ran = project.run(&["sync"]).exits(0);
    insta::assert_snapshot!(lines(&ran.stderr).join("\n"), @r#"
    Resolved app
    Fetched layer of app, 2.9 MiB
    Merged layers of app, 8.0 KiB
    Built disk of app
    Synced 1 image: 2.9 MiB fetched, 1 layer and 1 disk built
    "#);
    assert_eq!(ran.stdout, "");
    let again = project.run(&["sync"]).exits(0);
    assert_eq!(lines(&again.stderr), [" Unchanged 1 image in sync".trim()]);
    for quiet in [&["sync", "-q"][..], &["sync", "-q", "--progress", "json"]] {
        fs::remove_dir_all(project.store()).expect("the store is removed");
        let ran = project.run(quiet).exits(0);
        assert_eq!((ran.stdout, ran.stderr), Default::default(), "{quiet:?}");
    }
}

#[test]
fn without_progress_warnings_are_told_all_the_same() {
    let layer = layer();
    let registry = TestRegistry::start();
    let one = crate::support::image::Image::multi(&[("linux/amd64", vec![&layer])]);
    serve(&registry, "app", "1", &one);
    let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    let told = project.run(&["lock", "--progress", "none"]).exits(0).stderr;
    assert!(
        told.contains("   Warning app: ") && told.contains("no image for linux/arm64"),
        "{told}"
    );
    assert!(!told.contains("Resolved"), "{told}");
    fs::remove_file(project.lock_path()).expect("the lock is removed");
    assert_eq!(project.run(&["lock", "-q"]).exits(0).stderr, "");
}

#[test]
fn every_line_of_events_is_one_and_the_last_ones_are_all_there() {
    let (base, app) = (layer(), Layer::new("/app 0755 run"));
    let (_registry, project) = registry_and_project(&two_platforms(&[&base, &app]));
    let ran = project.run(&["sync", "--progress", "json", "-v"]).exits(0);
    let events = events(&ran.stderr);
    let count = |name: &str| names(&events).iter().filter(|&&event| event == name).count();
    for (name, times) in [
        ("image.resolved", 1),
        ("plan", 1),
        ("layer.started", 2),
        ("layer.building", 2),
        ("layer.done", 2),
        ("fsmeta.started", 1),
        ("fsmeta.done", 1),
        ("disk.done", 1),
        ("done", 1),
    ] {
        assert_eq!(count(name), times, "{name}");
    }
    assert!(count("log") > 0 && count("note") > 0);
    let last = events.iter().rfind(|event| {
        event["event"] == "layer.progress" && event["size_bytes"] == base.blob.len()
    });
    assert_eq!(last.expect("a transfer is told of")["received_bytes"], base.blob.len());
}

#[test]
fn a_failure_is_an_event_too() {
    let project = project_naming(&[("app", "127.0.0.1:1/app:1")]);
    let ran = project.run(&["sync", "--locked", "--progress", "json"]).exits(3);
    let events = events(&ran.stderr);
    assert_eq!(names(&events), ["diagnostic"]);
    assert_eq!(events[0]["code"], "missing-lock");
    assert_eq!(ran.stdout, "");
}

#[test]
fn progress_is_told_a_few_times_a_second() {
    let layer = layer();
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.run(&["lock"]).exits(0);
    // In many small pieces, which come one after the other at once.
    let pause = std::time::Duration::from_micros(1);
    let small = Layer::new("/small 0644 random=3000");
    serve(&registry, "app", "1", &two_platforms(&[&small]));
    registry.fault(Fault::on(&small.digest, Effect::Trickle(pause)));
    project.run(&["update"]).exits(0);
    let started = std::time::Instant::now();
    let ran = project.run(&["sync", "--progress", "json"]).exits(0);
    let periods = started.elapsed().as_millis() / 100;
    let events = events(&ran.stderr);
    let told = names(&events).iter().filter(|&&event| event == "layer.progress").count();
    assert!(told as u128 <= periods + 3, "{told} times in {periods} tenths of a second");
}

#[test]
fn a_transfer_that_begins_anew_says_so() {
    let layer = layer();
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.run(&["lock"]).exits(0);
    registry.fault(Fault::on(&layer.digest, Effect::FlipAt(MIB)).first(1));
    let ran = project.run(&["sync", "--progress", "json"]).exits(0);
    let events = events(&ran.stderr);
    let begun = events
        .iter()
        .filter(|event| event["event"] == "layer.progress" && event["received_bytes"] == 0);
    assert_eq!(begun.count(), 2);
    assert_eq!(names(&events).iter().filter(|&&event| event == "layer.done").count(), 1);
}

#[test]
fn a_pause_is_told_in_each_form() {
    let layer = layer();
    for (form, text) in [("plain", "  Waiting for "), ("json", r#""kind":"pause""#)] {
        let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
        let headers = vec![("retry-after", "1".to_owned())];
        registry.fault(Fault::on("/manifests/", Effect::Answer(429, headers, Vec::new())).first(1));
        let ran = project.run(&["lock", "--progress", form]).exits(0);
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
        assert_eq!(
            ran.stderr.matches("asked for a pause of 1 s").count(),
            usize::from(form == "plain")
        );
    }
}

#[test]
fn another_process_that_works_on_a_layer_is_named_once() {
    let (registry, project, layer) = halfway();
    let mut first = project.start(&["sync"]);
    wait_until("the first has begun", || !registry.requests_to(&layer.digest).is_empty());
    let mut second = project.unbounded(&["sync", "--wait-timeout", "3s"]);
    let second = Ran::of(second.stdin(Stdio::null())).exits(7);
    first.kill().expect("the first ends");
    first.wait().expect("the first ends");
    let waits = second.stderr.matches("   Waiting for layer sha256:").count();
    assert_eq!(waits, 1, "{}", second.stderr);
    assert!(second.stderr.contains("at most 3 s"), "{}", second.stderr);
}

#[test]
fn a_verification_shows_how_far_it_is() {
    let (_registry, project) = registry_and_project(&two_platforms(&[&layer()]));
    project.run(&["sync"]).exits(0);
    let told = events(&project.run(&["verify", "--progress", "json"]).exits(0).stderr);
    let verified: Vec<&Value> =
        told.iter().filter(|event| event["event"].as_str().unwrap().contains("verify.")).collect();
    let (first, last) = (verified[0], verified[verified.len() - 1]);
    assert_eq!(
        (&first["event"], &last["event"]),
        (&"verify.started".into(), &"verify.done".into())
    );
    assert!(first["size_bytes"].as_u64().unwrap() > 3_000_000, "{first}");
    assert_eq!((&first["artifacts"], &last["flawed"]), (&last["artifacts"], &0.into()));

    if !needs(&["strace"]) {
        return;
    }
    let slow = ["strace", "-f", "-o", "/dev/null", "-e", "trace=pread64"];
    let slow = [&slow[..], &["-e", "inject=pread64:delay_enter=300000"]].concat();
    let terminal = Terminal::start(project.unbounded_under(&slow, &["verify"]), 30, 120);
    wait_until("a bar is there", || {
        let shown = screen(&terminal.written(), 120);
        let bar = shown.lines().find(|line| line.contains(" Verifying "));
        bar.is_some_and(|bar| bar.contains("[=") && bar.contains(" MiB of "))
    });
    let (code, written) = terminal.end();
    let shown = screen(&written, 120);
    assert!(code == 0 && !shown.contains("Verifying"), "{shown}");
    assert!(shown.contains("each is what its record says"), "{shown}");
}
