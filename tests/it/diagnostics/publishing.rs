//! Caches of other programs that cannot be used, and images that they cannot have.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use rustix::fs::{FlockOperation, flock};
use sandbox_images::oci::digest::Digest;

use super::scene::{locked, plain, shown, shows};
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
fn a_manifest_that_no_sync_fetches() {
    let (_registry, project) = locked(&[&plain("/etc/motd 0644 hello")]);
    project.write_config("trust-lock = true\n");
    project.run(&["sync"]).exits(0);
    let said = shows(&project, &["document-missing"], &["publish", TO, "--offline"]);
    assert!(said.starts_with("exit 4\n"), "{said}");
    assert_eq!(said.matches("error[document-missing]: app: its ").count(), 2, "{said}");
    let help =
        "help: run the same command with a network: what is missing is fetched by its digest";
    assert_eq!(said.matches(help).count(), 2, "{said}");
}

#[test]
fn a_cache_below_a_file() {
    let (_registry, project) = small();
    let arguments = ["publish", "microsandbox=sandbox-images.lock/cache"];
    insta::assert_snapshot!(shows(&project, &["publish-io"], &arguments), @r###"
    exit 1
    --- stdout
    --- stderr
    error[publish-io]: app: cannot open `DIR/project/sandbox-images.lock/cache`: Not a directory (os error 20)
    help: see what the system says about that place, then run the command again
    "###);
}

#[test]
fn a_directory_of_the_cache_that_leads_elsewhere() {
    let (_registry, project) = small();
    let cache = project.files().join("cache");
    fs::create_dir(&cache).unwrap();
    symlink(project.files(), cache.join("layers")).unwrap();
    insta::assert_snapshot!(shows(&project, &["publish-foreign"], &["publish", TO]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[publish-foreign]: app: `DIR/cache/layers` is a symbolic link, not a directory
    help: move it away, or publish to another directory with `microsandbox=DIR`
    "###);
}

#[test]
fn a_layer_that_microsandbox_has_built() {
    let (_registry, project) = small();
    let layers = project.files().join("cache/layers");
    fs::create_dir_all(&layers).unwrap();
    let [layer] = &project.stored("layers")[..] else { panic!("one layer") };
    fs::write(layers.join(format!("sha256_{layer}")), "theirs").unwrap();
    insta::assert_snapshot!(shows(&project, &["publish-conflict"], &["publish", TO]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[publish-conflict]: app: `DIR/cache/layers/sha256_DIGEST.erofs` is there with other bytes, and was not published from this store
    help: microsandbox has pulled that layer itself: remove its images with `msb image rm`, or publish to another directory with `microsandbox=DIR`
    "###);
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
    insta::assert_snapshot!(shows(&project, &["publish-busy"], &arguments), @r###"
    exit 7
    --- stdout
    --- stderr
    error[publish-busy]: app: waited 0 s for `DIR/cache/manifests/DIGEST.lock`, which another process uses
    help: wait for it to end, or raise `--wait-timeout`
    "###);
}

#[test]
fn a_hard_link_into_a_lower_layer() {
    let (_registry, project) = synced(&[&plain("/tool 0755 run"), &plain("/link => /tool")]);
    insta::assert_snapshot!(shows(&project, &["publish-lower-link"], &["publish", TO]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[publish-lower-link]: app: layer sha256:DIGEST has a hard link to a file of a lower layer, which microsandbox cannot hold
    help: let `msb` pull the image itself
    "###);
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
    insta::assert_snapshot!(shows(&project, &["publish-local"], &arguments), @r###"
    exit 1
    --- stdout
    --- stderr
    error[publish-local]: base: `oci:layout:1` is in no registry, so microsandbox has no name for it
    help: push the image to a registry and name it from there
    "###);
    insta::assert_snapshot!(shown(&project, &project.run(&["publish", TO])), @r###"
    exit 0
    --- stdout
    --- stderr
    base is in no registry and is not published
    "###);
}

#[test]
fn a_note_that_was_damaged() {
    let (_registry, project) = small();
    project.run(&["publish", TO]).exits(0);
    let notes = project.store().join("v1/publications");
    let note = fs::read_dir(&notes).unwrap().next().unwrap().unwrap().path();
    fs::write(note, "{}").unwrap();
    insta::assert_snapshot!(shows(&project, &["publish-note"], &["publish", TO]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[publish-note]: app: the note of what was published to `DIR/cache` cannot be read: missing field `version` at line 1 column 2
    help: remove it from `publications` in the store: what it named stays in microsandbox's cache
    "###);
}
