//! Deleting: what nobody keeps goes, in an order that survives a crash, and nothing else does.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests play the neighbour, the crash and the clock"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use sandbox_images::engine::collect::{Collection, Error, Request, collect, preview};
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::sweep::Limits;
use sandbox_images::store::error::Error as StoreError;
use sandbox_images::store::process::Process;

use super::home::{Home, blob, disk, erofs, layer, patient};
use crate::support::process::run_program;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn gc(home: &Home, now: SystemTime) -> Result<Collection, Error> {
    collect(&home.store, &Request::Everything(Limits::default()), now, patient(), &|_, _| {
        Vec::new()
    })
}

/// Two blobs, a layer and a disk, of which a project wants a blob and the layer. Its lock is nowhere.
fn home() -> Home {
    let home = Home::with(&[
        (blob("a"), b"a".to_vec()),
        (blob("b"), b"b".to_vec()),
        (layer("l"), erofs(1)),
        (disk("d"), b"disk".to_vec()),
    ]);
    put_root(&home, "project/lock", &[blob("a"), layer("l")], now());
    home
}

fn put_root(home: &Home, lock: &str, wanted: &[Artifact], now: SystemTime) {
    let wanted = wanted.iter().copied().collect();
    home.store.put_root(&home.folder.path().join(lock), &wanted, now, patient()).unwrap();
}

fn stored(home: &Home) -> BTreeSet<Artifact> {
    home.store.scan().unwrap().into_keys().collect()
}

#[test]
fn what_nobody_wants_goes_with_file_and_record() {
    let home = home();
    let collection = gc(&home, now()).unwrap();
    assert_eq!(collection.removed().map(|item| item.size_bytes).sum::<u64>(), 5);
    assert_eq!(stored(&home), BTreeSet::from([blob("a"), layer("l")]));
    for gone in [blob("b"), disk("d")] {
        assert!(!home.store.path_of(gone).exists() && !home.record_of(gone).exists());
    }
    assert!(home.store.open(layer("l")).is_ok());
    assert_eq!(gc(&home, now()).unwrap().removed().count(), 0);
    assert_eq!(home.files("v1/tmp"), [] as [PathBuf; 0]);
    assert_eq!(home.files("v1/leases"), [] as [PathBuf; 0]);
}

#[test]
fn a_store_that_does_not_exist_is_not_made() {
    let home = Home::new();
    assert_eq!(gc(&home, now()).unwrap(), Collection::default());
    assert!(!home.store.path().exists());
}

#[test]
fn a_file_without_its_record_is_left_over_and_goes_after_a_day() {
    let home = home();
    fs::remove_file(home.record_of(blob("a"))).unwrap();
    gc(&home, now() + Duration::from_hours(23)).unwrap();
    assert!(home.store.path_of(blob("a")).exists());
    gc(&home, now() + Duration::from_hours(25)).unwrap();
    assert!(!home.store.path_of(blob("a")).exists());
}

#[test]
fn what_is_not_ours_is_never_deleted() {
    let home = home();
    let v1 = home.store.path().join("v1");
    fs::create_dir_all(v1.join("refs")).unwrap();
    fs::create_dir_all(v1.join("f2/layers")).unwrap();
    fs::create_dir_all(v1.join("f2/records/blob")).unwrap();
    fs::create_dir_all(home.store.path().join("v2/blobs")).unwrap();
    let mut foreign = Vec::new();
    for folder in [
        "blobs/sha256",
        "f1/layers/sha256",
        "f1/records/blob",
        "roots",
        "leases",
        "tmp",
        "partial",
        "quarantine",
        "guards",
        "refs",
        "f2/layers",
        "../v2/blobs",
    ] {
        foreign.push(v1.join(folder).join("notes.txt"));
        foreign.push(v1.join(folder).join(HEX.to_uppercase()));
    }
    for file in &foreign {
        fs::write(file, "mine").unwrap();
    }
    // Names of ours, but no files.
    symlink("/etc/passwd", v1.join("partial").join(HEX)).unwrap();
    fs::create_dir(v1.join("blobs/sha256").join(HEX)).unwrap();
    foreign.extend([v1.join("partial").join(HEX), v1.join("blobs/sha256").join(HEX)]);
    // A newer program's blob, whose record is of its format.
    let newer = blob("newer");
    let name = newer.digest().hex();
    fs::write(home.store.path_of(newer), "newer").unwrap();
    fs::write(v1.join(format!("f2/records/blob/{name}.json")), "{}").unwrap();
    foreign.push(home.store.path_of(newer));

    gc(&home, now() + days(20)).unwrap();
    assert_eq!(stored(&home), BTreeSet::from([blob("a"), layer("l")]));
    for file in foreign {
        assert!(file.symlink_metadata().is_ok(), "{} stays", file.display());
    }
}

#[test]
fn what_lies_in_an_artifacts_place_stays_when_its_record_goes() {
    let home = home();
    let place = home.store.path_of(disk("d"));
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    gc(&home, now()).unwrap();
    assert!(place.is_dir() && !home.record_of(disk("d")).exists());
}

/// Checks that a root or lease that `spoil` made unreadable stops every deletion, and is named.
#[track_caller]
fn check_stops(path: impl Fn(&Home) -> PathBuf, spoil: fn(&Path), code: &str) {
    let home = home();
    let path = path(&home);
    spoil(&path);
    let before = stored(&home);
    let error = gc(&home, now() + days(1000)).unwrap_err();
    assert_eq!(error.code(), code);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.help().is_some());
    assert_eq!(stored(&home), before);
    let looked =
        preview(&home.store, &Request::Everything(Limits::default()), now(), &|_| Vec::new());
    assert_eq!(looked.unwrap_err().code(), code);
}

