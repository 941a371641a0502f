//! What `gc` deletes leaves the cache first, and nothing else does.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use sandbox_images::oci::digest::Digest;
use serde_json::Value;

use super::cache::{cache_of, files, lease, locked, publish, safe, target, two_layers};
use crate::support::file_tree::FileTree;
use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// Two images that share a layer, synced and published.
fn world() -> (TestRegistry, Project) {
    let registry = TestRegistry::start();
    let [base, app] = two_layers();
    let tool = Layer::new("/tool 0755 run");
    serve(&registry, "app", "1", &two_platforms(&[&base, &app]));
    serve(&registry, "tool", "1", &two_platforms(&[&base, &tool]));
    let names = ["app", "tool"].map(|name| format!("{}/{name}:1", registry.host()));
    let project = project_naming(&[("app", &names[0]), ("tool", &names[1])]);
    project.run(&["sync", "--publish", &target(&project)]).exits(0);
    (registry, project)
}

/// Takes the image `tool` out of the project and deletes what it alone needs.
fn without_tool(project: &Project) -> Value {
    project.run(&["remove", "tool"]).exits(0);
    project.run(&["sync", "--no-gc"]).exits(0);
    serde_json::from_str(&project.run(&["gc", "--json"]).text()).unwrap()
}

fn note(project: &Project) -> Option<Value> {
    let mut notes = fs::read_dir(project.store().join("v1/publications")).unwrap();
    let note = notes.next()?.unwrap().path();
    Some(serde_json::from_slice(&fs::read(note).unwrap()).unwrap())
}

/// The files of a cache that the note says are ours.
fn noted(project: &Project) -> BTreeSet<String> {
    let note = note(project).expect("something is noted");
    note["files"].as_object().unwrap().keys().cloned().collect()
}

fn there(cache: &Path) -> BTreeSet<String> {
    files(cache).into_keys().collect()
}

/// The paths among the files of a report.
fn paths(files: &Value) -> BTreeSet<String> {
    let path = |file: &Value| file["path"].as_str().unwrap().to_owned();
    files.as_array().unwrap().iter().map(path).collect()
}

#[test]
fn a_dry_run_says_what_would_be_withdrawn_and_why() {
    let (_registry, project) = world();
    let cache = cache_of(&project);
    project.run(&["remove", "tool"]).exits(0);
    project.run(&["sync", "--no-gc"]).exits(0);
    let trees = || [&cache, &project.store()].map(|folder| FileTree::read(folder));
    let before = trees();
    let report = project.run(&["gc", "--dry-run", "--json"]).text();
    let report: Value = serde_json::from_str(&report).unwrap();
    let table = project.run(&["gc", "--dry-run"]).exits(0);
    for (tree, before) in trees().iter().zip(&before) {
        tree.assert_equals(before, "after", "before");
    }
    let removed = &report["withdrawn"][0]["removed"];
    let told = format!("would withdraw 7 files from {}\n", cache.display());
    assert!(table.stderr.contains(&told), "{table:?}");
    for file in removed.as_array().unwrap() {
        let path = cache.join(file["path"].as_str().unwrap());
        let line = table.stdout.lines().find(|line| line.contains(path.to_str().unwrap())).unwrap();
        assert!(line.starts_with("remove  published"), "{line}");
        let why = match file["reason"].as_str().unwrap() {
            "image-goes" => format!("its image loses {}", file["artifact"].as_str().unwrap()),
            _ => "no published image has it any more".to_owned(),
        };
        assert!(line.ends_with(&why), "{line}");
    }
    let planned = project.run(&["sync", "--dry-run", "--prune"]).exits(0);
    assert!(planned.stderr.contains(&told), "{planned:?}");

    let done: Value = serde_json::from_str(&project.run(&["gc", "--json"]).text()).unwrap();
    assert_eq!(done["withdrawn"], report["withdrawn"]);
}

