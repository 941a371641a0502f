//! A lock whose sizes no disk has, and that add up to more than can be counted: it is refused or told, and no
//! sum of them ends a command badly.

use std::fs;

use serde_json::Value;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

/// The largest number that TOML has.
const HUGE: u64 = i64::MAX as u64;

/// A project with an image of four layers, each of them huge by its lock.
fn project() -> (TestRegistry, Project) {
    let layers = ["/a 0644 a", "/b 0644 b", "/c 0644 c", "/d 0644 d"].map(Layer::new);
    let image = two_platforms(&layers.each_ref());
    let (registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    fs::copy(project.lock_path(), project.directory().join("old.lock")).unwrap();
    project.tamper(|app| {
        for platform in app.platforms.values_mut() {
            platform.layers.iter_mut().for_each(|layer| layer.size = HUGE);
        }
    });
    (registry, project)
}

#[test]
fn sums_end_at_what_can_be_counted() {
    let (_registry, project) = project();
    let told = |arguments: &[&str], code: i32| {
        let ran = project.run(arguments).exits(code);
        assert!(!ran.stderr.contains("panicked"), "{arguments:?}: {}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    told(&["check", "--json"], 0);
    let list = told(&["list", "--json"], 0);
    assert_eq!(list["images"][0]["size_bytes"], u64::MAX, "{list}");
    let missing = told(&["sync", "--check", "--json"], 4);
    let message = missing["diagnostics"][0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("{} bytes to fetch", u64::MAX)), "{message}");
    let plan = told(&["sync", "--locked", "--dry-run", "--json"], 0);
    assert_eq!(plan["totals"]["download_bytes"], u64::MAX, "{plan}");
    let diff = told(&["diff", "old.lock", "--json"], 0);
    assert_eq!(diff["unchanged"], 0, "{diff}");
    let full = told(&["sync", "--locked", "--json"], 1);
    assert_eq!(full["diagnostics"][0]["code"], "store-full", "{full}");
}
