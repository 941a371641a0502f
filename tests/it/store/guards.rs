//! Runs, claims and guards: who lives, who waits, and for whom.

#![expect(clippy::disallowed_methods, reason = "these tests play the crash and the neighbour")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use sandbox_images::oci::digest::Digest;
use sandbox_images::store::error::Class;
use sandbox_images::store::guard::{Caller, Waiting};
use sandbox_images::store::ingest::Expected;
use sandbox_images::store::run::Claim;

use super::home::{Home, blob, claim, disk, patient};

#[test]
fn a_dead_run_is_swept_and_a_living_one_is_not() {
    let home = Home::new();
    let living = home.run();
    let mut unfinished = living.ingest(100).unwrap();
    unfinished.write_all(b"half").unwrap();
    let ours = home.files("v1/tmp");
    // What a killed run leaves: its lease is there, and its lock went with the process.
    let [tmp, leases] = ["v1/tmp", "v1/leases"].map(|part| home.store.path().join(part));
    fs::create_dir(tmp.join("99-0")).unwrap();
    fs::write(tmp.join("99-0/0.part"), "half").unwrap();
    fs::write(leases.join("run-99-0.json"), "{}").unwrap();
    // A run that was killed between its lease and its directory, and one whose lease was lost.
    fs::write(leases.join("run-98-7.json"), "").unwrap();
    fs::create_dir(tmp.join("97-1")).unwrap();

    drop(home.run());
    assert_eq!(home.files("v1/tmp"), ours);
    assert_eq!(home.files("v1/leases").len(), 1);
    drop((living, unfinished));
    assert_eq!(home.files("v1/tmp"), [] as [PathBuf; 0]);
    assert_eq!(home.files("v1/leases"), [] as [PathBuf; 0]);
}

