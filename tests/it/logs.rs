//! The log: why things are done, and what is asked of registries, and never a secret.

use std::fs;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::fault::{Effect, Fault};

/// What the log says, without its times.
fn log(ran: &Ran, level: &str) -> Vec<String> {
    let line = |line: &str| {
        let rest = line.trim_start().strip_prefix(level)?.split_once(" s  ")?.1;
        Some(rest.to_owned())
    };
    ran.stderr.lines().filter_map(line).collect()
}

fn run_with(project: &Project, arguments: &[&str], filter: &str) -> Ran {
    Ran::of(project.command(arguments).env("SANDBOX_IMAGES_LOG", filter))
}

#[test]
fn verbose_says_why_and_what_was_asked() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    let ran = project.run(&["lock", "-v"]).exits(0);
    let said = log(&ran, "debug");
    let source = format!("{}/app:1", registry.host());
    let has = |said: &[String], text: &str| said.iter().any(|line| line.contains(text));
    assert!(has(&said, &format!("resolves app ({source}): added")), "{said:#?}");
    let asked = format!("GET {}/v2/app/manifests/1: 200 after ", registry.url());
    assert!(has(&said, &asked), "{said:#?}");

    let again = project.run(&["lock", "-v"]).exits(0);
    assert!(has(&log(&again, "debug"), &format!("keeps the pin of app ({source})")));

    let ran = project.run(&["sync", "-v"]).exits(0);
    let said = log(&ran, "debug");
    assert!(has(&said, "the store has 0 of 6 artifacts"), "{said:#?}");
    assert!(has(&said, &format!("makes layer {} for app", layer.diff_id)), "{said:#?}");
    assert_eq!(log(&ran, "trace"), [""; 0], "twice for more");
    let ran = project.run(&["sync", "-vv"]).exits(0);
    assert!(has(&log(&ran, "trace"), &format!("has layer {}", layer.diff_id)), "{}", ran.stderr);
    assert!(has(&log(&ran, "debug"), "the store has 6 of 6 artifacts"));
}

#[test]
fn a_retry_says_why() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    registry.fault(Fault::on("/manifests/1", Effect::Answer(503, Vec::new(), Vec::new())).first(1));
    let ran = project.run(&["lock", "-v"]).exits(0);
    let said = log(&ran, "debug").join("\n");
    assert!(said.contains("/v2/app/manifests/1: 503 after "), "{said}");
    let again = format!("asks `{}` again in ", registry.host());
    assert!(said.contains(&again) && said.contains("answered with 503"), "{said}");
}

#[test]
fn a_filter_chooses_parts_of_this_program_only() {
    let (_registry, project) = registry_and_project(&two_platforms(&[&Layer::new("/a 0644 b")]));
    let lock = |filter: &str| {
        fs::remove_file(project.lock_path()).ok();
        run_with(&project, &["lock"], filter)
    };
    assert!(!log(&lock("debug").exits(0), "debug").is_empty());
    let said = log(&lock("sandbox_images::registry=trace").exits(0), "debug");
    assert!(!said.is_empty() && said.iter().all(|line| !line.contains("resolves")), "{said:?}");
    assert_eq!(log(&lock("warn").exits(0), "debug"), [""; 0]);
    let told = lock("hyper=trace").exits(2).stderr;
    assert!(told.starts_with("error[log-filter]: `SANDBOX_IMAGES_LOG` is `hyper=trace`"), "{told}");
    fs::remove_file(project.lock_path()).ok();
    assert_eq!(run_with(&project, &["lock", "-q"], "trace").exits(0).stderr, "");
    project.run(&["lock", "-q", "-v"]).exits(2);
}
