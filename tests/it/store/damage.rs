//! A store that was damaged: what is found, what is served, and how it heals.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests play the vandal, and their helpers fail as tests do"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::store::error::{Class, Damage};
use sandbox_images::store::ingest::Expected;
use sandbox_images::store::run::Claim;
use sandbox_images::store::verify::Told;

use super::home::{Home, blob, disk, erofs, layer, put};

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Lets `damage` have its way with the file and the record of a layer, and expects `verify` to put it
/// into `class`, and a quick look to find it if `verify` is not needed for that.
#[track_caller]
fn check(class: &str, seen_at_once: bool, damage: impl Fn(&Path, &Path)) {
    let home = Home::with(&[(layer("bad"), erofs(1)), (layer("good"), erofs(2))]);
    let file = home.store.path_of(layer("bad"));
    for path in [&file, &home.record_of(layer("bad"))] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    damage(&file, &home.record_of(layer("bad")));

    let wanted = BTreeSet::from([layer("bad"), layer("good")]);
    let report = home.store.verify(&wanted, TWO, &|_| {}).unwrap();
    let classes =
        |artifact| report.verdicts[&artifact].as_ref().map_or_else(Damage::class, |_| "ok");
    assert_eq!((classes(layer("bad")), classes(layer("good"))), (class, "ok"));
    assert!(!report.is_clean());

    let present = home.store.inventory(wanted.iter().copied()).unwrap();
    assert_eq!(present.contains(&layer("bad")), !seen_at_once);
    heals(&home, layer("bad"), &erofs(1));
}

/// A run that found the damage makes the artifact again, and then all is well.
fn heals(home: &Home, artifact: Artifact, bytes: &[u8]) {
    let run = home.run();
    let Claim::Mine(guard) = run.claim_damaged(artifact).unwrap() else {
        panic!("what is damaged is not present");
    };
    drop(guard);
    put(&run, artifact, bytes, Expected::default()).unwrap();
    assert!(home.store.verify_all(TWO, &|_| {}).unwrap().is_clean());
    assert!(matches!(run.claim_damaged(artifact).unwrap(), Claim::Present(_)));
}

