//! `lock --artifacts`: the lock has the digests of what is built, and `sync` holds everybody to them.

use std::fs;

use sandbox_images::oci::digest::{DiffId, Digest};

use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

const BASE: &str = "/etc/ 0755\n/etc/motd 0644 hello";

/// An image of two layers on two platforms, of which one has a layer more.
fn image() -> Image {
    let [base, app, more] = [BASE, "/app 0755 run", "/more 0644 x"].map(Layer::new);
    Image::multi(&[("linux/amd64", vec![&base, &app]), ("linux/arm64", vec![&base, &app, &more])])
}

fn locked() -> (TestRegistry, Project) {
    let (registry, project) = registry_and_project(&image());
    project.run(&["lock", "--artifacts"]).exits(0);
    (registry, project)
}

/// Exit code, standard output and standard error as one text, without what differs from run to run.
fn seen(project: &Project, host: &str, arguments: &[&str]) -> String {
    let marks = "^".repeat(host.len());
    project.run(arguments).to_string().replace(host, "HOST").replace(&marks, "^^^^")
}

/// Adds a line to the project's `[images]`.
fn add_line(project: &Project, line: &str) {
    let path = project.file_path();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}{line}\n")).unwrap();
}

#[test]
fn the_lock_names_the_files_that_are_built_on_every_platform() {
    let (registry, project) = locked();
    let lock = project.lock();
    assert_eq!(lock.artifact_format(), Some(1));
    let built = project.artifacts();
    let digests = lock.artifact_digests();
    assert_eq!((digests.layers.len(), digests.fsmetas.len()), (3, 2));
    for (diff_id, digest) in &digests.layers {
        assert_eq!(built[&format!("layers/{}.erofs", diff_id.hex())], *digest);
    }
    for (chain_id, digest) in &digests.fsmetas {
        assert_eq!(built[&format!("fsmeta/{}.erofs", chain_id.hex())], *digest);
    }
    project.run(&["check", "--in-sync"]).exits(0);
    project.run(&["verify"]).exits(0);

    registry.clear_requests();
    let text = project.lock_text();
    project.run(&["lock"]).exits(0);
    project.run(&["lock", "--artifacts"]).exits(0);
    project.run(&["lock", "--artifacts", "--check"]).exits(0);
    project.run(&["sync", "--frozen"]).exits(0);
    assert_eq!(project.lock_text(), text);
    assert!(registry.requests().is_empty());
}

#[test]
fn whoever_builds_writes_the_same_lock_and_can_take_it_back() {
    let (registry, project) = locked();
    let other = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    other.run(&["lock"]).exits(0);
    let plain = other.lock_text();
    other.run(&["lock", "--artifacts", "--check"]).exits(3);
    other.run(&["sync"]).exits(0);
    assert_eq!(other.lock_text(), plain, "`sync` writes no digests of artifacts");
    other.run(&["lock", "--artifacts"]).exits(0);
    assert_eq!(other.lock_text(), project.lock_text());
    project.run(&["lock", "--no-artifacts", "--check"]).exits(3);
    project.run(&["lock", "--no-artifacts"]).exits(0);
    assert_eq!(project.lock_text(), plain);
    project.run(&["lock", "--no-artifacts", "--check"]).exits(0);
}

#[test]
fn a_lock_that_has_them_keeps_them() {
    let (registry, project) = locked();
    let at = |name: &str, tag: &str| format!("{}/{name}:{tag}", registry.host());
    let complete = |project: &Project| {
        let lock = project.lock();
        assert_eq!(lock.artifact_format(), Some(1));
        assert!(lock.without_artifact_digests().is_empty(), "{}", lock.render());
        project.run(&["check"]).exits(0);
    };
    let app = || project.lock().image("app").cloned();
    let before = app();

    serve(&registry, "tool", "1", &two_platforms(&[&Layer::new(BASE), &Layer::new("/t 0755 t")]));
    project.run(&["add", &at("tool", "1")]).exits(0);
    complete(&project);
    assert_eq!(app(), before);

    serve(&registry, "tool", "1", &two_platforms(&[&Layer::new("/t 0755 moved")]));
    project.run(&["update", "tool"]).exits(0);
    complete(&project);
    assert_eq!(app(), before);

    add_line(&project, &format!("again = \"{}\"", at("tool", "1")));
    project.run(&["lock"]).exits(0);
    complete(&project);

    project.run(&["remove", "tool", "again"]).exits(0);
    complete(&project);
    assert_eq!(app(), before);
}

