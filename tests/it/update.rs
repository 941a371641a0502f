//! `update` and `outdated`: tags that moved, and who follows them.

use std::fs;

use sandbox_images::spec::lockfile::LockedImage;
use serde_json::Value;

use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

/// A registry in which `app:1` and `base:1` have moved since they were locked, while `same:1` has not.
struct Moved {
    registry: TestRegistry,
    project: Project,
    old: Image,
    new: Image,
}

fn image(text: &str) -> Image {
    let base = Layer::new("/lib 0644 base");
    two_platforms(&[&base, &Layer::new(&format!("/version 0644 {text}"))])
}

fn moved() -> Moved {
    let registry = TestRegistry::start();
    let (old, new) = (image("old"), image("new"));
    for repository in ["app", "base", "same"] {
        serve(&registry, repository, "1", &old);
    }
    let at = |repository: &str| format!("{}/{repository}:1", registry.host());
    let project =
        project_naming(&[("app", &at("app")), ("base", &at("base")), ("same", &at("same"))]);
    project.run(&["lock"]).exits(0);
    serve(&registry, "app", "1", &new);
    serve(&registry, "base", "1", &new);
    Moved { registry, project, old, new }
}

impl Moved {
    fn run(&self, arguments: &[&str]) -> Ran {
        self.project.run(&[arguments, &["--progress", "none"]].concat())
    }

    /// The exit code and both streams, with what differs from run to run replaced.
    fn said(&self, arguments: &[&str]) -> String {
        let Ran { code, stdout, stderr } =
            self.project.run(&[arguments, &["--progress", "plain"]].concat());
        let stderr: String =
            stderr.split_inclusive('\n').filter(|line| !line.contains(" Resolved ")).collect();
        let mut text = format!("exit {code}\n{stdout}---\n{stderr}");
        let short = |digest: &str| digest["sha256:".len()..][..12].to_owned();
        for (image, name) in [(&self.old, "old"), (&self.new, "new")] {
            text = text.replace(&short(&image.root.digest), &format!("{name}-root-dig"));
            for (platform, documents) in &image.platforms {
                let architecture = platform.replace("linux/", "");
                let shown = format!("{name}-{architecture}-dig");
                text =
                    text.replace(&short(&documents.manifest.digest), &shown[..12.min(shown.len())]);
            }
        }
        text.replace(&self.registry.host(), "r.example")
    }

    /// What an image is locked to.
    fn block(&self, name: &str) -> LockedImage {
        self.project.lock().image(name).expect("the image is locked").clone()
    }
}

fn answer(status: u16) -> Effect {
    Effect::Answer(status, Vec::new(), Vec::new())
}

