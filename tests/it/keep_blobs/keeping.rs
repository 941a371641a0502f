//! `keep-blobs = true`: what comes of a layer stays beside its image.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Scene, blob, built_directly, damage};
use crate::support::fixture::{project_naming, two_platforms};
use crate::support::image::Layer;

#[test]
fn every_layer_stays_as_it_came_whatever_its_size() {
    let scene = Scene::keeping();
    scene.project.run(&["sync"]).exits(0);

    assert_eq!((scene.fetched(), scene.kept()), (2, 2));
    for layer in &scene.layers {
        let path = blob(&scene.project, layer);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
        let record = path.file_name().unwrap().to_str().unwrap();
        let record = scene.project.store().join(format!("v1/f1/records/blob/{record}.json"));
        assert!(fs::read_to_string(record).unwrap().contains(&layer.digest));
    }
    assert_eq!(fs::read_dir(scene.project.store().join("v1/partial")).unwrap().count(), 0);
    scene.project.run(&["verify", "--deep"]).exits(0);
    scene.project.run(&["sync", "--check"]).exits(0);
    let artifacts = scene.project.artifacts();
    assert_eq!(built_directly(&scene), artifacts);
}

#[test]
fn without_the_key_no_layer_stays() {
    let scene = Scene::locked();
    scene.project.run(&["sync"]).exits(0);
    assert_eq!((scene.fetched(), scene.kept()), (2, 0));
}

#[test]
fn what_was_built_before_is_not_fetched_for_its_blob() {
    let scene = Scene::locked();
    scene.project.run(&["sync"]).exits(0);
    scene.project.write_config("keep-blobs = true\n");
    scene.registry.clear_requests();

    scene.project.run(&["sync"]).exits(0);

    assert!(scene.registry.requests().is_empty());
    assert_eq!(scene.kept(), 0);
    scene.project.run(&["sync", "--check"]).exits(0);
    scene.project.run(&["check", "--in-sync"]).exits(0);
    scene.project.run(&["verify"]).exits(0);
}