#[test]
fn a_root_that_cannot_be_read_stops_everything() {
    let root = |home: &Home| home.files("v1/roots").remove(0);
    check_stops(root, |path| fs::write(path, "{").unwrap(), "keeper-damaged");
    check_stops(root, |path| fs::write(path, "").unwrap(), "keeper-damaged");
    check_stops(root, |path| fs::write(path, r#"{"version":1}"#).unwrap(), "keeper-damaged");
    check_stops(root, |path| fs::write(path, r#"{"version":2}"#).unwrap(), "keeper-too-new");
    check_stops(
        root,
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "store-unexpected-file",
    );
    check_stops(
        root,
        |path| {
            fs::remove_file(path).unwrap();
            run_program("mkfifo", [path]);
        },
        "store-unexpected-file",
    );
}

#[test]
fn a_lease_that_cannot_be_read_stops_everything() {
    let lease = |home: &Home| home.store.path().join(format!("v1/leases/vm-1-2-3-{HEX}.json"));
    check_stops(lease, |path| fs::write(path, "{").unwrap(), "keeper-damaged");
    check_stops(lease, |path| fs::write(path, r#"{"version":9}"#).unwrap(), "keeper-too-new");
}

#[test]
fn what_is_left_of_downloads_and_damage_goes_when_it_is_old() {
    let home = home();
    let v1 = home.store.path().join("v1");
    fs::create_dir_all(v1.join("refs")).unwrap();
    let leftovers = [
        (7, v1.join("partial").join(HEX)),
        (30, v1.join(format!("quarantine/layer-{HEX}.erofs.12-0-3"))),
        (30, v1.join(format!("refs/{HEX}.json"))),
    ];
    for (kept_days, path) in &leftovers {
        fs::write(path, "left over").unwrap();
        gc(&home, now() + days(*kept_days) - Duration::from_hours(1)).unwrap();
        assert!(path.exists(), "{}", path.display());
        gc(&home, now() + days(*kept_days) + Duration::from_hours(1)).unwrap();
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn a_download_that_is_used_stays_however_old() {
    let home = home();
    let digest = format!("sha256:{HEX}").parse().unwrap();
    let run = home.run();
    let partial = run.partial(digest, 100).unwrap();
    gc(&home, now() + days(365)).unwrap();
    assert!(home.store.path().join("v1/partial").join(HEX).exists());
    drop(partial);
}

#[test]
fn a_run_keeps_what_it_wants_until_it_ends() {
    let home = home();
    let run = home.store.shared().unwrap().begin_run(&[disk("d")], patient()).unwrap();
    gc(&home, now()).unwrap();
    assert_eq!(stored(&home), BTreeSet::from([blob("a"), layer("l"), disk("d")]));
    drop(run);
    gc(&home, now()).unwrap();
    assert_eq!(stored(&home), BTreeSet::from([blob("a"), layer("l")]));
}

#[test]
fn a_process_keeps_what_it_was_given_until_it_ends() {
    let home = home();
    let mut sandbox = Command::new("sleep").arg("600").spawn().unwrap();
    let process = Process::find(sandbox.id()).unwrap().unwrap();
    for _ in 0..2 {
        home.store.lease(&process, &[disk("d")], now(), patient()).unwrap();
    }
    assert_eq!(home.files("v1/leases").len(), 1, "the same lease is written once");
    let missing = home.store.lease(&process, &[disk("other")], now(), patient());
    assert!(matches!(missing, Err(StoreError::Missing { .. })));

    gc(&home, now() + days(3650)).unwrap();
    assert!(stored(&home).contains(&disk("d")));
    sandbox.kill().unwrap();
    sandbox.wait().unwrap();
    gc(&home, now()).unwrap();
    assert!(!stored(&home).contains(&disk("d")));
    assert_eq!(home.files("v1/leases"), [] as [PathBuf; 0]);
}

#[test]
fn a_clock_that_jumps_costs_nothing_that_a_lock_names() {
    let home = home();
    let lock = home.folder.path().join("project/lock");
    fs::create_dir(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "<<<<<<< in the middle of a merge").unwrap();
    put_root(&home, "elsewhere/lock", &[disk("d")], now());
    let partial = home.store.path().join("v1/partial").join(HEX);
    File::create(&partial).unwrap().set_modified(now()).unwrap();

    gc(&home, now() - days(3650)).unwrap();
    assert!(stored(&home).contains(&disk("d")) && partial.exists(), "back: nothing is old");
    gc(&home, now() + days(3650)).unwrap();
    assert_eq!(stored(&home), BTreeSet::from([blob("a"), layer("l")]), "ahead: what has no lock");
    // What was noted by the wrong clock ends nothing by the right one.
    put_root(&home, "elsewhere/lock", &[blob("a")], now() + days(3650));
    gc(&home, now()).unwrap();
    assert_eq!(home.store.roots().unwrap().len(), 2);
}

#[test]
fn who_deletes_waits_and_says_for_how_long() {
    let home = home();
    let guard = home.store.exclusive(patient()).unwrap();
    let hasty = sandbox_images::store::guard::Caller::quiet("gc", Duration::ZERO);
    let error = home.store.exclusive(hasty.clone()).unwrap_err();
    assert_eq!(error.code(), "store-busy");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(home.store.try_exclusive(hasty).unwrap().is_none());
    drop(guard);
    assert!(home.store.try_exclusive(patient()).unwrap().is_some());
}