#[test]
fn only_the_named_image_moves() {
    let world = moved();
    let before = ["app", "base", "same"].map(|name| world.block(name));
    insta::assert_snapshot!(world.said(&["update", "app"]), @r#"
    exit 0
    app changed, 2.3 KiB to fetch
      source  r.example/app:1
      digest  old-root-dig → new-root-dig
      linux/amd64 changed: old-amd64-di → new-amd64-di, 1 layer kept
        - 8725244c0154  94 B
        + a7395ed60a62  94 B
      linux/arm64 changed: old-arm64-di → new-arm64-di, 1 layer kept
        - 8725244c0154  94 B
        + a7395ed60a62  94 B
    0 added, 1 changed, 0 removed, 2 unchanged; 2.3 KiB to fetch
    ---
       Updated 1 image in sandbox-images.lock
    "#);
    assert_ne!(world.block("app"), before[0]);
    assert_eq!(world.block("base"), before[1]);
    assert_eq!(world.block("same"), before[2]);
    assert_eq!(world.block("app").digest.to_string(), world.new.root.digest);
    world.run(&["lock", "--check"]).exits(0);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let world = moved();
    let before = world.project.lock_text();
    let planned = world.run(&["update", "--dry-run", "--exit-code"]).exits(4);
    assert!(planned.stdout.contains("\nbase changed, 0 B to fetch\n"), "{}", planned.stdout);
    insta::assert_snapshot!(world.said(&["update", "--dry-run", "--markdown"]), @r#"
    exit 0
    | image | change | source | digest | layers | to fetch |
    |---|---|---|---|---|--:|
    | `app` | changed | `r.example/app:1` | old-root-dig → new-root-dig | linux/amd64: +1 −1 =1<br>linux/arm64: +1 −1 =1 | 2.3 KiB |
    | `base` | changed | `r.example/base:1` | old-root-dig → new-root-dig | linux/amd64: +1 −1 =1<br>linux/arm64: +1 −1 =1 | 0 B |

    0 added, 2 changed, 0 removed, 1 unchanged; 2.3 KiB to fetch
    ---
       Planned would update 2 images in sandbox-images.lock
    "#);
    assert_eq!(world.project.lock_text(), before);

    let done = world.run(&["update", "--exit-code"]).exits(4);
    assert_eq!(done.stdout, planned.stdout);
    insta::assert_snapshot!(world.said(&["update", "--exit-code"]), @r#"
    exit 0
    ---
     Unchanged no pin moved
    "#);
    let unmoved = world.run(&["update", "--markdown"]).exits(0);
    assert_eq!(unmoved.stdout, "0 added, 0 changed, 0 removed, 3 unchanged; 0 B to fetch\n");
}

#[test]
fn programs_get_each_change() {
    let world = moved();
    let ran = world.run(&["update", "--json"]).exits(0);
    let value: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(value["schema"], "sandbox-images/update/1");
    assert_eq!(value["images"].as_array().map(Vec::len), Some(2));
    assert_eq!(value["unchanged"], 1);
    let image = &value["images"][0];
    assert_eq!(image["image"], "app");
    assert_eq!(image["digest"]["old"], world.old.root.digest);
    assert_eq!(image["digest"]["new"], world.new.root.digest);
    let platform = &image["platforms"][0];
    assert_eq!(platform["platform"], "linux/amd64");
    assert_eq!(platform["layers_added"].as_array().map(Vec::len), Some(1));
    assert_eq!(platform["layers_removed"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_image_given_by_digest_stays_and_a_group_moves() {
    let world = moved();
    let at = |repository: &str| format!("{}/{repository}:1", world.registry.host());
    let text = format!(
        "[images]\napp = '{}@{}'\n[images.base]\nimage = '{}'\ngroups = ['ci']\n[images.same]\nimage = '{}'\n",
        at("app"),
        world.old.root.digest,
        at("base"),
        at("same"),
    );
    fs::write(world.project.directory().join("sandbox-images.toml"), text).expect("written");
    world.run(&["lock"]).exits(0);
    let before = world.project.lock_text();
    insta::assert_snapshot!(world.said(&["update", "app"]), @r#"
    exit 0
    ---
    app is given by digest in sandbox-images.toml and stays
     Unchanged no pin moved
    "#);
    assert_eq!(world.project.lock_text(), before);
    insta::assert_snapshot!(world.said(&["outdated"]), @r"
    exit 0
    IMAGE  STATE    LOCKED        CURRENT       SOURCE
    app    moved    old-root-dig  new-root-dig  r.example/app:1@sha256:old-root-digcd5bf920538198693e7821bc5ce68daaff4aa4f5aa3b0dedf9ee
    base   moved    old-root-dig  new-root-dig  r.example/base:1
    same   current  old-root-dig  old-root-dig  r.example/same:1
    ---
    2 of 3 images outdated
    ");

    let ran = world.run(&["update", "--group", "ci"]).exits(0);
    assert!(ran.stdout.contains("base") && !ran.stdout.contains("app"), "{}", ran.stdout);
}

#[test]
fn unknown_names_and_groups_are_told_together() {
    let world = moved();
    insta::assert_snapshot!(world.said(&["update", "ap", "sam", "--group", "ci"]), @r"
    exit 2
    ---
    error[unknown-image]: there is no image `ap`
    help: did you mean `app`?
    error[unknown-image]: there is no image `sam`
    help: did you mean `same`?
    error[unknown-group]: no image is in group `ci`
    help: groups: none
    ");
}

#[test]
fn the_lock_of_a_newer_tool_is_not_written() {
    let world = moved();
    let newer = world.project.lock_text().replace("revision = 0", "revision = 9");
    fs::write(world.project.lock_path(), &newer).expect("written");
    insta::assert_snapshot!(world.said(&["update"]), @r"
    exit 3
    ---
    error[newer-revision]: the lock has revision 9, this tool writes revision 0
    help: use a newer sandbox-images to change it
    ");
    assert_eq!(world.project.lock_text(), newer);
}

#[test]
fn what_cannot_be_resolved_keeps_every_pin() {
    let world = moved();
    let before = world.project.lock_text();
    world.registry.fault(Fault::on("base/manifests/1", answer(404)));
    let ran = world.run(&["update"]).exits(1);
    assert!(ran.stderr.contains("error[not-found]: base: "), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("note: nothing was written\n"), "{}", ran.stderr);
    assert_eq!(world.project.lock_text(), before);
}

#[test]
fn outdated_asks_with_head_and_writes_nothing() {
    let world = moved();
    let before = world.project.lock_text();
    let (old, new) = (&world.old.root.digest, &world.new.root.digest);
    let digests = [("app/manifests/1", new), ("base/manifests/1", new), ("/manifests/", old)];
    for (path, digest) in digests {
        let header = Effect::Header("docker-content-digest", digest.clone());
        world.registry.fault(Fault::on(path, header));
    }
    world.registry.clear_requests();
    insta::assert_snapshot!(world.said(&["outdated"]), @r"
    exit 0
    IMAGE  STATE    LOCKED        CURRENT       SOURCE
    app    moved    old-root-dig  new-root-dig  r.example/app:1
    base   moved    old-root-dig  new-root-dig  r.example/base:1
    same   current  old-root-dig  old-root-dig  r.example/same:1
    ---
    2 of 3 images outdated
    ");
    let requests = world.registry.requests();
    let asked: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(asked, ["HEAD"; 5], "each tag, and what moved by its digest: {requests:?}");
    world.run(&["outdated", "--exit-code"]).exits(4);
    assert_eq!(world.project.lock_text(), before);
    assert!(!world.project.store().exists());

    world.registry.clear_faults();
    world.run(&["update"]).exits(0);
    world.run(&["outdated", "--exit-code"]).exits(0);
}

#[test]
fn what_vanished_is_told_and_one_failure_hides_nobody() {
    let world = moved();
    world
        .registry
        .fault(Fault::on(&format!("app/manifests/{}", world.old.root.digest), answer(404)));
    world.registry.fault(Fault::on("same/manifests/1", answer(404)));
    world.registry.fault(Fault::on("base/", answer(403)));
    let said = world.said(&["outdated"]);
    assert!(said.starts_with("exit 6\n"), "{said}");
    let table = said.split("---").next().unwrap_or_default();
    insta::assert_snapshot!(table, @r"
    exit 6
    IMAGE  STATE                      LOCKED        CURRENT       SOURCE
    app    moved, locked digest gone  old-root-dig  new-root-dig  r.example/app:1
    same   tag gone                   old-root-dig  -             r.example/same:1
    ");

    let ran = world.run(&["outdated", "--json"]).exits(6);
    let value: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(value["schema"], "sandbox-images/failure/1");
    assert_eq!(value["images"][0]["image"], "app");
    assert_eq!(value["images"][0]["state"], "moved");
    assert_eq!(value["images"][0]["vanished"], true);
    assert_eq!(value["images"][1]["state"], "tag-gone");
}
