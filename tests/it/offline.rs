//! Without a network: what was synced stays usable, and what is missing is named.

use std::fs;

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::project::{Project, Ran};

/// A synced project whose registry has been stopped, and its layers.
fn synced() -> (Project, [Layer; 2]) {
    let layers = [Layer::new("/lib 0644 random=9000"), Layer::new("/app 0755 run")];
    let (mut registry, project) = registry_and_project(&two_platforms(&[&layers[0], &layers[1]]));
    project.run(&["lock"]).exits(0);
    project.run(&["sync"]).exits(0);
    registry.stop();
    (project, layers)
}

#[test]
fn a_frozen_sync_needs_no_registry_and_opens_no_socket() {
    if !needs(&["strace"]) {
        return;
    }
    let (project, _) = synced();
    let trace = project.directory().join("trace");
    let trace_text = trace.to_str().expect("paths of tests are UTF-8");
    let tracer = ["strace", "-f", "-o", trace_text, "-e", "trace=execve,socket,connect"];

    Ran::of(&mut project.command_under(&tracer, &["sync", "--frozen"])).exits(0);

    let calls = fs::read_to_string(trace).expect("the trace can be read");
    assert!(calls.contains("execve("), "the program was traced\n{calls}");
    assert!(!calls.contains("socket(") && !calls.contains("connect("), "{calls}");
}

#[test]
fn a_missing_layer_is_named_with_its_size() {
    let (project, layers) = synced();
    let images = project.run(&["path", "app", "--kind", "layers"]).text();
    let first = images.lines().next().expect("the image has layers");
    fs::remove_file(first).expect("a layer image is removed");

    let told = project.run(&["sync", "--frozen"]).exits(4);

    let said = told.stderr;
    assert!(said.contains(&layers[0].diff_id) || said.contains(&layers[0].digest), "{said}");
    assert!(!said.contains(&layers[1].diff_id) && !said.contains(&layers[1].digest), "{said}");
    assert!(said.contains(&layers[0].blob.len().to_string()) || said.contains("KiB"), "{said}");
}

#[test]
fn what_is_derived_is_made_again_without_a_network() {
    let (project, _) = synced();
    let disk = project.run(&["path", "app"]).text();
    let fsmeta = project.run(&["path", "app", "--kind", "fsmeta"]).text();
    let before = [&disk, &fsmeta].map(|path| fs::read(path).expect("an artifact can be read"));
    for path in [&disk, &fsmeta] {
        fs::remove_file(path).expect("an artifact is removed");
    }

    project.run(&["path", "app"]).exits(4);
    project.run(&["sync", "--frozen"]).exits(0);

    assert_eq!(project.run(&["path", "app"]).text(), disk);
    assert_eq!([&disk, &fsmeta].map(|path| fs::read(path).expect("it is there again")), before);
    project.run(&["verify"]).exits(0);
}

#[test]
fn a_frozen_sync_does_not_mend_the_lock() {
    let (project, _) = synced();
    let manifest_file = project.directory().join("sandbox-images.toml");
    let text = fs::read_to_string(&manifest_file).expect("the project has its file");
    fs::write(&manifest_file, text.replace("app:1", "app:2")).expect("the file is changed");
    let before = project.lock_text();

    let told = project.run(&["sync", "--frozen"]).exits(3);

    assert!(told.stderr.contains("app:2"), "{}", told.stderr);
    assert_eq!(project.lock_text(), before);
    project.run(&["sync", "--offline"]).exits(3);
    // The launcher's question reads the lock only.
    project.run(&["path", "app"]).exits(0);
}