#[test]
fn what_is_lost_is_built_again_of_its_blob() {
    let mut scene = Scene::keeping();
    scene.project.run(&["sync"]).exits(0);
    let before = scene.project.artifacts();
    scene.unbuild();
    scene.registry.stop();

    let planned = scene.project.run(&["sync", "--frozen", "--dry-run", "--json"]).exits(0);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let actions: Vec<&str> = plan["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["build-layer", "build-layer", "build-fsmeta", "write-disk"]);
    assert_eq!(plan["totals"]["download_bytes"], 0);
    let ran = scene.project.run(&["sync", "--frozen"]).exits(0);

    assert!(ran.stderr.contains(" Built layer "), "{}", ran.stderr);
    assert!(ran.stderr.contains(": 0 B fetched, 2 layers and 1 disk built"), "{}", ran.stderr);
    assert_eq!(scene.project.artifacts(), before);
    scene.project.run(&["verify", "--deep"]).exits(0);
}

#[test]
fn a_damaged_blob_is_healed_with_a_network_and_told_without_one() {
    let scene = Scene::keeping();
    scene.project.run(&["sync"]).exits(0);
    let before = scene.project.artifacts();
    scene.unbuild();
    let path = blob(&scene.project, &scene.layers[0]);
    damage(&path);
    let damaged = fs::read(&path).unwrap();
    scene.registry.clear_requests();

    let told = scene.project.run(&["sync", "--frozen"]).exits(5).stderr;
    assert!(told.contains("error[artifact-damaged]"), "{told}");
    assert!(told.contains(&format!("blob {}", scene.layers[0].digest)), "{told}");
    assert_eq!(fs::read(&path).unwrap(), damaged, "without a network it stays where it is");
    assert!(scene.registry.requests().is_empty());

    scene.project.run(&["sync"]).exits(0);
    assert_eq!((scene.fetched(), scene.kept()), (1, 2));
    assert_eq!(scene.project.artifacts(), before);
    scene.project.run(&["verify"]).exits(0);
}

#[test]
fn a_blob_of_another_length_is_healed_with_a_network_and_told_without_one() {
    let scene = Scene::keeping();
    scene.project.run(&["sync"]).exits(0);
    scene.unbuild();
    let path = blob(&scene.project, &scene.layers[0]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, &scene.layers[0].blob[1..]).unwrap();

    let told = scene.project.run(&["sync", "--frozen"]).exits(5).stderr;
    assert!(told.contains("error[artifact-damaged]"), "{told}");
    scene.project.run(&["sync"]).exits(0);
    assert_eq!(scene.kept(), 2);
    scene.project.run(&["verify"]).exits(0);
}

#[test]
fn verify_names_the_images_of_a_damaged_blob_and_moves_it_away() {
    let scene = Scene::keeping();
    scene.project.run(&["sync"]).exits(0);
    damage(&blob(&scene.project, &scene.layers[1]));

    let found = scene.project.run(&["verify", "--json"]).exits(5);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let damaged = &found["verified"]["damaged"][0];
    assert_eq!(damaged["artifact"], format!("blob {}", scene.layers[1].digest));
    assert_eq!((&damaged["class"], &damaged["images"][0]), (&"digest".into(), &"app".into()));

    scene.registry.clear_requests();
    scene.project.run(&["verify", "--repair"]).exits(0);
    assert_eq!((scene.fetched(), scene.kept()), (1, 2), "it is made again");
    scene.project.run(&["verify"]).exits(0);
}

#[test]
fn blobs_are_kept_as_long_as_they_are_wanted() {
    let scene = Scene::keeping();
    scene.project.run(&["sync"]).exits(0);
    scene.project.run(&["gc"]).exits(0);
    scene.project.run(&["gc", "--only-this-lock"]).exits(0);
    scene.project.run(&["sync", "--prune"]).exits(0);
    assert_eq!(scene.kept(), 2, "the project keeps them");
    let digest = scene.layers[0].digest.as_str();
    let why = scene.project.run(&["why", digest]).text();
    assert!(why.contains("layer of app on linux/amd64, layer 1"), "{why}");
    assert!(why.contains("blob in the store") && why.contains("kept for "), "{why}");

    scene.project.write_config("keep-blobs = false\n");
    scene.project.run(&["sync"]).exits(0);
    assert_eq!(scene.kept(), 2, "for a week nothing goes");
    scene.project.run(&["sync", "--prune"]).exits(0);
    assert_eq!(scene.kept(), 0);
    scene.project.run(&["verify"]).exits(0);
    scene.project.run(&["sync", "--check"]).exits(0);
}

#[test]
fn a_layer_of_a_layout_or_an_archive_stays_too() {
    let layers = [Layer::new("/lib 0644 random=9000"), Layer::new("/app 0755 run")];
    let project = project_naming(&[("app", "oci:./images/app:v1")]);
    let folder = project.directory().join("images/app");
    two_platforms(&[&layers[0], &layers[1]]).write_layout(&folder, "v1").unwrap();
    project.write_config("keep-blobs = true\n");
    project.run(&["sync"]).exits(0);
    for layer in &layers {
        assert_eq!(fs::read(blob(&project, layer)).unwrap(), layer.blob);
    }

    let before = project.artifacts();
    fs::remove_dir_all(&folder).unwrap();
    for kind in ["layers", "fsmeta", "disks"] {
        fs::remove_dir_all(project.store().join("v1/f1").join(kind)).unwrap();
    }
    project.run(&["sync", "--frozen"]).exits(0);
    assert_eq!(project.artifacts(), before);
}

#[test]
fn what_is_pulled_stays_too() {
    let scene = Scene::keeping();
    let reference = format!("{}/app:1", scene.registry.host());
    scene.project.run(&["pull", &reference]).exits(0);
    scene.project.run(&["gc"]).exits(0);
    assert_eq!(scene.kept(), 2);
}
