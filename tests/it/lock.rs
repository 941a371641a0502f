//! `lock`: tags become digests, once, and only what changed changes.

use std::fs;

use crate::support::fixture::{project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Family, Image, Layer};
use crate::support::registry::TestRegistry;

#[test]
fn locking_again_changes_no_byte_and_asks_nobody() {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    let first = project.lock_text();
    registry.clear_requests();

    project.run(&["lock"]).exits(0);

    assert_eq!(project.lock_text(), first);
    assert!(registry.requests().is_empty(), "a fresh lock needs no registry");
}

#[test]
fn a_lock_pins_every_document_and_layer_of_each_platform() {
    let (base, app) = (Layer::new("/etc/motd 0644 hello"), Layer::new("/app 0755 run"));
    let image = Image::multi(&[("linux/amd64", vec![&base, &app]), ("linux/arm64", vec![&base])]);
    let (_registry, project) = registry_and_project(&image);

    project.run(&["lock"]).exits(0);

    let lock = project.lock_text();
    assert!(lock.contains(&format!("digest = \"{}\"", image.root.digest)), "{lock}");
    for platform in image.platforms.values() {
        let documents = [&platform.manifest, &platform.config];
        for document in documents.into_iter().chain(&platform.layers) {
            let pin = format!("digest = \"{}\", size = {}", document.digest, document.size);
            assert!(lock.contains(&pin), "{pin} is not in\n{lock}");
        }
        for diff_id in &platform.diff_ids {
            assert!(lock.contains(&format!("diff-id = \"{diff_id}\"")), "{lock}");
        }
    }
}

#[test]
fn an_image_without_an_index_and_with_docker_media_types_is_locked_too() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let image = Image::single(Family::Docker, "linux/amd64", &[&layer]);
    let (_registry, project) = registry_and_project(&image);

    project.run(&["lock"]).exits(0);

    let root = &image.root;
    let lock = project.lock_text();
    assert_eq!(
        lock.matches(&root.digest).count(),
        2,
        "image and manifest are one document\n{lock}"
    );
    assert!(lock.contains(&root.media_type), "{lock}");
}

#[test]
fn a_stale_lock_is_told_and_only_what_is_stale_moves() {
    let registry = TestRegistry::start();
    let at = |tag: &str| format!("{}/app:{tag}", registry.host());
    for tag in ["1", "2", "3"] {
        let lines = format!("/version 0644 {tag}");
        serve(&registry, "app", tag, &two_platforms(&[&Layer::new(&lines)]));
    }
    let project = project_naming(&[("kept", &at("1")), ("moved", &at("2"))]);
    project.run(&["lock"]).exits(0);
    let before = project.lock_text();

    let manifest_file = project.directory().join("sandbox-images.toml");
    let text = fs::read_to_string(&manifest_file).expect("the project has its file");
    fs::write(&manifest_file, text.replace(&at("2"), &at("3"))).expect("the file is changed");
    // The tag of the image that stays now points elsewhere: its pin must not follow.
    serve(&registry, "app", "1", &two_platforms(&[&Layer::new("/version 0644 other")]));

    let told = project.run(&["lock", "--check"]).exits(3);
    assert!(told.stderr.contains(&at("3")) && told.stderr.contains("moved"), "{}", told.stderr);
    assert_eq!(project.lock_text(), before, "`--check` writes nothing");

    project.run(&["lock"]).exits(0);
    project.run(&["lock", "--check"]).exits(0);
    let block = |lock: &str| {
        let from = lock.find("[image.kept]").expect("the image is locked");
        lock[from..lock.find("[image.moved]").expect("the image is locked")].to_owned()
    };
    let after = project.lock_text();
    assert_eq!(block(&after), block(&before));
    assert_ne!(after, before);
}

#[test]
fn an_image_with_too_many_layers_is_refused_with_the_limit() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let image = Image::multi(&[("linux/amd64", vec![&layer; 513])]);
    let (_registry, project) = registry_and_project(&image);

    let told = project.run(&["lock"]).exits(1);

    assert!(told.stderr.contains("more than 512 layers in one image"), "{}", told.stderr);
    assert!(told.stderr.contains("`limits.layers-max`"), "{}", told.stderr);
}

#[test]
fn a_mirror_changes_no_byte_of_a_lock() {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    let alone = project.lock_text();
    fs::remove_file(project.lock_path()).unwrap();
    registry.clear_requests();

    let mirror = TestRegistry::start();
    serve(&mirror, "app", "1", &image);
    let rule = format!("registries.\"{}\".mirrors = [\"{}\"]\n", registry.host(), mirror.url());
    project.write_config(&rule);
    project.run(&["lock"]).exits(0);

    assert_eq!(project.lock_text(), alone);
    assert!(registry.requests_to("/v2/app").is_empty(), "the mirror has it all");
}

#[test]
fn a_machine_changes_no_byte_of_a_lock() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let registry = TestRegistry::start();
    serve(&registry, "app", "1", &two_platforms(&[&layer]));
    serve(&registry, "arm", "1", &Image::multi(&[("linux/arm64", vec![&layer])]));
    let at = |repository: &str| format!("{}/{repository}:1", registry.host());
    let locked_for = |host: &str| {
        let project = project_naming(&[("app", &at("app")), ("arm", &at("arm"))]);
        project.run(&["sync", "--platform", host]);
        (project.lock_text(), project.stored("disks").len())
    };
    let (amd64, disks) = locked_for("linux/amd64");
    assert_eq!(disks, 1, "`arm` has no disk for linux/amd64");
    assert_eq!(locked_for("linux/arm64"), (amd64, 1));
}

#[test]
fn a_checkout_with_other_line_ends_is_as_fresh() {
    let image = two_platforms(&[&Layer::new("/etc/motd 0644 hello")]);
    let (_registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    let canonical = project.lock_text();
    for path in [project.lock_path(), project.directory().join("sandbox-images.toml")] {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace('\n', "\r\n")).unwrap();
    }

    project.run(&["lock", "--check"]).exits(0);
    project.run(&["sync", "--locked"]).exits(0);
    project.run(&["lock"]).exits(0);

    assert_eq!(project.lock_text(), canonical, "what is written has one form");
}

#[test]
fn a_fresh_lock_of_a_newer_tool_stays_as_it_is() {
    let (_registry, project) = registry_and_project(&two_platforms(&[&Layer::new("/a 0644 x")]));
    project.run(&["lock"]).exits(0);
    let newer = project.lock_text().replace("revision = 0", "revision = 9\nfuture = 1");
    fs::write(project.lock_path(), &newer).unwrap();

    project.run(&["lock"]).exits(0);

    assert_eq!(project.lock_text(), newer);
}
