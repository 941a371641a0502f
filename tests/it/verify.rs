//! `verify`: what it looks at, what it says, and what it mends.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::store::Store;
use sandbox_images::store::guard::Caller;
use sandbox_images::store::run::Claim;
use serde_json::Value;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{project_naming, registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};
use crate::support::store_tree::{assert_golden, store_tree};

/// A synced image of two layers.
fn synced() -> (TestRegistry, Project) {
    let layers = [Layer::new("/lib 0644 random=9000"), Layer::new("/app 0755 random=5000")];
    let (registry, project) = registry_and_project(&two_platforms(&[&layers[0], &layers[1]]));
    project.run(&["sync", "--platform", "linux/amd64"]).exits(0);
    (registry, project)
}

/// The only artifact of a kind, by the folder and the name of that kind.
fn only(project: &Project, folder: &str, kind: &str) -> (Artifact, PathBuf) {
    let names = project.stored(folder);
    let hex = names[0].split('.').next().unwrap();
    let artifact: Artifact = format!("{kind} sha256:{hex}").parse().unwrap();
    (artifact, Store::at(project.store()).path_of(artifact))
}

/// Commits `bytes` as `artifact`, with a record that says that they are right.
fn commit(project: &Project, artifact: Artifact, bytes: &[u8]) {
    let hex = artifact.digest().hex();
    let record = project.store().join(format!("v1/f1/records/{}/{hex}.json", artifact.kind()));
    fs::remove_file(record).unwrap();
    let shared = Store::at(project.store()).shared().unwrap();
    let run = shared.begin_run(&[], Caller::quiet("test", Duration::from_secs(9))).unwrap();
    let Claim::Mine(guard) = run.claim(artifact).unwrap() else { panic!("it has no record") };
    run.commit_bytes(guard, bytes).unwrap();
}

/// Demands that a document is one of those that the schema of output describes.
#[track_caller]
fn fits_the_schema(project: &Project, document: &Value) {
    let schema = project.run(&["schema", "output"]).text();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{document}");
}