#[test]
fn a_dry_run_says_what_another_program_would_keep() {
    let (_registry, project) = world();
    let cache = cache_of(&project);
    let theirs = fs::read_dir(cache.join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let documents = theirs.filter(|path| path.extension().is_some_and(|it| it == "json"));
    // microsandbox knows both images by names of its own.
    for (place, document) in documents.enumerate() {
        fs::copy(document, cache.join(format!("manifests/theirs{place}.json"))).unwrap();
    }
    project.run(&["remove", "tool"]).exits(0);
    project.run(&["sync", "--no-gc"]).exits(0);
    let report = project.run(&["gc", "--dry-run", "--json"]).text();
    let report: Value = serde_json::from_str(&report).unwrap();
    let kept = report["withdrawn"][0]["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 3, "metadata, a disk and the layer of its own: {report}");
    assert!(kept.iter().all(|file| file["reason"] == "mentioned"), "{report}");
    let done: Value = serde_json::from_str(&project.run(&["gc", "--json"]).text()).unwrap();
    assert_eq!(done["withdrawn"], report["withdrawn"]);
}

#[test]
fn an_image_that_goes_leaves_the_cache_and_the_layer_that_another_needs_stays() {
    let (_registry, project) = world();
    let cache = cache_of(&project);
    let before = there(&cache);
    let report = without_tool(&project);
    let removed = report["withdrawn"][0]["removed"].as_array().unwrap();
    // Four documents, metadata, a disk, and the layer of its own.
    assert_eq!(removed.len(), 7, "{report}");
    assert_eq!(there(&cache), &before - &paths(&report["withdrawn"][0]["removed"]));
    assert_eq!(there(&cache), noted(&project));
    for diff_id in locked(&project).diff_ids {
        assert!(cache.join(format!("layers/{}.erofs", safe(&diff_id))).is_file());
    }
    assert_eq!(publish(&project, &["--json"]).text().matches("\"changed\":true").count(), 0);
}

#[test]
fn when_all_goes_the_cache_has_nothing_of_ours_and_all_of_the_others() {
    let (_registry, project) = world();
    let cache = cache_of(&project);
    let theirs = [cache.join("layers/sha256_theirs.erofs"), cache.join("manifests/theirs.json")];
    for path in &theirs {
        fs::write(path, "theirs").unwrap();
    }
    fs::remove_file(project.lock_path()).unwrap();
    let roots = project.store().join("v1/roots");
    fs::remove_dir_all(&roots).unwrap();
    project.run(&["gc"]).exits(0);
    let left: BTreeSet<_> = theirs.iter().map(|p| p.strip_prefix(&cache).unwrap()).collect();
    let left: BTreeSet<String> = left.iter().map(|p| p.display().to_string()).collect();
    assert_eq!(there(&cache), left);
    assert_eq!(note(&project), None);
}

#[test]
fn what_microsandbox_uses_or_built_upon_stays_for_another_time() {
    let (_registry, project) = world();
    let cache = cache_of(&project);
    let tool: BTreeSet<String> = {
        let before = there(&cache);
        let text = project.lock_text();
        let block = text.split("[image.tool]").nth(1).unwrap();
        before
            .into_iter()
            .filter(|path| {
                let hex = path.rsplit("sha256_").next().unwrap();
                path.starts_with("layers/") && block.contains(&hex[..64])
            })
            .collect()
    };
    let app = locked(&project).diff_ids;
    let own = tool.iter().find(|path| !app.iter().any(|id| path.contains(&safe(id)))).unwrap();
    // microsandbox pulled an image of its own that has the layer too.
    let diff_id = own.strip_prefix("layers/").unwrap().strip_suffix(".erofs").unwrap();
    let theirs = format!(
        r#"{{"manifest_digest":"sha256:{}","layers":[{{"diff_id":"{}"}}]}}"#,
        "f".repeat(64),
        diff_id.replace('_', ":")
    );
    let document = cache.join("manifests/theirs.json");
    fs::write(&document, theirs).unwrap();
    let report = without_tool(&project);
    let kept = serde_json::json!([{ "path": own, "reason": "mentioned" }]);
    assert_eq!(report["withdrawn"][0]["kept"], kept);
    assert!(cache.join(own).is_file());

    fs::remove_file(&document).unwrap();
    let reader = File::open(lease(&cache, own)).unwrap();
    flock(&reader, FlockOperation::LockShared).unwrap();
    project.run(&["gc"]).exits(0);
    assert!(cache.join(own).is_file(), "somebody reads it");
    drop(reader);
    project.run(&["gc"]).exits(0);
    assert!(!cache.join(own).exists());
    assert_eq!(there(&cache), noted(&project));
}

#[test]
fn a_document_that_was_in_use_goes_with_the_next_collection() {
    let (registry, project) = world();
    let cache = cache_of(&project);
    let key = Digest::of(format!("{}/tool:1", registry.host())).hex();
    let document = format!("manifests/{key}.json");
    let reader = File::open(lease(&cache, &document)).unwrap();
    flock(&reader, FlockOperation::LockShared).unwrap();
    let report = without_tool(&project);
    let kept = serde_json::json!({ "path": document, "reason": "in-use" });
    assert_eq!(report["withdrawn"][0]["kept"][0], kept);
    assert!(cache.join(&document).exists());
    drop(reader);
    project.run(&["gc"]).exits(0);
    assert!(!cache.join(&document).exists());
    assert_eq!(there(&cache), noted(&project));
}

#[test]
fn a_file_that_is_another_by_now_is_not_ours_to_delete() {
    let (registry, project) = world();
    let cache = cache_of(&project);
    let reference = format!("{}/tool:1", registry.host());
    let key = Digest::of(reference).hex();
    let document = cache.join(format!("manifests/{key}.json"));
    fs::write(&document, "{\"pulled\":\"by microsandbox\"}").unwrap();
    without_tool(&project);
    assert_eq!(fs::read(&document).unwrap(), b"{\"pulled\":\"by microsandbox\"}");
}

#[test]
fn a_cache_that_is_gone_keeps_nothing_from_being_deleted() {
    let (_registry, project) = world();
    fs::remove_dir_all(cache_of(&project)).unwrap();
    let report = without_tool(&project);
    assert_eq!(report["withdrawn"], Value::Array(vec![]));
    assert!(!cache_of(&project).exists());
}

#[test]
fn a_damaged_note_keeps_nothing_from_being_deleted() {
    let (_registry, project) = world();
    let cache = cache_of(&project);
    let before = there(&cache);
    let notes = project.store().join("v1/publications");
    fs::write(fs::read_dir(&notes).unwrap().next().unwrap().unwrap().path(), "{}").unwrap();
    project.run(&["remove", "tool"]).exits(0);
    project.run(&["sync", "--no-gc"]).exits(0);
    let mut gc = project.command(&["gc"]);
    let ran = Ran::of(gc.env("GITHUB_ACTIONS", "true")).exits(0);
    assert!(ran.stderr.contains("publish-not-withdrawn"), "{}", ran.stderr);
    assert_eq!(there(&cache), before, "nobody knows what is ours");
}
