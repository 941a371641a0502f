//! A registry that serves wrong bytes, or not all of them: nothing of it gets into the store, the message
//! has both sides, and the next good run heals.

use sandbox_images::oci::digest::Digest;

use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

fn layer() -> Layer {
    Layer::new("/etc/motd 0644 hello\n/lib 0644 random=100000")
}

/// Nothing that a launcher or another run could take for whole.
fn assert_store_is_empty(project: &Project) {
    for kind in ["layers", "fsmeta", "disks"] {
        assert_eq!(project.stored(kind), Vec::<String>::new(), "{kind}");
    }
    project.run(&["path", "app"]).exits(4);
}

fn assert_heals(registry: &TestRegistry, project: &Project) {
    registry.clear_faults();
    project.run(&["sync"]).exits(0);
    project.run(&["verify"]).exits(0);
}

#[test]
fn a_wrong_byte_in_a_layer_ends_with_both_digests() {
    let layer = layer();
    // In the gzip header's time stamp, where only the digest can tell; and in the data.
    for position in [5, layer.blob.len() / 2] {
        let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
        project.run(&["lock"]).exits(0);
        registry.fault(Fault::on(&layer.digest, Effect::FlipAt(position)));

        let told = project.run(&["sync"]).exits(5);

        let mut served = layer.blob.clone();
        let bit = (0..8).find(|bit| {
            served[position] ^= 1 << bit;
            let found = told.stderr.contains(&Digest::of(&served).to_string());
            served[position] ^= 1 << bit;
            found
        });
        assert!(bit.is_some(), "the digest of what was served is not in\n{}", told.stderr);
        assert!(told.stderr.contains(&layer.digest), "{}", told.stderr);
        assert_eq!(registry.requests_to(&layer.digest).len(), 2, "it is fetched once more");
        assert_store_is_empty(&project);
        assert_heals(&registry, &project);
    }
}

#[test]
fn a_wrong_diff_id_in_the_config_ends_with_both_digests() {
    let truth = layer();
    let mut lying = truth.clone();
    lying.diff_id = Digest::of("something else").to_string();
    let (_registry, project) = registry_and_project(&two_platforms(&[&lying]));
    project.run(&["lock"]).exits(0);

    let told = project.run(&["sync"]).exits(5);

    assert!(told.stderr.contains(&truth.diff_id), "{}", told.stderr);
    assert!(told.stderr.contains(&lying.diff_id), "{}", told.stderr);
    assert_store_is_empty(&project);
}

#[test]
fn a_lock_whose_manifest_is_not_in_its_index_ends_with_both_digests() {
    let image = two_platforms(&[&layer()]);
    let other = two_platforms(&[&Layer::new("/other 0644 image")]);
    let (registry, project) = registry_and_project(&image);
    serve(&registry, "app", "other", &other);
    project.run(&["lock"]).exits(0);

    project.tamper(|app| {
        app.digest = other.root.digest.parse().expect("a digest");
        app.size = other.root.size;
    });

    let told = project.run(&["sync", "--locked"]).exits(5);

    assert!(told.stderr.contains(&other.root.digest), "{}", told.stderr);
    let manifests: Vec<&str> =
        image.platforms.values().map(|platform| &platform.manifest.digest[..]).collect();
    assert!(manifests.iter().any(|digest| told.stderr.contains(digest)), "{}", told.stderr);
    assert_store_is_empty(&project);
}

#[test]
fn a_body_that_stops_early_is_asked_for_again_and_then_fails() {
    let layer = layer();
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.write_config("network.failures-per-registry = 2\n");
    project.run(&["lock"]).exits(0);
    registry.fault(Fault::on(&layer.digest, Effect::CutAt(1000)));

    project.run(&["sync"]).exits(1);

    assert_eq!(registry.requests_to(&layer.digest).len(), 3, "a cut body is retried");
    assert_store_is_empty(&project);
    assert_heals(&registry, &project);
}

#[test]
fn a_body_that_stops_early_once_is_no_failure() {
    let layer = layer();
    let (registry, project) = registry_and_project(&two_platforms(&[&layer]));
    project.run(&["lock"]).exits(0);
    registry.fault(Fault::on(&layer.digest, Effect::CutAt(1000)).first(1));

    project.run(&["sync"]).exits(0);
    project.run(&["verify"]).exits(0);
}

#[test]
fn an_image_that_fails_does_not_hold_up_another() {
    let (good, bad) = (Layer::new("/good 0644 yes"), layer());
    let registry = TestRegistry::start();
    serve(&registry, "good", "1", &two_platforms(&[&good]));
    serve(&registry, "bad", "1", &two_platforms(&[&bad]));
    let at = |repository: &str| format!("{}/{repository}:1", registry.host());
    let project = project_naming(&[("good", &at("good")), ("bad", &at("bad"))]);
    project.run(&["lock"]).exits(0);
    registry.fault(Fault::on(&bad.digest, Effect::FlipAt(5)));

    project.run(&["sync"]).exits(5);

    project.run(&["path", "good"]).exits(0);
    project.run(&["path", "bad"]).exits(4);
}