#[test]
fn sync_writes_none_and_asks_for_lock() {
    let (registry, project) = locked();
    serve(&registry, "tool", "1", &two_platforms(&[&Layer::new("/t 0755 t")]));
    add_line(&project, &format!("tool = \"{}/tool:1\"", registry.host()));
    let text = project.lock_text();
    insta::assert_snapshot!(seen(&project, &registry.host(), &["sync"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[lock-stale]: sandbox-images.lock does not match sandbox-images.toml (1 difference)
     --> sandbox-images.toml:5:8
      |
    5 | tool = "HOST/tool:1"
      |        ^^^^^^^^^^^^^ image `tool` is not locked
      |
    help: run `sandbox-images lock` and commit the result: the lock has digests of artifacts, which `sync` does not write
    "###);
    assert_eq!(project.lock_text(), text);

    // To take an image out needs no digest.
    let path = project.file_path();
    let set = fs::read_to_string(&path).unwrap();
    let without: Vec<&str> = set.lines().filter(|line| !line.starts_with("tool")).collect();
    fs::write(&path, without.join("\n")).unwrap();
    project.run(&["sync", "--offline"]).exits(0);
}

#[test]
fn other_bytes_in_the_same_format_are_5_with_both_digests() {
    let (registry, project) = locked();
    let right = project.lock();
    let wrong = Digest::of("other");
    let amd64 = "linux/amd64".parse().unwrap();
    project.tamper(|app| app.platforms.get_mut(&amd64).unwrap().layers[0].erofs = Some(wrong));
    project.run(&["check"]).exits(3);
    project.tamper(|app| {
        app.platforms.values_mut().for_each(|platform| platform.layers[0].erofs = Some(wrong));
    });
    project.run(&["check"]).exits(0);

    let platform = &right.image("app").unwrap().platforms[&amd64];
    let (diff_id, built) = (platform.layers[0].diff_id, platform.layers[0].erofs.unwrap());
    let told = seen(&project, &registry.host(), &["sync", "--frozen", "--platform", "linux/amd64"]);
    let told = told
        .replace(&wrong.to_string(), "WRONG")
        .replace(&built.to_string(), "BUILT")
        .replace(&diff_id.to_string(), "DIFF_ID");
    insta::assert_snapshot!(told, @r"
    exit 5
    --- stdout
    --- stderr
    error[artifact-mismatch]: app: layer DIFF_ID is the file `BUILT`, the lock says `WRONG`
    help: `sandbox-images verify --repair` makes the file again; if it is the same, find out whether the lock was edited or is of another build of this tool
    note: not synced: app (linux/amd64)
    ");
    let told = project.run(&["verify"]).exits(5);
    assert!(told.stderr.contains("error[artifact-mismatch]"), "{}", told.stderr);
    let told = told.stdout;
    assert!(told.contains(&wrong.to_string()) && told.contains(&built.to_string()), "{told}");
    for arguments in [
        &["path", "app"][..],
        &["disk", "app", "--format", "vmdk"],
        &["inspect", "tree", "app"],
        &["sync", "--check"],
        &["sync", "--frozen", "--dry-run"],
        &["check", "--in-sync"],
    ] {
        let told = project.run(arguments).exits(5).stderr;
        assert!(told.contains("error[artifact-mismatch]"), "{arguments:?}: {told}");
    }
    assert!(project.run(&["list"]).text().contains("missing"));
    // What is made again is the same, and the lock's word counts.
    project.run(&["verify", "--repair"]).exits(5);
    wrong_bytes_never_become_visible(&project, diff_id);
    fs::remove_dir_all(project.store()).unwrap();
    wrong_bytes_never_become_visible(&project, diff_id);
}

/// Whoever builds what the lock does not mean fails before anybody can see it.
fn wrong_bytes_never_become_visible(project: &Project, diff_id: DiffId) {
    let told = project.run(&["sync", "--locked"]).exits(5).stderr;
    assert!(told.contains("error[artifact-mismatch]"), "{told}");
    let told = project.run(&["path", "app"]).exits(4).stderr;
    assert!(told.contains("error[artifact-missing]"), "{told}");
    assert!(!project.stored("layers").contains(&format!("{}.erofs", diff_id.hex())));
}

#[test]
fn a_format_that_this_tool_does_not_write_is_3() {
    let (registry, project) = locked();
    let text = project.lock_text();
    let newer = text.replace("artifact-format = 1", "artifact-format = 9");
    fs::write(project.lock_path(), &newer).unwrap();
    project.run(&["check"]).exits(0);
    insta::assert_snapshot!(seen(&project, &registry.host(), &["sync", "--frozen"]), @r"
    exit 3
    --- stdout
    --- stderr
    error[artifact-format]: the lock has digests of artifacts in format 9, this tool writes format 1
    help: use the sandbox-images that wrote it, or write the lock anew with `lock --artifacts` or `--no-artifacts`
    ");
    project.run(&["sync", "--check"]).exits(3);
    project.run(&["lock"]).exits(0);
    assert_eq!(project.lock_text(), newer, "what is fresh stays as it is");
    project.run(&["lock", "--artifacts"]).exits(0);
    assert_eq!(project.lock_text(), text);
}

#[test]
fn digests_for_some_are_inconsistent_and_lock_completes_them() {
    let (registry, project) = locked();
    let text = project.lock_text();
    project.tamper(|app| {
        app.platforms.get_mut(&"linux/amd64".parse().unwrap()).unwrap().layers[1].erofs = None;
    });
    insta::assert_snapshot!(seen(&project, &registry.host(), &["check"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[lock-stale]: sandbox-images.lock does not match sandbox-images.toml (1 difference)
     --> sandbox-images.toml:4:7
      |
    4 | app = "HOST/app:1"
      |       ^^^^^^^^^^^^ the lock's block of `app` lacks digests of artifacts, which the lock is to have
      |
    help: run `sandbox-images lock` and commit the result
    "###);
    project.run(&["lock", "--check"]).exits(3);
    project.run(&["sync"]).exits(3);
    // The tag has moved on: the pin must not.
    serve(&registry, "app", "1", &two_platforms(&[&Layer::new("/x 0644 x")]));
    project.run(&["lock"]).exits(0);
    assert_eq!(project.lock_text(), text);
}

#[test]
fn what_cannot_be_built_leaves_the_lock_as_it_was() {
    let mut layer = Layer::new(BASE);
    layer.diff_id = Digest::of("another tar").to_string();
    let (_registry, project) = registry_and_project(&two_platforms(&[&layer]));
    let told = project.run(&["lock", "--artifacts"]).exits(5).stderr;
    assert!(told.contains("error[diff-id-mismatch]"), "{told}");
    assert!(!project.lock_path().exists());
}

#[test]
fn a_dry_run_and_a_check_build_nothing() {
    let (registry, project) = registry_and_project(&image());
    insta::assert_snapshot!(seen(&project, &registry.host(), &["lock", "--artifacts", "--dry-run"]), @r"
    exit 0
    --- stdout
    --- stderr
      Resolved app 3fbcd872bcdc (linux/amd64, linux/arm64)
    would build 1 image on all platforms for the digests
       Planned would lock 1 image, 1 of them resolved now
    ");
    project.run(&["lock"]).exits(0);
    let text = project.lock_text();
    insta::assert_snapshot!(seen(&project, &registry.host(), &["lock", "--artifacts", "--dry-run", "--json", "-q"]), @r###"
    exit 0
    --- stdout
    {"schema":"sandbox-images/lock/1","changed":true,"resolved":[],"images":["app"],"artifact_format":null}
    --- stderr
    "###);
    insta::assert_snapshot!(seen(&project, &registry.host(), &["lock", "--artifacts", "--check"]), @r"
    exit 3
    --- stdout
    --- stderr
    error[artifact-digests]: the lock has no digests of artifacts
    help: run `sandbox-images lock --artifacts` and commit the result
    ");
    project
        .run(&["add", "--dry-run", "--name", "again", &format!("{}/app:1", registry.host())])
        .exits(0);
    assert_eq!(project.lock_text(), text);
    assert!(!project.store().exists());
}

/// The records of layers in a store, without those that name no SHA-256, and how many there are.
fn records_with_sha256(project: &Project) -> (usize, usize) {
    let folder = project.store().join("v1/f1/records/layer");
    let records: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|record| fs::read_to_string(record.unwrap().path()).unwrap())
        .collect();
    let with = records.iter().filter(|record| record.contains(r#""sha256":"sha256:"#)).count();
    (with, records.len())
}

#[test]
fn a_store_keeps_the_digests_that_it_is_held_to() {
    let (registry, project) = locked();
    assert_eq!(records_with_sha256(&project), (3, 3), "those that `lock --artifacts` built");

    let other = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    other.run(&["lock"]).exits(0);
    let plain = other.lock_text();
    other.run(&["sync"]).exits(0);
    let layers = other.stored("layers").len();
    assert_eq!(records_with_sha256(&other), (0, layers));

    fs::write(other.lock_path(), project.lock_text()).unwrap();
    other.run(&["check", "--in-sync"]).exits(0);
    assert_eq!(records_with_sha256(&other), (0, layers), "`check` writes nothing");
    other.run(&["sync", "--frozen"]).exits(0);
    assert_eq!(records_with_sha256(&other), (layers, layers));
    other.run(&["verify"]).exits(0);

    fs::remove_dir_all(other.store()).unwrap();
    other.run(&["sync"]).exits(0);
    assert_eq!(records_with_sha256(&other), (layers, layers), "those that a lock was there for");
    fs::remove_dir_all(other.store()).unwrap();
    fs::write(other.lock_path(), plain).unwrap();
    other.run(&["sync"]).exits(0);
    assert_eq!(records_with_sha256(&other), (0, layers));
}
