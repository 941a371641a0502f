//! What only a caller of the library can show: what a failed `fsync` does within a run, and what a collection
//! does a month later.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sandbox_images::engine::collect::{Error, Fate, Request, collect};
use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::sweep::Limits;
use sandbox_images::store::Store;
use sandbox_images::store::failpoint::edges::{EDGES, Edge};
use sandbox_images::store::failpoint::trap::{Trap, arm, passed};
use sandbox_images::store::guard::Caller;
use sandbox_images::store::run::Claim;

/// Traps and counts are those of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn caller() -> Caller {
    Caller::quiet("test", Duration::from_secs(5))
}

/// The failpoints that a collection passes when what lies in quarantine, and what was pulled, is a month old.
pub(crate) fn passed_in_a_late_collection() -> BTreeSet<String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    store.shared().unwrap();
    let name = format!("layer-{}.erofs.1-0-1", Digest::of("damaged").hex());
    let damaged = folder.path().join("v1/quarantine").join(name);
    fs::write(&damaged, "damaged").unwrap();
    let pulled = folder.path().join(format!("v1/refs/{}.json", Digest::of("pulled").hex()));
    fs::write(&pulled, "pulled").unwrap();
    let later = SystemTime::now() + Duration::from_hours(24 * 31);
    arm(None);
    let withdraw = |_: &_, _: &_| Vec::new();
    collect(&store, &Request::Everything(Limits::default()), later, caller(), &withdraw).unwrap();
    assert!(!damaged.exists() && !pulled.exists());
    passed().into_keys().map(str::to_owned).collect()
}

#[test]
fn what_a_collection_could_not_remove_stays_and_the_rest_goes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (trap, removed, message) in [
        ("record-unlink:eio:2", 2, "2 of 3 files removed, the rest stays for another time"),
        ("artifact-unlink:enospc:3", 2, "2 of 3 files removed, the rest stays for another time"),
        ("record-fsync:eio", 0, "nothing was removed of 3 files"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let artifacts = ["a", "b", "c"].map(|text| Artifact::Blob(Digest::of(text)));
        let run = store.shared().unwrap().begin_run(&artifacts, caller()).unwrap();
        for (artifact, text) in artifacts.iter().zip(["a", "b", "c"]) {
            let Claim::Mine(guard) = run.claim(*artifact).unwrap() else { panic!("it is there") };
            run.commit_bytes(guard, text.as_bytes()).unwrap();
        }
        drop(run);
        let gc = || {
            let (request, now) = (Request::Everything(Limits::default()), SystemTime::now());
            collect(&store, &request, now, caller(), &|_, _| Vec::new())
        };
        arm(Some(trap.parse().unwrap()));
        let error = gc().unwrap_err();
        arm(None);
        assert_eq!(error.to_string(), message, "{trap}");
        let Error::Incomplete { collection, .. } = error else { panic!("{trap}: {error}") };
        assert_eq!(collection.removed().count(), removed, "{trap}");
        let left = collection.items.iter().filter(|item| item.fate == Fate::Left).count();
        assert_eq!(left, 3 - removed, "{trap}");
        gc().unwrap();
        assert_eq!(names(folder.path(), "f1/records/blob"), 0, "{trap}");
    }
}

/// The names in a directory of the store.
fn names(store: &Path, folder: &str) -> usize {
    fs::read_dir(store.join("v1").join(folder)).unwrap().count()
}

#[test]
fn a_trap_is_an_id_an_effect_and_perhaps_a_number() {
    for text in ["root-rename:eio:3", "part-write:abort", "guard-open:enospc"] {
        assert!(text.parse::<Trap>().is_ok(), "{text}");
    }
    for text in
        ["", "root-rename", "root-rename:rot", "x:eio", "part-write:eio:0", "part-write:eio:1:1"]
    {
        let error = text.parse::<Trap>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is no ")), "{error}");
    }
}

#[test]
fn every_edge_has_its_own_id_and_its_own_step() {
    for (index, edge) in EDGES.iter().enumerate() {
        let is_same = |other: &&Edge| {
            other.id == edge.id || (other.step, other.place) == (edge.step, edge.place)
        };
        assert_eq!(EDGES[index + 1..].iter().find(is_same).map(|other| other.id), None);
    }
}

#[test]
fn a_failed_fsync_loses_the_file_and_is_not_tried_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let artifact = Artifact::Blob(Digest::of("bytes"));
    // Of the file, of its name, of the record, of the record's name.
    for (trap, id, tries) in [
        ("part-fdatasync:eio:1", "part-fdatasync", 1),
        ("artifact-fsync:eio:1", "artifact-fsync", 1),
        ("part-fdatasync:eio:2", "part-fdatasync", 2),
        ("record-fsync:eio:1", "record-fsync", 1),
    ] {
        let run = store.shared().unwrap().begin_run(&[artifact], caller()).unwrap();
        let Claim::Mine(guard) = run.claim(artifact).unwrap() else { panic!("it is not there") };
        arm(Some(trap.parse().unwrap()));
        let error = run.commit_bytes(guard, b"bytes").unwrap_err();
        assert_eq!(error.code(), "store-io", "{trap}: {error}");
        assert_eq!(passed()[id], tries, "{trap}: it was tried again");
        arm(None);

        assert!(store.inventory([artifact]).unwrap().is_empty(), "{trap}: it was announced");
        assert_eq!(names(folder.path(), "f1/records/blob"), 0, "{trap}");
        drop(run);
        assert_eq!((names(folder.path(), "tmp"), names(folder.path(), "leases")), (0, 0));
    }
}

#[test]
fn a_root_whose_name_is_not_certain_to_last_still_keeps() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let (store, lock) = (Store::at(folder.path().join("store")), folder.path().join("a.lock"));
    let now = SystemTime::now();
    let wants = |name: &str| BTreeSet::from([Artifact::Blob(Digest::of(name))]);
    store.put_root(&lock, &wants("old"), now, caller()).unwrap();
    arm(Some("root-fsync:eio".parse().unwrap()));
    store.put_root(&lock, &wants("new"), now, caller()).unwrap_err();
    arm(None);
    let roots = store.roots().unwrap();
    assert_eq!(roots.len(), 1, "whoever collects now finds a root");
    assert_eq!(roots[0].wanted, wants("new"));
}
