//! `diff`: the lock beside that of a revision or of a file, for review.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// Runs git in the project, without what this machine's user has set.
fn git(project: &Project, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(project.directory())
        .output()
        .expect("git runs")
        .status;
    assert!(status.success(), "git {arguments:?}");
}

/// A project whose committed lock has the images `gone`, `kept` and `moved`, and whose lock has `moved` with
/// another layer on top and `new` in place of `gone`.
fn moved_on(is_committed: bool) -> (TestRegistry, Project) {
    let registry = TestRegistry::start();
    let base = Layer::new("/etc/motd 0644 hello");
    let (one, two) = (Layer::new("/version 0644 1"), Layer::new("/version 0644 2"));
    serve(&registry, "app", "1", &two_platforms(&[&base, &one]));
    serve(&registry, "app", "2", &two_platforms(&[&base, &two]));
    serve(&registry, "base", "1", &two_platforms(&[&base]));
    let at = |image: &str| format!("{}/{image}", registry.host());
    let (app1, app2, base1) = (at("app:1"), at("app:2"), at("base:1"));
    let project = project_naming(&[("gone", &base1), ("kept", &base1), ("moved", &app1)]);
    project.run(&["lock"]).exits(0);
    fs::copy(project.lock_path(), project.directory().join("old.lock")).unwrap();
    if is_committed {
        git(&project, &["init", "-q"]);
        git(&project, &["add", "sandbox-images.lock"]);
        git(&project, &["commit", "-q", "-m", "lock"]);
    }
    let set = format!("[images]\nkept = \"{base1}\"\nmoved = \"{app2}\"\nnew = \"{app2}\"\n");
    fs::write(project.directory().join("sandbox-images.toml"), set).unwrap();
    project.run(&["lock"]).exits(0);
    (registry, project)
}

/// Exit code, standard output and standard error, with a word for what differs from run to run.
fn seen(registry: &TestRegistry, ran: &Ran) -> String {
    // The digests of documents depend on nothing but the layers; they are pinned with the rest.
    ran.to_string().replace(&registry.host(), "HOST")
}