#[test]
fn a_run_of_another_process_lives_until_that_process_is_killed() {
    let home = Home::new();
    drop(home.run());
    let theirs = home.store.path().join("v1/tmp/77-0");
    let lease = home.store.path().join("v1/leases/run-77-0.json");
    fs::create_dir(&theirs).unwrap();
    let mut holder = Command::new("flock")
        .arg("--no-fork")
        .arg(&lease)
        .args(["sh", "-c", "echo held; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    let output = holder.stdout.as_mut().unwrap();
    output.read_exact(&mut said).unwrap();

    drop(home.run());
    assert!(theirs.exists() && lease.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    drop(home.run());
    assert!(!theirs.exists() && !lease.exists());
}

#[test]
fn what_is_not_of_a_run_is_never_swept() {
    let home = Home::new();
    drop(home.run());
    let [tmp, leases] = ["v1/tmp", "v1/leases"].map(|part| home.store.path().join(part));
    fs::write(tmp.join("notes.txt"), "not ours").unwrap();
    fs::write(leases.join("vm-1.json"), "not of a run").unwrap();
    drop(home.run());
    assert_eq!(home.files("v1/tmp"), [tmp.join("notes.txt")]);
    assert_eq!(home.files("v1/leases"), [leases.join("vm-1.json")]);
}

#[test]
fn an_unfinished_file_keeps_its_run_alive() {
    let home = Home::new();
    let unfinished = home.run().ingest(1).unwrap();
    drop(home.run());
    assert_eq!(home.files("v1/tmp").len(), 2, "a directory and the file in it");
    drop(unfinished);
    assert_eq!(home.files("v1/tmp"), [] as [PathBuf; 0]);
}

#[test]
fn who_waits_is_told_for_whom_and_finds_the_work_done() {
    let home = Home::new();
    let run = home.run();
    let guard = claim(&run, blob("x"));
    let (told, waits) = mpsc::channel();
    let caller = Caller {
        on_wait: Arc::new(move |waiting: &Waiting| told.send(waiting.clone()).unwrap()),
        ..patient()
    };
    let other = home.store.shared().unwrap().begin_run(&[], caller).unwrap();
    let waiter = thread::spawn(move || matches!(other.claim(blob("x")), Ok(Claim::Present(_))));
    let waiting = waits.recv().unwrap();
    assert_eq!(waiting.what, blob("x").to_string());
    let holder = waiting.holder.unwrap();
    assert_eq!((holder.pid, holder.command.as_str()), (std::process::id(), "sandbox-images sync"));
    let mut ingest = run.ingest(1).unwrap();
    ingest.write_all(b"x").unwrap();
    ingest.commit(guard, Expected::default()).unwrap();
    assert!(waiter.join().unwrap());
}

#[test]
fn many_claim_and_one_makes() {
    let home = Home::new();
    let makers = 8;
    let made: usize = thread::scope(|scope| {
        let make = || {
            let run = home.run();
            match run.claim(disk("d")).unwrap() {
                Claim::Present(_) => 0,
                Claim::Mine(guard) => {
                    let mut ingest = run.ingest(9).unwrap();
                    ingest.write_all(b"text").unwrap();
                    ingest.commit(guard, Expected::default()).unwrap();
                    1
                }
            }
        };
        let threads: Vec<_> = (0..makers).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(made, 1);
}

#[test]
fn an_impatient_caller_gives_up_with_the_name_of_the_holder() {
    let home = Home::new();
    let run = home.run();
    let _guard = run.claim(blob("x")).unwrap();
    let caller = Caller { wait_max: Duration::ZERO, ..patient() };
    let other = home.store.shared().unwrap().begin_run(&[], caller).unwrap();
    let error = other.claim(blob("x")).unwrap_err();
    assert_eq!(error.class(), Class::Busy);
    let pid = std::process::id();
    let what =
        format!("waited 0 s for {}, which process {pid} (`sandbox-images sync`) holds", blob("x"));
    assert_eq!(error.to_string(), what);
}

#[test]
fn guard_files_that_nobody_holds_go_with_the_next_run() {
    let home = Home::new();
    let run = home.run();
    let held = claim(&run, blob("held"));
    let guards = home.store.path().join("v1/guards");
    let file = |name| guards.join(format!("blob-{}", blob(name).digest().hex()));
    fs::write(file("left"), "{}").unwrap();
    fs::write(guards.join("notes"), "not ours").unwrap();
    drop(home.run());
    assert!(!file("left").exists());
    assert!(file("held").exists() && guards.join("notes").exists());
    drop(held);
}

#[test]
fn what_is_kept_of_a_complete_blob_goes_unless_somebody_uses_it() {
    let home = Home::new();
    let run = home.run();
    let [done, used, open] = ["done", "used", "open"].map(Digest::of);
    let kept = |digest: Digest| home.store.path().join("v1/partial").join(digest.hex());
    for digest in [done, used, open] {
        fs::write(kept(digest), "part").unwrap();
    }
    let partial = run.partial(used, 9).unwrap();
    home.store.sweep_remains(&BTreeSet::from([done, used])).unwrap();
    assert!(!kept(done).exists() && kept(used).exists() && kept(open).exists());
    drop(partial);
    home.store.sweep_remains(&BTreeSet::from([used])).unwrap();
    assert!(!kept(used).exists() && kept(open).exists());
}

#[test]
fn a_guard_file_that_was_removed_while_held_is_taken_anew() {
    let home = Home::new();
    let run = home.run();
    let first = run.claim(blob("x")).unwrap();
    let guards = home.store.path().join("v1/guards");
    let file = guards.join(format!("blob-{}", blob("x").digest().hex()));
    fs::remove_file(&file).unwrap();
    let second = run.claim(blob("x")).unwrap();
    assert!(matches!(second, Claim::Mine(_)) && file.exists());
    drop(first);
    assert!(file.exists(), "the first holder leaves the second one's file alone");
    drop(second);
    assert!(!file.exists());
}
