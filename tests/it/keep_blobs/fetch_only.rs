//! `sync --fetch-only`: everything is fetched and nothing is built, until a sync that needs no network.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::{Scene, blob, built_directly, damage};
use crate::support::fixture::{project_naming, registry_and_project, two_platforms, wait_until};
use crate::support::image::{Compression, Image, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::project::Ran;
use crate::support::registry::fault::{Effect, Fault};

#[test]
fn what_was_fetched_is_built_without_a_network_to_the_same_bytes() {
    let mut scene = Scene::locked();
    let direct = built_directly(&scene);
    scene.registry.clear_requests();

    let ran = scene.project.run(&["sync", "--fetch-only"]).exits(0);
    assert!(ran.stderr.contains("Fetched 1 image: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 layers and 3 documents"), "{}", ran.stderr);
    assert_eq!((scene.fetched(), scene.kept()), (2, 2));
    assert!(scene.project.artifacts().is_empty(), "nothing is built");
    scene.project.run(&["sync", "--check"]).exits(4);
    scene.project.run(&["sync", "--fetch-only", "--check"]).exits(0);
    let listed = scene.project.run(&["list", "--layers"]).text();
    assert_eq!(listed.matches("  fetched  ").count(), 5, "{listed}");

    scene.registry.stop();
    scene.project.run(&["sync", "--frozen", "--dry-run"]).exits(0);
    scene.project.run(&["sync", "--offline"]).exits(0);
    assert_eq!(scene.project.artifacts(), direct);
    scene.project.run(&["sync", "--check"]).exits(0);
    scene.project.run(&["verify", "--deep"]).exits(0);
}

#[test]
fn nothing_is_fetched_twice_and_nothing_that_is_built() {
    let scene = Scene::locked();
    scene.project.run(&["sync", "--fetch-only"]).exits(0);
    scene.registry.clear_requests();
    let again = scene.project.run(&["sync", "--fetch-only"]).exits(0);
    assert!(again.stderr.contains("Unchanged 1 image fetched"), "{}", again.stderr);
    scene.project.run(&["sync"]).exits(0);
    assert!(scene.registry.requests().is_empty(), "it is built of what was fetched");

    let scene = Scene::locked();
    scene.project.run(&["sync"]).exits(0);
    scene.registry.clear_requests();
    scene.project.run(&["sync", "--fetch-only"]).exits(0);
    assert!(scene.registry.requests().is_empty());
    assert_eq!(scene.kept(), 0);
}

#[test]
fn a_plan_and_a_report_say_what_is_fetched() {
    let scene = Scene::locked();
    let bytes: usize = scene.layers.iter().map(|layer| layer.blob.len()).sum();
    let planned = scene.project.run(&["sync", "--fetch-only", "--dry-run", "--json"]).exits(0);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let kinds: Vec<&Value> =
        plan["actions"].as_array().unwrap().iter().map(|it| &it["action"]).collect();
    let fetched =
        ["fetch-document", "fetch-document", "fetch-document", "fetch-blob", "fetch-blob"];
    assert_eq!(kinds, fetched);
    assert!(planned.stderr.contains("2 layers and 3 documents"), "{}", planned.stderr);
    assert!(!scene.project.store().exists());
    let missing = scene.project.run(&["sync", "--fetch-only", "--check"]).exits(4).stderr;
    assert!(missing.contains("help: run `sandbox-images sync --fetch-only`"), "{missing}");

    let ran = scene.project.run(&["sync", "--fetch-only", "--json", "--progress", "json"]).exits(0);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["done"]["blobs"], &report["done"]["layers"]), (&2.into(), &0.into()));
    assert!(report["done"]["download_bytes"].as_u64().unwrap() > bytes as u64);
    assert_eq!(
        (&report["images"][0]["image"], &report["images"][0]["disk"]),
        (&"app".into(), &Value::Null)
    );
    for layer in &scene.layers {
        let done = format!("\"event\":\"blob.done\",\"diff_id\":\"{}\"", layer.diff_id);
        assert!(ran.stderr.contains(&done), "{}", ran.stderr);
    }
}

#[test]
fn flags_that_contradict_it_are_refused() {
    let scene = Scene::locked();
    for flag in ["--offline", "--frozen"] {
        let told = scene.project.run(&["sync", "--fetch-only", flag]).exits(2).stderr;
        assert!(told.contains("error[fetch-only-offline]"), "{told}");
    }
    let mut command = scene.project.command(&["sync", "--fetch-only"]);
    Ran::of(command.env("SANDBOX_IMAGES_OFFLINE", "1")).exits(2);
    Ran::of(command.env("SANDBOX_IMAGES_OFFLINE", "0")).exits(0);
    scene.project.run(&["sync", "--fetch-only", "--publish", "microsandbox=x"]).exits(2);
}

