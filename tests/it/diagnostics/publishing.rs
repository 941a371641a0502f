//! Caches of other programs that cannot be used, and images that they cannot have.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use rustix::fs::{FlockOperation, flock};
use sandbox_images::oci::digest::Digest;

use super::scene::{locked, plain, shown, shows, shows_under};
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

fn synced(layers: &[&Layer]) -> (TestRegistry, Project) {
    let (registry, project) = locked(layers);
    project.run(&["sync"]).exits(0);
    (registry, project)
}

fn small() -> (TestRegistry, Project) {
    synced(&[&plain("/etc/motd 0644 hello")])
}

const TO: &str = "microsandbox=../cache";

#[test]
fn a_cache_below_a_file() {
    let (_registry, project) = small();
    let arguments = ["publish", "microsandbox=sandbox-images.lock/cache"];
    insta::assert_snapshot!(shows(&project, &["publish-io"], &arguments), @"");
}

#[test]
fn a_directory_of_the_cache_that_leads_elsewhere() {
    let (_registry, project) = small();
    let cache = project.files().join("cache");
    fs::create_dir(&cache).unwrap();
    symlink(project.files(), cache.join("layers")).unwrap();
    insta::assert_snapshot!(shows(&project, &["publish-foreign"], &["publish", TO]), @"");
}

#[test]
fn a_layer_that_microsandbox_has_built() {
    let (_registry, project) = small();
    let layers = project.files().join("cache/layers");
    fs::create_dir_all(&layers).unwrap();
    let [layer] = &project.stored("layers")[..] else { panic!("one layer") };
    fs::write(layers.join(format!("sha256_{layer}")), "theirs").unwrap();
    insta::assert_snapshot!(shows(&project, &["publish-conflict"], &["publish", TO]), @"");
}

#[test]
fn an_image_that_somebody_pulls() {
    let (registry, project) = small();
    let manifests = project.files().join("cache/manifests");
    fs::create_dir_all(&manifests).unwrap();
    let key = Digest::of(format!("{}/app:1", registry.host())).hex();
    let lock = File::create(manifests.join(format!("{key}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let arguments = ["publish", TO, "--wait-timeout", "0s"];
    insta::assert_snapshot!(shows(&project, &["publish-busy"], &arguments), @"");
}

#[test]
fn a_hard_link_into_a_lower_layer() {
    let (_registry, project) = synced(&[&plain("/tool 0755 run"), &plain("/link => /tool")]);
    insta::assert_snapshot!(shows(&project, &["publish-lower-link"], &["publish", TO]), @"");
}

#[test]
fn an_image_of_a_directory() {
    let (_registry, project) = small();
    let image = crate::support::fixture::two_platforms(&[&plain("/etc/motd 0644 hello")]);
    image.write_layout(&project.directory().join("layout"), "1").unwrap();
    let text = "manifest-version = 1\n\n[images]\nbase = \"oci:layout:1\"\n";
    fs::write(project.directory().join("sandbox-images.toml"), text).unwrap();
    project.run(&["sync"]).exits(0);
    let arguments = ["publish", TO, "--image", "base"];
    insta::assert_snapshot!(shows(&project, &["publish-local"], &arguments), @"");
    insta::assert_snapshot!(shown(&project, &project.run(&["publish", TO])), @"");
}

#[test]
fn a_note_that_was_damaged() {
    let (_registry, project) = small();
    project.run(&["publish", TO]).exits(0);
    let notes = project.store().join("v1/publications");
    let note = fs::read_dir(&notes).unwrap().next().unwrap().unwrap().path();
    fs::write(note, "{}").unwrap();
    insta::assert_snapshot!(shows(&project, &["publish-note"], &["publish", TO]), @"");
}

#[test]
fn no_home_to_find_the_cache_in() {
    let (_registry, project) = small();
    let script = "unset HOME";
    let arguments = ["publish", "microsandbox"];
    insta::assert_snapshot!(shows_under(&project, &["publish-nowhere"], script, &arguments), @"");
}
