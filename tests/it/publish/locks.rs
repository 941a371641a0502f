//! Who is respected: microsandbox's processes, which lock what they pull, read, publish and delete.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{FlockOperation, flock};

use super::cache::{cache_of, files, lease, locked, publish, safe, synced, target, two_layers};
use crate::support::fixture::wait_until;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;
use sandbox_images::oci::digest::Digest;

/// Holds a lock as another process does, until it is dropped.
fn held(path: &Path, how: FlockOperation) -> File {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::options().create(true).truncate(false).write(true).open(path).unwrap();
    flock(&file, how).unwrap();
    file
}

fn key(registry: &TestRegistry) -> String {
    Digest::of(format!("{}/app:1", registry.host())).hex()
}

/// Demands that a run waits for `path`, gives up with exit code 7 and has put no document there.
#[track_caller]
fn waits_for(project: &Project, path: &Path, how: FlockOperation) {
    let _held = held(path, how);
    let ran = publish(project, &["--wait-timeout", "0s"]).exits(7);
    assert!(ran.stderr.contains("error[publish-busy]"), "{}", ran.stderr);
    let documents = files(&cache_of(project));
    assert!(!documents.keys().any(|path| path.starts_with("manifests/")), "{documents:?}");
    assert!(!documents.keys().any(|path| path.contains(".part")), "{documents:?}");
}

#[test]
fn whoever_pulls_deletes_or_makes_the_same_is_waited_for() {
    let layers = two_layers();
    let (registry, project) = synced(&[&layers[0], &layers[1]]);
    let (cache, image) = (cache_of(&project), locked(&project));
    let alone = FlockOperation::LockExclusive;
    let layer = format!("layers/{}.erofs", safe(&image.diff_ids[0]));
    let fsmeta = format!("fsmeta/{}.erofs", safe(&image.manifest));
    waits_for(&project, &cache.join(format!("manifests/{}.lock", key(&registry))), alone);
    waits_for(&project, &lease(&cache, &layer), alone);
    waits_for(&project, &lease(&cache, &fsmeta), alone);
    waits_for(&project, &lease(&cache, &format!("manifests/{}.json", key(&registry))), alone);
    waits_for(&project, &cache.join(format!("{layer}.lock")), alone);
    waits_for(&project, &cache.join(format!("{fsmeta}.lock")), alone);
}

#[test]
fn a_document_is_replaced_only_while_nobody_reads_it() {
    let layers = two_layers();
    let (registry, project) = synced(&[&layers[0], &layers[1]]);
    let cache = cache_of(&project);
    let gate = lease(&cache, &format!("manifests/{}.publication", key(&registry)));
    let reader = held(&gate, FlockOperation::LockShared);
    let document = cache.join(format!("manifests/{}.json", key(&registry)));
    let mut command = project.unbounded(&["publish", &target(&project)]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the disk is there", || {
        cache.join("vmdk").read_dir().is_ok_and(|mut d| d.next().is_some())
    });
    assert!(!document.exists());
    drop(reader);
    assert!(child.wait().unwrap().success());
    assert!(document.is_file());
}

#[test]
fn readers_keep_nobody_from_publishing() {
    let layers = two_layers();
    let (_registry, project) = synced(&[&layers[0], &layers[1]]);
    let (cache, image) = (cache_of(&project), locked(&project));
    let layer = format!("layers/{}.erofs", safe(&image.diff_ids[0]));
    let _reader = held(&lease(&cache, &layer), FlockOperation::LockShared);
    publish(&project, &["--wait-timeout", "0s"]).exits(0);
}

#[test]
fn what_is_published_is_held_until_it_is_whole() {
    let layers = two_layers();
    let (registry, project) = synced(&[&layers[0], &layers[1]]);
    let (cache, image) = (cache_of(&project), locked(&project));
    let gate = lease(&cache, &format!("manifests/{}.publication", key(&registry)));
    let reader = held(&gate, FlockOperation::LockShared);
    let mut command = project.unbounded(&["publish", &target(&project)]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let layer = cache.join(format!("layers/{}.erofs", safe(&image.diff_ids[0])));
    wait_until("a layer is there", || layer.exists());
    let layer_lease = lease(&cache, &format!("layers/{}.erofs", safe(&image.diff_ids[0])));
    let file = File::open(layer_lease).unwrap();
    assert!(
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_err(),
        "nobody may delete it"
    );
    drop(reader);
    assert!(child.wait().unwrap().success());
    flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
}
