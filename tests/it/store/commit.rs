//! Adding to a store and reading from it: what becomes visible, when, and with which marks.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use sandbox_images::disk::file::{BlockFile as _, ReadAt as _};
use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::store::Store;
use sandbox_images::store::content::ContentDigest;
use sandbox_images::store::error::{Class, Error};
use sandbox_images::store::ingest::Expected;

use super::home::{Home, blob, claim, erofs, layer, patient, put};

#[test]
fn a_commit_makes_an_artifact_visible_and_nothing_else_does() {
    let home = Home::new();
    let run = home.run();
    let guard = claim(&run, blob("hello"));
    let mut ingest = run.ingest(5).unwrap();
    ingest.write_all(b"hello").unwrap();
    assert!(home.store.inventory([blob("hello")]).unwrap().is_empty());
    assert!(!home.store.path_of(blob("hello")).exists());

    let record = ingest.commit(guard, Expected::default()).unwrap();
    assert_eq!((record.size_bytes, record.content), (5, Digest::of("hello").into()));
    assert_eq!(home.store.inventory([blob("hello")]).unwrap(), BTreeSet::from([blob("hello")]));
    assert_eq!(home.store.read_blob(Digest::of("hello"), 5).unwrap(), b"hello");
    drop(run);
    assert_eq!(home.files("v1/tmp"), [] as [PathBuf; 0]);
    assert_eq!(home.files("v1/leases"), [] as [PathBuf; 0]);
    assert_eq!(home.files("v1/quarantine"), [] as [PathBuf; 0]);
    assert_eq!(home.files("v1/guards"), [home.store.path().join("v1/guards/store")]);
}

#[test]
fn what_is_wrong_never_gets_a_name() {
    let home = Home::new();
    let run = home.run();
    let before = home.files("v1/blobs");
    let wrong_digest = put(&run, blob("hello"), b"hullo", Expected::default()).unwrap_err();
    let [hello, other] = ["hello", "hullo"].map(Digest::of);
    assert_eq!(wrong_digest.to_string(), format!("blob {hello} has digest {other}, not {hello}"));
    let six = Expected { size_bytes: Some(6), digest: None };
    let wrong_size = put(&run, blob("hello"), b"hello", six).unwrap_err();
    assert_eq!(wrong_size.to_string(), format!("blob {hello} has 5 bytes, not 6"));
    let named = Expected { size_bytes: None, digest: Some(hello) };
    let wrong_image = put(&run, layer("x"), &erofs(1), named).unwrap_err();
    for error in [wrong_digest, wrong_size, wrong_image] {
        assert_eq!(error.class(), Class::Integrity);
    }
    assert_eq!(home.files("v1/blobs"), before);
    assert!(home.store.scan().unwrap().is_empty());

    put(&run, blob("hello"), b"hello", Expected::default()).unwrap();
    assert!(home.store.scan().unwrap().contains_key(&blob("hello")));
}

#[test]
fn a_file_never_grows_beyond_its_limit() {
    let home = Home::new();
    let mut ingest = home.run().ingest(4).unwrap();
    ingest.write_all(b"four").unwrap();
    assert!(matches!(ingest.append(b"!"), Err(Error::TooLarge { limit: 4, .. })));
    assert!(ingest.write_at(u64::MAX, b"!").is_err());
    assert!(ingest.set_len(5).is_err());
}

#[test]
fn a_sparse_file_is_recorded_with_the_digest_of_all_its_bytes() {
    let home = Home::new();
    let run = home.run();
    let mut image = erofs(3);
    image.resize(40 << 20, 0);
    image[20 << 20] = 9;
    let guard = claim(&run, layer("sparse"));
    let mut ingest = run.ingest(u64::MAX).unwrap();
    ingest.set_len(40 << 20).unwrap();
    ingest.write_at(20 << 20, &[9]).unwrap();
    ingest.write_at(0, &image[..3 * 4096]).unwrap();
    let mut back = [0];
    ingest.read_at(20 << 20, &mut back).unwrap();
    assert_eq!(back, [9]);
    let record = ingest.commit(guard, Expected::default()).unwrap();
    let content = ContentDigest::Blake3(blake3::hash(&image));
    assert_eq!((record.size_bytes, record.content, record.sha256), (40 << 20, content, None));
    let stored = home.store.open(layer("sparse")).unwrap();
    stored.read_at(20 << 20, &mut back).unwrap();
    assert_eq!((back, stored.size_bytes().unwrap()), ([9], 40 << 20));
    let file = fs::metadata(stored.path()).unwrap();
    assert!(file.blocks() * 512 < 1 << 20, "the holes are still holes");
}