#[test]
fn it_takes_what_is_selected() {
    let (x86, arm) = (Layer::new("/x86 0644 x"), Layer::new("/arm 0644 y"));
    let image = Image::multi(&[("linux/amd64", vec![&x86]), ("linux/arm64", vec![&arm])]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["sync", "--fetch-only", "--platform", "linux/arm64"]).exits(0);
    assert_eq!(registry.requests_to(&arm.digest).len(), 1);
    assert_eq!(registry.requests_to(&x86.digest).len(), 0);
    project.run(&["sync", "--fetch-only", "--image", "other"]).exits(2);
    project.run(&["sync", "--fetch-only", "--platform", "all"]).exits(0);
    assert_eq!(registry.requests_to(&arm.digest).len(), 1);

    // What is not built yet stays, whatever the platform of later syncs.
    project.run(&["sync", "--platform", "linux/amd64"]).exits(0);
    project.run(&["sync", "--platform", "linux/amd64", "--prune"]).exits(0);
    assert!(!blob(&project, &x86).exists(), "its image is there");
    assert!(blob(&project, &arm).exists());
    project.run(&["gc", "--only-this-lock"]).exits(0);
    project.run(&["sync", "--platform", "all", "--frozen"]).exits(0);
}

#[test]
fn a_stale_lock_is_an_error_where_it_is_locked() {
    let (_registry, project) = registry_and_project(&two_platforms(&[&Layer::new("/a 0644 a")]));
    project.run(&["sync", "--fetch-only", "--locked"]).exits(3);
    assert!(!project.store().exists());
    project.run(&["sync", "--fetch-only"]).exits(0);
    project.run(&["sync", "--fetch-only", "--locked", "--from-lock"]).exits(0);
}

#[test]
fn a_fetch_that_is_killed_is_continued() {
    let layer = Layer::packed(&layer_tar("/data 0644 random=3000000"), Compression::Plain);
    let (mut registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.run(&["lock"]).exits(0);
    registry.clear_requests();
    let hex = layer.digest.strip_prefix("sha256:").unwrap();
    let partial = project.store().join("v1/partial").join(hex);
    for (command, kept) in [("--fetch-only", 1 << 20), ("--no-gc", 2 << 20)] {
        project.write_config("keep-blobs = true\n");
        registry.fault(Fault::on(&layer.digest, Effect::StallAt(1 << 20)));
        let mut child = project.start(&["sync", command]);
        wait_until("a part is kept", || {
            fs::metadata(&partial).is_ok_and(|metadata| metadata.len() == kept)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        registry.clear_faults();
    }
    project.run(&["sync", "--fetch-only"]).exits(0);

    let ranges: Vec<Option<String>> =
        registry.requests_to(&layer.digest).into_iter().map(|seen| seen.range).collect();
    let from = |kept: u64| Some(format!("bytes={kept}-"));
    assert_eq!(ranges, [None, from(1 << 20), from(2 << 20)]);
    assert_eq!(fs::read(blob(&project, &layer)).unwrap(), layer.blob);
    assert!(!partial.exists());
    registry.stop();
    project.run(&["sync", "--frozen"]).exits(0);
}

#[test]
fn wrong_bytes_are_never_kept() {
    let scene = Scene::locked();
    scene.registry.fault(Fault::on(&scene.layers[0].digest, Effect::FlipAt(7)));
    let told = scene.project.run(&["sync", "--fetch-only"]).exits(5).stderr;
    assert!(told.contains("error[digest-mismatch]"), "{told}");
    assert!(!blob(&scene.project, &scene.layers[0]).exists());
    assert_eq!(scene.kept(), 1, "the other layer is there");
    scene.registry.clear_faults();
    scene.project.run(&["sync", "--fetch-only"]).exits(0);
    assert_eq!(scene.kept(), 2);
}

#[test]
fn a_damaged_blob_is_fetched_again() {
    let scene = Scene::locked();
    scene.project.run(&["sync", "--fetch-only"]).exits(0);
    damage(&blob(&scene.project, &scene.layers[0]));
    scene.project.run(&["sync", "--offline"]).exits(5);
    scene.project.run(&["sync"]).exits(0);
    scene.project.run(&["verify"]).exits(0);
}

#[test]
fn processes_that_want_one_blob_fetch_it_once() {
    let scene = Scene::locked();
    let commands = [["sync", "--fetch-only"], ["sync", "--no-gc"]].into_iter().cycle().take(6);
    let children: Vec<_> = commands
        .map(|arguments| {
            let mut command = scene.project.unbounded(&arguments);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for layer in &scene.layers {
        assert!(scene.registry.requests_to(&layer.digest).len() <= 2, "as a blob, as an image");
    }
    scene.project.run(&["sync", "--check"]).exits(0);
    scene.project.run(&["verify", "--deep"]).exits(0);
}

#[test]
fn local_images_are_fetched_too() {
    let layer = Layer::new("/lib 0644 random=9000");
    let project = project_naming(&[("app", "oci:./images/app:v1")]);
    let folder = project.directory().join("images/app");
    two_platforms(&[&layer]).write_layout(&folder, "v1").unwrap();
    project.run(&["lock"]).exits(0);
    project.run(&["sync", "--fetch-only"]).exits(0);
    fs::remove_dir_all(&folder).unwrap();
    project.run(&["sync", "--frozen"]).exits(0);
    project.run(&["verify", "--deep"]).exits(0);
}