/// The lines of `damaged`, each with these of its values.
fn damaged(text: &str, keys: [&str; 3]) -> Vec<[String; 3]> {
    let document: Value = serde_json::from_str(text).unwrap();
    let report = document.get("verified").unwrap_or(&document);
    let lines = report["damaged"].as_array().unwrap().iter();
    lines.map(|line| keys.map(|key| line[key].as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_was_committed_wrongly_is_found_by_deep_and_made_again() {
    let (_registry, project) = synced();
    let golden = store_tree(&project.store());
    for (folder, kind, class) in [
        ("layers", "layer", "unreadable"),
        ("fsmeta", "fsmeta", "digest"),
        ("disks", "disk", "digest"),
    ] {
        let (artifact, file) = only(&project, folder, kind);
        let mut bytes = fs::read(&file).unwrap();
        if kind == "disk" {
            let text = String::from_utf8(bytes).unwrap();
            bytes = text.replace("\"ide\"", "\"lsi\"").into_bytes();
        } else {
            let last = bytes.len() - 4096;
            bytes[last..last + 64].fill(0xff);
        }
        commit(&project, artifact, &bytes);
        project.run(&["verify"]).exits(0);
        let ran = project.run(&["verify", "--deep", "--json"]).exits(5);
        let found = damaged(&ran.stdout, ["artifact", "class", "state"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        fits_the_schema(&project, &document);
        fits_the_schema(&project, &document["verified"]);
        assert_eq!(found, [[artifact.to_string(), class.to_owned(), "found".to_owned()]]);
        project.run(&["verify", "--deep", "--repair"]).exits(0);
        project.run(&["verify", "--deep"]).exits(0);
        assert_golden(&project.store(), &golden, kind);
    }
}

#[test]
fn without_a_network_what_is_derived_is_made_again_and_the_rest_is_listed() {
    let (registry, project) = synced();
    let golden = store_tree(&project.store());
    let (fsmeta, file) = only(&project, "fsmeta", "fsmeta");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "damaged").unwrap();
    registry.clear_requests();
    let ran = project.run(&["verify", "--repair", "--offline", "--json"]).exits(0);
    let mended = damaged(&ran.stdout, ["artifact", "class", "state"]);
    assert_eq!(mended, [[fsmeta.to_string(), "size".to_owned(), "repaired".to_owned()]]);
    assert_golden(&project.store(), &golden, "an offline repair");
    assert!(registry.requests().is_empty());

    let (layer, file) = only(&project, "layers", "layer");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "damaged").unwrap();
    let ran = project.run(&["verify", "--repair", "--offline"]).exits(4);
    assert!(ran.stderr.contains(&layer.digest().hex()), "{}", ran.stderr);
    assert!(ran.stdout.contains("not made again"), "{}", ran.stdout);
    project.run(&["verify", "--repair"]).exits(0);
    assert_golden(&project.store(), &golden, "a repair");
}

#[test]
fn what_nobody_here_wants_is_moved_away_and_its_project_is_named() {
    let (_registry, project) = synced();
    let other = project_naming(&[]);
    let store = project.store().to_str().unwrap().to_owned();
    other.run(&["lock"]).exits(0);
    let (_, file) = only(&project, "layers", "layer");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "damaged").unwrap();
    let ran = other.run(&["verify", "--repair", "--store", &store]).exits(4);
    assert!(ran.stderr.contains("sandbox-images.lock wants it"), "{}", ran.stderr);
    let golden = store_tree(&project.store());
    project.run(&["verify"]).exits(4);
    project.run(&["sync", "--platform", "linux/amd64"]).exits(0);
    project.run(&["verify"]).exits(0);
    assert_ne!(store_tree(&project.store()), golden);
}

/// Damages a file of the store.
fn damage(file: &Path) {
    fs::remove_file(file).unwrap();
    fs::write(file, "damaged").unwrap();
}

#[test]
fn what_is_derived_for_another_project_is_made_again_of_its_layers() {
    let (registry, project) = synced();
    let golden = store_tree(&project.store());
    let other = project_naming(&[]);
    let store = project.store().to_str().unwrap().to_owned();
    let repair = |flags: &[&str]| {
        let repair = ["verify", "--repair", "--offline", "--json", "--store", &store];
        other.run(&[&repair, flags].concat())
    };
    let (fsmeta, fsmeta_file) = only(&project, "fsmeta", "fsmeta");
    let (disk, disk_file) = only(&project, "disks", "disk");
    registry.clear_requests();
    damage(&fsmeta_file);
    damage(&disk_file);
    let repaired = damaged(&repair(&[]).exits(0).stdout, ["artifact", "class", "state"]);
    let made_again =
        |artifact: Artifact| [artifact.to_string(), "size".to_owned(), "repaired".to_owned()];
    assert_eq!(repaired, [made_again(fsmeta), made_again(disk)]);
    assert_golden(&project.store(), &golden, "a repair by another project");
    assert!(registry.requests().is_empty());

    // Without one of its layers nothing is made, and whoever wants it is named.
    let (_, layer_file) = only(&project, "layers", "layer");
    damage(&layer_file);
    damage(&disk_file);
    let ran = repair(&[]).exits(4);
    let states = damaged(&ran.stdout, ["artifact", "class", "state"]);
    assert!(states.iter().all(|line| line[2] == "wanted-elsewhere"), "{states:?}");
    assert!(ran.stderr.contains("run `sandbox-images sync` in that project"), "{}", ran.stderr);
    project.run(&["sync", "--platform", "linux/amd64"]).exits(0);
    assert_golden(&project.store(), &golden, "a sync");

    // What nobody wants is not made again.
    let roots = project.store().join("v1/roots");
    fs::remove_dir_all(&roots).unwrap();
    damage(&disk_file);
    let states = damaged(&repair(&[]).exits(0).stdout, ["artifact", "class", "state"]);
    assert_eq!(states, [[disk.to_string(), "size".to_owned(), "set-aside".to_owned()]]);
    assert!(!disk_file.exists());
}

#[test]
fn what_was_pulled_is_made_again_or_its_pull_is_named() {
    let (registry, project) = synced();
    let user = project_naming(&[]);
    let pull = format!("{}/app:1", registry.host());
    user.run(&["pull", &pull, "--platform", "linux/amd64"]).exits(0);
    drop(project);
    let (_, disk_file) = only(&user, "disks", "disk");
    damage(&disk_file);
    user.run(&["verify", "--repair", "--offline"]).exits(0);
    assert!(disk_file.exists());
    damage(&only(&user, "layers", "layer").1);
    let ran = user.run(&["verify", "--repair", "--offline"]).exits(4);
    let help = format!("run `sandbox-images pull {pull} --platform linux/amd64`");
    assert!(ran.stderr.contains(&help), "{}", ran.stderr);
    user.run(&["pull", &pull, "--platform", "linux/amd64"]).exits(0);
    user.run(&["verify"]).exits(0);
}

#[test]
fn a_look_writes_nothing_and_tells_of_what_is_no_artifact() {
    let (_registry, project) = synced();
    let files = project.store().join("v1/f1/disks/sha256");
    fs::write(files.join("notes.txt"), "not ours").unwrap();
    fs::write(files.join(format!("{}.vmdk", Digest::of("x").hex())), "no record").unwrap();
    let before = FileTree::read(project.files());
    for arguments in [&["verify"][..], &["verify", "--deep"]] {
        let told = project.run(arguments).exits(0);
        assert!(told.stderr.contains("1 file without a record (9 B)"), "{}", told.stderr);
        assert!(told.stderr.contains("1 file not of this program"), "{}", told.stderr);
        assert_eq!(told.stdout, "");
    }
    let document = project.run(&["verify", "--deep", "--json"]).text();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["foreign"], &document["ok"]), (&1.into(), &7.into()));
    assert_eq!(document["leftovers"][0]["size_bytes"], 9);
    before.assert_equals(&FileTree::read(project.files()), "before", "after it");
    // What the lock wants is missed also where nothing was ever synced.
    fs::remove_dir_all(project.store()).unwrap();
    project.run(&["verify"]).exits(4);
}