#[test]
fn modes_are_what_the_layout_says() {
    let home = Home::with(&[(blob("b"), b"b".to_vec()), (layer("l"), erofs(1))]);
    let lock = home.folder.path().join("sandbox-images.lock");
    home.store
        .put_root(&lock, &BTreeSet::from([blob("b")]), SystemTime::UNIX_EPOCH, patient())
        .unwrap();
    let run = home.run();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(home.store.path()), 0o755);
    let mut seen = BTreeSet::new();
    for path in home.files("") {
        let name = path.strip_prefix(home.store.path()).unwrap().to_str().unwrap();
        let expected = match name {
            _ if path.is_dir() => 0o755,
            _ if name.starts_with("v1/blobs") || name.starts_with("v1/f1") => 0o444,
            _ => 0o644,
        };
        assert_eq!(mode(&path), expected, "{name}");
        seen.insert(expected);
    }
    assert_eq!(seen.len(), 3);
    drop(run);
}

#[test]
fn the_umask_has_no_say() {
    let test = "store::commit::modes_are_what_the_layout_says";
    for umask in ["000", "0777"] {
        let output = Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" --exact {test}")])
            .arg(std::env::current_exe().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{umask}: {said}");
    }
}

#[test]
fn a_root_is_written_when_something_changed() {
    let home = Home::new();
    let lock = home.folder.path().join("sandbox-images.lock");
    let day = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days);
    let put = |wanted: &[Artifact], now| {
        let wanted = wanted.iter().copied().collect();
        home.store.put_root(&lock, &wanted, now, patient()).unwrap();
        let roots = home.files("v1/roots");
        assert_eq!(roots.len(), 1);
        (fs::metadata(&roots[0]).unwrap().ino(), fs::read_to_string(&roots[0]).unwrap())
    };
    let first = put(&[blob("a")], day(100));
    assert!(first.1.contains(lock.to_str().unwrap()) && first.1.contains(&blob("a").to_string()));
    assert_eq!(put(&[blob("a")], day(100)), first);
    let seen_again = put(&[blob("a")], day(102));
    assert_ne!(seen_again.1, first.1);
    let changed = put(&[blob("b")], day(102));
    assert!(changed.1.contains("\"since\": 8812800"), "{}", changed.1);
}

#[test]
fn a_damaged_root_is_replaced() {
    let home = Home::new();
    let lock = home.folder.path().join("sandbox-images.lock");
    let wanted = BTreeSet::from([blob("a")]);
    let put = |days: u64| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * days);
        home.store.put_root(&lock, &wanted, now, patient()).unwrap();
        home.files("v1/roots").remove(0)
    };
    let root = put(1);
    let good = fs::read(&root).unwrap();
    for size_bytes in [0, 30, 1 << 30] {
        let file = fs::File::options().write(true).open(&root).unwrap();
        file.set_len(size_bytes).unwrap();
        put(1);
        assert_eq!(fs::read(&root).unwrap(), good, "cut to {size_bytes} bytes");
    }
}

#[test]
fn reading_an_absent_store_makes_nothing() {
    let home = Home::new();
    let store = &home.store;
    assert!(store.inventory([blob("x"), layer("y")]).unwrap().is_empty());
    assert!(store.scan().unwrap().is_empty());
    let error = store.read_blob(Digest::of("x"), 10).unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::Missing, "artifact-missing"));
    store.touch(blob("x"), SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 0);
}

#[test]
fn the_last_use_is_noted_once_a_day() {
    let home = Home::with(&[(blob("x"), b"x".to_vec())]);
    let noted = || fs::metadata(home.record_of(blob("x"))).unwrap().modified().unwrap();
    let committed = noted();
    home.store.touch(blob("x"), committed + Duration::from_hours(23)).unwrap();
    assert_eq!(noted(), committed);
    let later = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 80);
    home.store.touch(blob("x"), later).unwrap();
    assert_eq!(noted(), later);
    home.store.touch(blob("x"), SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(noted(), SystemTime::UNIX_EPOCH, "a clock that was ahead is forgotten");
}

#[test]
fn a_store_is_made_where_its_path_says_whatever_the_bytes_of_it() {
    let home = Home::new();
    let name = OsStr::from_bytes(b"a/\xff b/store");
    let store = Store::at(home.folder.path().join(name));
    drop(store.shared().unwrap().begin_run(&[], patient()).unwrap());
    let tag = fs::read_to_string(store.path().join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}
