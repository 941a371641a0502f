//! `--progress json`: every line is one of its schema.

use std::collections::BTreeSet;
use std::fs;

use jsonschema::Validator;
use sandbox_images::plan::event_schema::of_events;
use serde_json::{Value, json};

use crate::support::fixture::{registry_and_project, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

fn layers() -> [Layer; 2] {
    [Layer::new("/lib 0644 random=3000000"), Layer::new("/app 0755 run")]
}

fn scene() -> (TestRegistry, Project) {
    let [base, app] = layers();
    registry_and_project(&two_platforms(&[&base, &app]))
}

fn schema() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(&of_events()).unwrap()).unwrap()
}

/// The names of the events that a run writes, each line of which fits the schema.
#[track_caller]
fn told(ran: &Ran) -> BTreeSet<String> {
    let schema = schema();
    assert!(!ran.stderr.is_empty(), "{ran:?}");
    let name = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
        value["event"].as_str().unwrap().to_owned()
    };
    ran.stderr.lines().map(name).collect()
}

#[track_caller]
fn tells(ran: &Ran, names: &[&str]) {
    let told = told(ran);
    let missing: Vec<&&str> = names.iter().filter(|name| !told.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {told:?}");
}

/// Everything that a first run tells of.
const FILLING: [&str; 14] = [
    "image.resolving",
    "image.resolved",
    "plan",
    "document.done",
    "layer.started",
    "layer.progress",
    "layer.building",
    "layer.verified",
    "layer.done",
    "fsmeta.started",
    "fsmeta.writing",
    "fsmeta.done",
    "disk.done",
    "done",
];

#[test]
fn the_lines_of_a_sync_are_those_of_the_schema() {
    let (registry, project) = scene();
    let headers = vec![("retry-after", "1".to_owned())];
    registry.fault(Fault::on("/manifests/", Effect::Answer(429, headers, Vec::new())).first(1));
    let ran = project.run(&["sync", "--progress", "json", "-vv"]).exits(0);
    tells(&ran, &FILLING);
    tells(&ran, &["waiting", "log", "note"]);
}

#[test]
fn the_lines_of_a_pull_are_those_of_the_schema() {
    let (registry, user) = scene();
    let reference = format!("{}/app:1", registry.host());
    tells(&user.run(&["pull", &reference, "--progress", "json"]).exits(0), &FILLING);
}

#[test]
fn the_lines_of_an_export_and_an_import_are_those_of_the_schema() {
    let (_registry, project) = scene();
    project.run(&["sync"]).exits(0);
    let words = ["export", "-o", "b.tar", "--content", "both", "--progress", "json"];
    tells(&project.run(&words).exits(0), &["plan", "layer.done", "note", "done"]);
    fs::remove_dir_all(project.store()).unwrap();
    let ran = project.run(&["import", "b.tar", "--progress", "json"]).exits(0);
    tells(&ran, &FILLING[3..]);
    tells(&project.run(&["import", "b.tar", "--progress", "json"]).exits(0), &["note", "done"]);
}

#[test]
fn the_lines_of_runs_that_fail_are_those_of_the_schema() {
    let (registry, project) = scene();
    project.run(&["lock"]).exits(0);
    let [base, _] = layers();
    registry.fault(Fault::on(&base.digest, Effect::FlipAt(1 << 20)));
    let ran = project.run(&["sync", "--progress", "json"]).exits(5);
    tells(&ran, &["layer.started", "failed", "diagnostic", "done"]);
    registry.clear_faults();
    registry.fault(Fault::on(&base.digest, Effect::Answer(503, Vec::new(), Vec::new())).first(1));
    tells(&project.run(&["sync", "--progress", "json"]).exits(0), &["retry", "done"]);

    serve(&registry, "app", "1", &two_platforms(&[&Layer::new("/app 0755 newer")]));
    fs::remove_file(project.lock_path()).unwrap();
    let ran = project.run(&["sync", "--locked", "--progress", "json"]).exits(3);
    assert_eq!(told(&ran), BTreeSet::from(["diagnostic".to_owned()]));
}

#[test]
fn what_is_no_line_does_not_fit_the_schema() {
    let schema = schema();
    let note = json!({ "v": 1, "event": "note", "message": "x" });
    assert!(schema.is_valid(&note));
    let with_more = json!({ "v": 1, "event": "note", "message": "x", "later": 1 });
    assert!(schema.is_valid(&with_more), "fields are added");
    for wrong in [
        json!({ "event": "note", "message": "x" }),
        json!({ "v": 2, "event": "note", "message": "x" }),
        json!({ "v": 1, "event": "note" }),
        json!({ "v": 1, "event": "layer.done" }),
        json!({ "v": 1, "event": "image.resolving", "image": "app", "source": 7 }),
        json!({ "v": 1, "event": "image.resolving", "image": "../app", "source": "x" }),
        json!({ "v": 1, "event": "unheard", "message": "x" }),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
    }
}