fn flip(path: &Path, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

fn resize(path: &Path, size_bytes: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(size_bytes).unwrap();
}

fn replace(path: &Path, make: impl Fn(&Path)) {
    fs::remove_file(path).unwrap();
    make(path);
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn changed_bytes_are_found() {
    check("digest", false, |file, _| flip(file, 3 * 4096 - 1));
    check("digest", true, |file, _| flip(file, 2048));
    check("digest", true, |file, _| {
        resize(file, 0);
        resize(file, 3 * 4096);
    });
}

#[test]
fn changed_sizes_are_found() {
    check("size", true, |file, _| resize(file, 3 * 4096 - 1));
    check("size", true, |file, _| resize(file, 3 * 4096 + 1));
    check("size", true, |file, _| resize(file, 0));
}

#[test]
fn what_is_gone_is_found() {
    check("missing", true, |file, _| fs::remove_file(file).unwrap());
    check("missing", true, |_, record| {
        fs::remove_file(record).unwrap();
    });
}

#[test]
fn what_is_no_file_is_found_and_never_opened() {
    check("unexpected", true, |file, _| {
        let elsewhere = file.with_extension("elsewhere");
        fs::rename(file, &elsewhere).unwrap();
        symlink(elsewhere, file).unwrap();
    });
    check("unexpected", true, |file, _| replace(file, fifo));
    check("unexpected", true, |file, _| {
        replace(file, |path| {
            fs::create_dir_all(path.join("inside")).unwrap();
        });
    });
}

#[test]
fn damaged_records_are_found() {
    check("unreadable", true, |_, record| resize(record, 20));
    check("unreadable", true, |_, record| {
        fs::write(record, "{\"version\":9}").unwrap();
    });
    check("unreadable", true, |_, record| resize(record, 1 << 20));
    check("unreadable", true, |_, record| replace(record, fifo));
    check("unreadable", true, |_, record| {
        replace(record, |path| fs::create_dir(path).unwrap());
    });
    check("unreadable", true, |_, record| {
        replace(record, |path| symlink("/dev/zero", path).unwrap());
    });
}

#[test]
fn what_was_damaged_is_kept_in_quarantine() {
    let home = Home::with(&[(disk("d"), b"text".to_vec())]);
    let file = home.store.path_of(disk("d"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "tent").unwrap();
    heals(&home, disk("d"), b"text");
    let kept = home.files("v1/quarantine");
    assert_eq!(kept.len(), 2, "the file and its record");
    assert!(kept.iter().any(|path| fs::read(path).unwrap() == b"tent"));
}

#[test]
fn a_blob_is_served_with_the_bytes_of_its_name_or_not_at_all() {
    let home = Home::with(&[(blob("hello"), b"hello".to_vec())]);
    let limit = home.store.read_blob(Digest::of("hello"), 4).unwrap_err();
    assert_eq!(limit.code(), "too-large");
    let file = home.store.path_of(blob("hello"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    flip(&file, 2);
    let error = home.store.read_blob(Digest::of("hello"), 5).unwrap_err();
    assert_eq!(error.class(), Class::Integrity);
    let text = format!("{} at `{}` is damaged", blob("hello"), file.display());
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_file_without_a_record_does_not_exist_and_is_replaced() {
    let home = Home::with(&[(layer("l"), erofs(1))]);
    fs::remove_file(home.record_of(layer("l"))).unwrap();
    assert!(home.store.inventory([layer("l")]).unwrap().is_empty());
    put(&home.run(), layer("l"), &erofs(2), Expected::default()).unwrap();
    assert_eq!(fs::read(home.store.path_of(layer("l"))).unwrap(), erofs(2));
    assert!(home.files("v1/quarantine").is_empty());
}

#[test]
fn foreign_files_are_ignored() {
    let home = Home::with(&[(disk("d"), b"text".to_vec())]);
    let records = home.record_of(disk("d"));
    let records = records.parent().unwrap();
    fs::write(records.join("README"), "not ours").unwrap();
    fs::write(records.join("../../../blobs/sha256/zz.json"), "not ours").unwrap();
    fs::write(home.store.path().join("v0"), "an older layout").unwrap();
    let report = home.store.verify_all(TWO, &|_| {}).unwrap();
    assert_eq!(report.verdicts.keys().copied().collect::<Vec<_>>(), [disk("d")]);
    assert!(report.is_clean());
}

#[test]
fn a_path_that_is_no_directory_is_refused_by_name() {
    let home = Home::new();
    fs::write(home.store.path(), "a file").unwrap();
    for error in [home.store.scan().unwrap_err(), home.store.shared().unwrap_err()] {
        assert_eq!(error.code(), "store-unexpected-file");
        let text =
            format!("`{}` is a file or below one, not a directory", home.store.path().display());
        assert_eq!(error.to_string(), text);
        assert!(error.help().is_some());
    }
}

#[test]
fn a_directory_of_the_layout_that_leads_elsewhere_is_refused() {
    let home = Home::with(&[(disk("d"), b"text".to_vec())]);
    let disks = home.store.path_of(disk("d")).parent().unwrap().to_owned();
    let elsewhere = disks.with_extension("elsewhere");
    fs::rename(&disks, &elsewhere).unwrap();
    symlink(&elsewhere, &disks).unwrap();
    for error in [home.store.scan().unwrap_err(), home.store.shared().unwrap_err()] {
        let text = format!("`{}` is a symbolic link, not a directory", disks.display());
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn verify_tells_of_each_artifact_once_whatever_the_number_of_threads() {
    let artifacts: Vec<(Artifact, Vec<u8>)> =
        (0..20).map(|number| (disk(&number.to_string()), vec![b'x'; number])).collect();
    let home = Home::with(&artifacts);
    let mut reports = BTreeSet::new();
    for threads in [1, 3, 64] {
        let told = Mutex::new(BTreeMap::new());
        let (planned, read) = (AtomicU64::new(0), AtomicU64::new(0));
        let tell = |step: Told<'_>| match step {
            Told::Begun { size_bytes } => planned.store(size_bytes, Ordering::Relaxed),
            Told::Read(bytes) => drop(read.fetch_add(bytes, Ordering::Relaxed)),
            Told::Known(artifact, _) => *told.lock().unwrap().entry(artifact).or_insert(0) += 1,
        };
        let threads = NonZeroUsize::new(threads).unwrap();
        let report = home.store.verify_all(threads, &tell).unwrap();
        assert_eq!((planned.into_inner(), read.into_inner()), (190, 190));
        assert!(told.into_inner().unwrap().into_values().all(|times| times == 1));
        assert!(report.is_clean());
        reports.insert(report.verdicts.into_keys().collect::<Vec<_>>());
    }
    assert_eq!(reports.into_iter().map(|names| names.len()).collect::<Vec<_>>(), [20]);
}
