//! Stores that lack something, hold something else, or cannot be used.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use super::scene::{compared, locked, plain, shows, shows_under, synced};
use crate::support::fixture::wait_until;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

/// `sync` for one platform, whatever this machine's own is.
const SYNC: [&str; 3] = ["sync", "--platform", "linux/amd64"];

/// `path` for the same.
const PATH: [&str; 4] = ["path", "app", "--platform", "linux/amd64"];

fn small() -> (TestRegistry, Project) {
    locked(&[&plain("/etc/motd 0644 hello")])
}

/// The only artifact of a kind in a store.
fn only(project: &Project, kind: &str) -> PathBuf {
    let [name] = &project.stored(kind)[..] else { panic!("one artifact in `{kind}`") };
    project.store().join("v1/f1").join(kind).join("sha256").join(name)
}

#[test]
fn what_was_never_synced() {
    let (_registry, project) = small();
    insta::assert_snapshot!(shows(&project, &["artifact-missing"], &PATH), @r###"
    exit 4
    --- stdout
    --- stderr
    error[artifact-missing]: disk sha256:DIGEST is not in the store
    help: run `sandbox-images sync`
    "###);
    let frozen = [&SYNC[..], &["--frozen"]].concat();
    let frozen = shows(&project, &["not-in-sync"], &frozen);
    insta::assert_snapshot!(frozen, @r###"
    exit 4
    --- stdout
    --- stderr
    error[not-in-sync]: the store is not in sync: 4 artifacts missing, 3210 bytes to fetch
                        blob sha256:DIGEST of app, 491 bytes
                        blob sha256:DIGEST of app, 397 bytes
                        blob sha256:DIGEST of app, 274 bytes
                        layer sha256:DIGEST of app, 2048 bytes
    help: run `sandbox-images sync` with a network, or bring the store of a host that has one
    note: not synced: app (linux/amd64)
    "###);
    let check = [&SYNC[..], &["--check"]].concat();
    let check = shows(&project, &["not-in-sync"], &check);
    let only_here: Vec<&str> = check.lines().filter(|line| !frozen.contains(line)).collect();
    assert_eq!(
        only_here.iter().map(|line| line.trim_start()).collect::<Vec<_>>(),
        [
            "error[not-in-sync]: the store is not in sync: 6 artifacts missing, 3210 bytes to fetch",
            "fsmeta sha256:DIGEST of app",
            "disk sha256:DIGEST of app",
        ],
        "`--check` counts what is built, too"
    );
    assert!(!check.contains("not synced"), "{check}");
}

#[test]
fn a_disk_that_was_cut() {
    let (_registry, project) = synced();
    let disk = only(&project, "disks");
    fs::remove_file(&disk).unwrap();
    fs::write(&disk, "# Disk").unwrap();
    insta::assert_snapshot!(shows(&project, &["artifact-damaged"], &PATH), @r###"
    exit 5
    --- stdout
    --- stderr
    error[artifact-damaged]: disk sha256:DIGEST at `DIR/store/v1/f1/disks/sha256/DIGEST.vmdk` is damaged: it has 6 bytes, its record says 491
    help: run `sandbox-images sync` with a network: what is damaged is made again
    "###);
}

#[test]
fn a_directory_of_the_store_that_is_a_file() {
    let (_registry, project) = small();
    fs::create_dir_all(project.store().join("v1")).unwrap();
    fs::write(project.store().join("v1/blobs"), "").unwrap();
    insta::assert_snapshot!(shows(&project, &["store-unexpected-file"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[store-unexpected-file]: app: `DIR/store/v1/blobs` is a regular file, not a directory
    help: move it away, or choose another place with `--store`
    "###);
}

#[test]
fn a_store_that_somebody_collects() {
    let (_registry, project) = synced();
    fs::remove_file(only(&project, "disks")).unwrap();
    let guard = File::open(project.store().join("v1/guards/store")).unwrap();
    flock(&guard, FlockOperation::LockExclusive).unwrap();
    let arguments = [&SYNC[..], &["--wait-timeout", "0s"]].concat();
    insta::assert_snapshot!(shows(&project, &["store-busy"], &arguments), @r###"
    exit 7
    --- stdout
    --- stderr
    error[store-busy]: app: waited 0 s for the store, which another process holds
    help: wait for it to end, or raise `--wait-timeout`
    "###);
}

#[test]
fn a_disk_that_takes_no_file_at_all() {
    let (_registry, project) = small();
    let script = "trap '' XFSZ; ulimit -f 0";
    insta::assert_snapshot!(shows_under(&project, &["store-io"], script, &SYNC), @r"
    exit 1
    --- stdout
    --- stderr
    error[store-io]: app: cannot write `DIR/store/v1/leases/run-PROCESS`: File too large (os error 27)
    help: see what the system says about that disk or file, then run the command again
    ");
}

/// Ends the program while it waits for an answer that never comes.
fn interrupted(
    project: &Project,
    registry: &TestRegistry,
    arguments: &[&str],
    signal: Signal,
) -> Ran {
    registry.clear_requests();
    let mut command = project.unbounded(arguments);
    let child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("a request came", || !registry.requests().is_empty());
    kill_process(Pid::from_child(&child), signal).unwrap();
    let ended = child.wait_with_output().unwrap();
    Ran {
        code: ended.status.code().unwrap_or(-1),
        stdout: String::from_utf8(ended.stdout).unwrap(),
        stderr: String::from_utf8(ended.stderr).unwrap(),
    }
}

#[test]
fn somebody_ends_the_run() {
    let (registry, project) = small();
    registry.fault(Fault::on("/v2/", Effect::Silence));
    let json = [&SYNC[..], &["--json"]].concat();
    let people = interrupted(&project, &registry, &SYNC, Signal::INT);
    let programs = interrupted(&project, &registry, &json, Signal::INT);
    let told = compared(&project, &["interrupted"], &people, &programs);
    insta::assert_snapshot!(told, @r"
    exit 130
    --- stdout
    --- stderr
    error[interrupted]: interrupted; the store is consistent
    help: run the command again: it goes on where this one stopped
    ");
    let people = interrupted(&project, &registry, &SYNC, Signal::TERM);
    let programs = interrupted(&project, &registry, &json, Signal::TERM);
    let terminated = compared(&project, &["interrupted"], &people, &programs);
    assert_eq!(terminated, told.replace("exit 130", "exit 143"));
}