#[test]
fn what_moved_is_told_with_its_layers_and_bytes() {
    let (registry, project) = moved_on(false);
    registry.clear_requests();
    insta::assert_snapshot!(seen(&registry, &project.run(&["diff", "old.lock"])), @r###"
    exit 0
    --- stdout
    gone removed, 0 B to fetch
      source  HOST/base:1
      digest  b1f91855278e
      linux/amd64 removed: c4e0747f49ca, 0 layers kept
        - 564a9b1695e0  96 B
      linux/arm64 removed: 6abdd3dffef0, 0 layers kept
        - 564a9b1695e0  96 B
    moved changed, 2.3 KiB to fetch
      source  HOST/app:1 → HOST/app:2
      digest  bff0cab8bc44 → 002264e0fc3e
      linux/amd64 changed: 598a7f31cd87 → 64df5ed1f1db, 1 layer kept
        - 4158d2c9fb47  92 B
        + de8db077cb33  92 B
      linux/arm64 changed: cafd17d174d5 → 5098c50bea45, 1 layer kept
        - 4158d2c9fb47  92 B
        + de8db077cb33  92 B
    new added, 0 B to fetch
      source  HOST/app:2
      digest  002264e0fc3e
      linux/amd64 added: 64df5ed1f1db, 0 layers kept
        + 564a9b1695e0  96 B
        + de8db077cb33  92 B
      linux/arm64 added: 5098c50bea45, 0 layers kept
        + 564a9b1695e0  96 B
        + de8db077cb33  92 B
    1 added, 1 changed, 1 removed, 1 unchanged; 2.3 KiB to fetch
    --- stderr
    "###);
    insta::assert_snapshot!(seen(&registry, &project.run(&["diff", "--markdown", "old.lock"])), @r###"
    exit 0
    --- stdout
    | image | change | source | digest | layers | to fetch |
    |---|---|---|---|---|--:|
    | `gone` | removed | `HOST/base:1` | b1f91855278e | linux/amd64: +0 −1 =0<br>linux/arm64: +0 −1 =0 | 0 B |
    | `moved` | changed | `HOST/app:1` → `HOST/app:2` | bff0cab8bc44 → 002264e0fc3e | linux/amd64: +1 −1 =1<br>linux/arm64: +1 −1 =1 | 2.3 KiB |
    | `new` | added | `HOST/app:2` | 002264e0fc3e | linux/amd64: +2 −0 =0<br>linux/arm64: +2 −0 =0 | 0 B |

    1 added, 1 changed, 1 removed, 1 unchanged; 2.3 KiB to fetch
    --- stderr
    "###);
    assert!(registry.requests().is_empty());
}

#[test]
fn programs_get_the_same_facts() {
    let (_registry, project) = moved_on(false);
    let ran = project.run(&["diff", "old.lock", "--json"]).exits(0);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(value["schema"], "sandbox-images/diff/1");
    assert_eq!(value["old"], "old.lock");
    assert_eq!(value["unchanged"], 1);
    let images = value["images"].as_array().unwrap();
    let changes: Vec<&str> = images.iter().map(|image| image["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["removed", "changed", "added"]);
    let moved = &images[1];
    assert_ne!(moved["source"]["old"], moved["source"]["new"]);
    let platform = &moved["platforms"][0];
    assert_eq!(platform["layers_kept"], 1);
    assert_eq!(platform["layers_added"].as_array().unwrap().len(), 1);
    assert_eq!(moved["download_bytes"], value["download_bytes"]);
    assert_eq!(images[2]["download_bytes"], 0, "all of it is counted at `moved`");
}

#[test]
fn the_default_is_what_git_has_committed() {
    if !needs(&["git"]) {
        return;
    }
    let (registry, project) = moved_on(true);
    let of_file = project.run(&["diff", "old.lock"]).exits(0);
    assert_eq!(project.run(&["diff"]).exits(0), of_file);
    assert_eq!(project.run(&["diff", "HEAD"]).exits(0), of_file);
    // From elsewhere, and with the lock named by its path.
    let lock = project.lock_path();
    let lock = lock.to_str().unwrap();
    assert_eq!(project.run(&["-C", "/", "--lockfile", lock, "diff"]).exits(0), of_file);

    insta::assert_snapshot!(seen(&registry, &project.run(&["diff", "no-such-branch"])).replace(lock, "LOCK"), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-revision]: `no-such-branch` is no file and no revision that git knows in `.`
    help: name a file, or a revision such as HEAD~1 or origin/main
    "###);
    git(&project, &["rm", "-q", "--cached", "sandbox-images.lock"]);
    git(&project, &["commit", "-q", "-m", "no lock"]);
    let ran = project.run(&["diff"]).exits(0);
    assert!(ran.stderr.contains("`HEAD` has no lock"), "{}", ran.stderr);
    assert!(ran.stdout.contains("3 added"), "{}", ran.stdout);
}

#[test]
fn a_revision_is_never_an_option_of_git() {
    if !needs(&["git"]) {
        return;
    }
    let (_registry, project) = moved_on(false);
    let ran = project.run(&["diff", "--", "--output=stolen"]).exits(2);
    assert!(ran.stderr.contains("unknown-revision"), "{}", ran.stderr);
    assert!(!project.directory().join("stolen").exists());
}

#[test]
fn equal_locks_have_no_difference() {
    let (registry, project) = moved_on(false);
    insta::assert_snapshot!(seen(&registry, &project.run(&["diff", "sandbox-images.lock"])), @r###"
    exit 0
    --- stdout
    0 added, 0 changed, 0 removed, 3 unchanged; 0 B to fetch
    --- stderr
    "###);
    fs::write(project.directory().join("old.lock"), "version = 2\n").unwrap();
    insta::assert_snapshot!(seen(&registry, &project.run(&["diff", "old.lock"])), @r###"
    exit 2
    --- stdout
    --- stderr
    error[unknown-version]: the lock has version 2, this tool reads version 1
     --> old.lock:1:11
      |
    1 | version = 2
      |           ^
      |
    help: use the version of sandbox-images that wrote it
    "###);
}
