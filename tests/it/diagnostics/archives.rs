//! Images from archives, and digests of artifacts in the lock.

use std::fs;

use sandbox_images::oci::digest::Digest;

use super::scene::{plain, shows, synced};
use crate::support::archive::{docker_entries, write};
use crate::support::fixture::project_naming;
use crate::support::image::{Family, Image};
use crate::support::project::Project;

const SYNC: [&str; 3] = ["sync", "--platform", "linux/amd64"];

/// Writes `app.tar`, which holds one image of one file.
fn save(project: &Project, lines: &str) {
    let image = Image::single(Family::Oci, "linux/amd64", &[&plain(lines)]);
    write(&project.directory().join("app.tar"), &docker_entries(&[(&["app:1"], &image)]));
}

fn saved() -> Project {
    let project = project_naming(&[("app", "docker-archive:./app.tar")]);
    save(&project, "/a 0644 a");
    project
}

#[test]
fn an_archive_that_was_cut_short() {
    let project = saved();
    let path = project.directory().join("app.tar");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    insta::assert_snapshot!(shows(&project, &["archive"], &["lock"]), @r"
    exit 1
    --- stdout
    --- stderr
    error[archive]: app: entry `DIGEST.tar` of `./app.tar` is cut short by the end of the archive
    ");
}

#[test]
fn an_archive_that_was_made_again() {
    let project = saved();
    project.run(&["lock"]).exits(0);
    save(&project, "/a 0644 b");
    insta::assert_snapshot!(shows(&project, &["archive-changed"], &SYNC), @r"
    exit 1
    --- stdout
    --- stderr
    error[archive-changed]: app: `./app.tar` does not hold `sha256:DIGEST`; its image has the manifest `sha256:DIGEST`
    help: bring the archive back that was locked, or move the pin with `sandbox-images update`
    error[archive-changed]: app: `./app.tar` does not hold `sha256:DIGEST`; its image has the manifest `sha256:DIGEST`
    help: bring the archive back that was locked, or move the pin with `sandbox-images update`
    note: not synced: app (linux/amd64)
    ");
}

#[test]
fn a_lock_without_digests_of_artifacts() {
    let (_registry, project) = synced();
    let arguments = ["lock", "--check", "--artifacts"];
    insta::assert_snapshot!(shows(&project, &["artifact-digests"], &arguments), @r"
    exit 3
    --- stdout
    --- stderr
    error[artifact-digests]: the lock has no digests of artifacts
    help: run `sandbox-images lock --artifacts` and commit the result
    ");
}

#[test]
fn digests_of_a_format_that_this_tool_does_not_write() {
    let (_registry, project) = synced();
    project.run(&["lock", "--artifacts"]).exits(0);
    let text = project.lock_text().replace("artifact-format = 1", "artifact-format = 9");
    fs::write(project.lock_path(), text).unwrap();
    insta::assert_snapshot!(shows(&project, &["artifact-format"], &SYNC), @r"
    exit 3
    --- stdout
    --- stderr
    error[artifact-format]: the lock has digests of artifacts in format 9, this tool writes format 1
    help: use the sandbox-images that wrote it, or write the lock anew with `lock --artifacts` or `--no-artifacts`
    ");
}

#[test]
fn another_digest_than_that_of_what_is_built() {
    let (_registry, project) = synced();
    project.run(&["lock", "--artifacts"]).exits(0);
    project.tamper(|app| {
        for platform in app.platforms.values_mut() {
            platform.layers[0].erofs = Some(Digest::of("another image"));
        }
    });
    insta::assert_snapshot!(shows(&project, &["artifact-mismatch"], &SYNC), @r"
    exit 5
    --- stdout
    --- stderr
    error[artifact-mismatch]: app: layer sha256:DIGEST is the file `sha256:DIGEST`, the lock says `sha256:DIGEST`
    help: `sandbox-images verify --repair` makes the file again; if it is the same, find out whether the lock was edited or is of another build of this tool
    note: not synced: app (linux/amd64)
    ");
}