#[test]
fn a_lock_is_held_against_what_its_digests_name_at_the_registry() {
    let (registry, project) = synced();
    fs::remove_dir_all(project.store()).unwrap();
    let before = FileTree::read(project.files());
    project.run(&["verify", "--registry"]).exits(0);
    project.run(&["verify", "--registry", "--offline"]).exits(4);
    before.assert_equals(&FileTree::read(project.files()), "before", "after it");

    let text = project.lock_text();
    let mut lock = Lock::parse(&text).unwrap();
    let mut block = lock.image("app").unwrap().clone();
    for platform in block.platforms.values_mut() {
        platform.layers[1].size += 1;
    }
    lock.insert("app".parse().unwrap(), block);
    fs::write(project.lock_path(), lock.render()).unwrap();
    let told = project.run(&["verify", "--registry"]).exits(5);
    assert!(told.stderr.contains("error[lock-mismatch]: app: size of layer 2"), "{}", told.stderr);
    assert!(told.stdout.contains("contradicts"), "{}", told.stdout);
    project.run(&["check"]).exits(0);

    fs::write(project.lock_path(), text).unwrap();
    registry.fault(Fault::on("/manifests/", Effect::Answer(404, Vec::new(), Vec::new())));
    let told = project.run(&["verify", "--registry"]).exits(4);
    assert!(told.stderr.contains("error[not-found]"), "{}", told.stderr);
    assert!(told.stdout.contains("gone"), "{}", told.stdout);
    let told = project.run(&["verify", "--registry", "--json"]).exits(4);
    let document: Value = serde_json::from_str(&told.stdout).unwrap();
    fits_the_schema(&project, &document["registry"]);
}
