//! What is wrong with a lock: stale in each of its ways, conflicted, foreign, or at odds with itself.

use std::fs;

use super::scene::{locked, plain, shows};
use crate::support::fixture::{edit, project_naming};
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

fn project() -> (TestRegistry, Project) {
    locked(&[&plain("/etc/motd 0644 hello")])
}

/// A project whose `sandbox-images.toml` was changed after it was locked.
fn edited(old: &str, new: &str) -> (TestRegistry, Project) {
    let (registry, project) = project();
    edit(&project.file_path(), old, new);
    (registry, project)
}

/// What is shown of a lock that is stale for `reasons`: all that stands below the line that names both files.
#[track_caller]
fn stale(project: &Project, reasons: &[&str]) -> String {
    let shown = shows(project, &[&["lock-stale"], reasons].concat(), &["lock", "--check"]);
    let differences = match reasons.len() {
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    };
    let head = format!(
        "exit 3\n--- stdout\n--- stderr\n\
         error[lock-stale]: sandbox-images.lock does not match sandbox-images.toml ({differences})\n"
    );
    shown.strip_prefix(&head).unwrap_or_else(|| panic!("{head}{shown}")).to_owned()
}

#[test]
fn there_is_none() {
    let project = project_naming(&[("app", "alpine:3.20")]);
    insta::assert_snapshot!(shows(&project, &["missing-lock"], &["sync", "--locked"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[missing-lock]: sandbox-images.lock does not exist
    help: run `sandbox-images lock` and commit the result
    "###);
}

#[test]
fn an_image_came() {
    let (_registry, project) = edited("[images]\n", "[images]\nmore = \"alpine:3.20\"\n");
    insta::assert_snapshot!(stale(&project, &["added"]), @r###"
     --> sandbox-images.toml:4:8
      |
    4 | more = "alpine:3.20"
      |        ^^^^^^^^^^^^^ image `more` is not locked
      |
    help: run `sandbox-images lock` and commit the result (the pin of 1 other image stays as it is)
    "###);
}

#[test]
fn an_image_went() {
    let (_registry, project) = edited("app = ", "#app = ");
    insta::assert_snapshot!(stale(&project, &["removed"]), @r###"
     --> sandbox-images.lock:6:8
      |
    6 | [image.app]
      |        ^^^ image `app` is locked and no longer wanted
      |
    help: run `sandbox-images lock` and commit the result
    "###);
}

#[test]
fn an_image_comes_from_elsewhere() {
    let (_registry, project) = edited("/app:1", "/app:2");
    insta::assert_snapshot!(stale(&project, &["source-changed"]), @r###"
     --> sandbox-images.toml:4:7
      |
    4 | app = "127.0.0.1:PORT/app:2"
      |       ^^^^^^^^^^^^^^^^^^^^^^^ locked for 127.0.0.1:PORT/app:1
      |
    help: run `sandbox-images lock` and commit the result
    "###);
}

#[test]
fn platforms_came_and_went() {
    let (_registry, project) = edited(
        "[images]",
        "[defaults]\nplatforms = [\"linux/amd64\", \"linux/riscv64\"]\n\n[images]",
    );
    insta::assert_snapshot!(stale(&project, &["platform-added", "platform-removed"]), @r###"
     --> sandbox-images.toml:7:7
      |
    7 | app = "127.0.0.1:PORT/app:1"
      |       ^^^^^^^^^^^^^^^^^^^^^^^
      |       |
      |       image `app` is not locked for linux/riscv64
      |       image `app` is locked for linux/arm64, which is no longer wanted
      |
    help: run `sandbox-images lock` and commit the result
    "###);
}

#[test]
fn a_digest_was_edited_in_place() {
    let (_registry, project) = project();
    let text = project.lock_text();
    let digest = text.split("digest = \"sha256:").nth(1).unwrap();
    edit(&project.lock_path(), &digest[..64], &"a".repeat(64));
    insta::assert_snapshot!(shows(&project, &["lock-stale", "inconsistent-block"], &["sync", "--frozen"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[lock-stale]: sandbox-images.lock does not match sandbox-images.toml (1 difference)
     --> sandbox-images.toml:4:7
      |
    4 | app = "127.0.0.1:PORT/app:1"
      |       ^^^^^^^^^^^^^^^^^^^^^^^ the lock's block of `app` was edited: its sum does not fit
      |
    help: run `sandbox-images lock` and commit the result
    "###);
}

#[test]
fn a_merge_left_its_markers() {
    let (_registry, project) = project();
    let text = project.lock_text();
    fs::write(project.lock_path(), format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n"))
        .unwrap();
    insta::assert_snapshot!(shows(&project, &["conflict-markers"], &["check"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[conflict-markers]: sandbox-images.lock has conflict markers of a merge
     --> sandbox-images.lock:1:1
      |
    1 | <<<<<<< ours
      | ^^^^^^^^^^^^ a merge left its markers
      |
    help: run `sandbox-images lock`, which understands the markers, and commit the result
    "###);
}

#[test]
fn a_newer_program_wrote_it_and_this_one_may_not() {
    let (_registry, project) = project();
    edit(&project.lock_path(), "revision = 0", "revision = 9");
    insta::assert_snapshot!(shows(&project, &["newer-revision"], &["update"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[newer-revision]: the lock has revision 9, this tool writes revision 0
    help: use a newer sandbox-images to change it
    "###);
    edit(&project.file_path(), "/app:1", "/app:2");
    insta::assert_snapshot!(shows(&project, &["newer-revision"], &["sync", "--locked"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[lock-stale]: sandbox-images.lock does not match sandbox-images.toml (1 difference)
     --> sandbox-images.toml:4:7
      |
    4 | app = "127.0.0.1:PORT/app:2"
      |       ^^^^^^^^^^^^^^^^^^^^^^^ locked for 127.0.0.1:PORT/app:1
      |
    help: the lock has revision 9, this tool writes revision 0: use a newer sandbox-images to change it
    "###);
}

#[test]
fn a_version_that_nobody_knows_yet() {
    let (_registry, project) = project();
    edit(&project.lock_path(), "version = 1", "version = 2");
    insta::assert_snapshot!(shows(&project, &["unknown-version"], &["check"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[unknown-version]: the lock has version 2, this tool reads version 1
     --> sandbox-images.lock:3:11
      |
    3 | version = 2
      |           ^
      |
    help: use the version of sandbox-images that wrote it
    "###);
}

#[test]
fn several_lines_that_no_lock_has() {
    let (_registry, project) = project();
    edit(&project.lock_path(), "media-type = ", "mediatype = ");
    edit(&project.lock_path(), "sum = \"", "sum = 1 # \"");
    insta::assert_snapshot!(shows(&project, &["unknown-key", "missing-key", "wrong-type"], &["check"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[missing-key]: `image.app` has no `media-type`
     --> sandbox-images.lock:6:8
      |
    6 | [image.app]
      |        ^^^
    error[unknown-key]: unknown key `image.app.mediatype`
     --> sandbox-images.lock:9:1
      |
    9 | mediatype = "application/vnd.oci.image.index.v1+json"
      | ^^^^^^^^^
      |
    help: did you mean `media-type`?
    error[wrong-type]: `image.app.sum` is an integer, not a string
      --> sandbox-images.lock:11:7
       |
    11 | sum = 1 # "DIGEST"
       |       ^
    "###);
}

#[test]
fn one_digest_cannot_have_two_sizes() {
    let (_registry, project) = locked(&[&plain("/a 0644 a"), &plain("/a 0644 a")]);
    project.tamper(|app| {
        app.platforms.values_mut().for_each(|platform| platform.layers[1].size += 1);
    });
    insta::assert_snapshot!(shows(&project, &["lock-contradiction"], &["check"]), @r###"
    exit 3
    --- stdout
    --- stderr
    error[lock-contradiction]: sha256:DIGEST has 2048 bytes and 2049 bytes in image `app`
     --> sandbox-images.lock:6:8
      |
    6 | [image.app]
      |        ^^^
      |
    help: take `app` from a commit in which it was right, or remove its block and run `sandbox-images lock`
    "###);
}

#[test]
fn a_block_does_not_say_what_its_manifest_says() {
    let (_registry, project) = project();
    project.tamper(|app| {
        app.platforms.values_mut().for_each(|platform| platform.layers[0].size += 1);
    });
    insta::assert_snapshot!(shows(&project, &["lock-mismatch"], &["sync", "--locked"]), @r###"
    exit 5
    --- stdout
    --- stderr
    error[lock-mismatch]: app: size of layer 1 of image `app` for linux/amd64 is `2048` in `sha256:DIGEST`, the lock says `2049`
    help: find out who changed the image, the mirror or the lock before you lock again
    note: not synced: app (linux/amd64)
    "###);
}
