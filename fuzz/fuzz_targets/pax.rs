//! Any bytes as the body of a PAX header before an entry, compared with a second reader.
//!
//! * A header whose framing is wrong is refused; so is a global one, which says nothing otherwise.
//! * In what is accepted the last record of a key counts, an empty one takes it back, and attributes are
//!   kept byte for byte.
//! * Keys without a meaning change nothing, whatever their values.
//! * The header is about the next entry only.
//! * All that `layer_tar` promises.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_images::layer::entry::Entry;
use sandbox_images::layer::limits::Limits;
use sandbox_images_fuzz::archive::Archive;
use sandbox_images_fuzz::events::{Cuts, Outcome, read, seed_of};
use sandbox_images_fuzz::pax::{Said, body, records};

/// Keys that are read.
const MEANT: [&str; 8] =
    ["path", "linkpath", "size", "uid", "gid", "mtime", "SCHILY.xattr.", "GNU.sparse."];

/// Records that are always few enough.
const FEW: usize = 1024;

fuzz_target!(|input: &[u8]| {
    let body = body(input);
    let records = records(&body);
    let local = read_behind(b'x', &body);
    let global = read_behind(b'g', &body);
    let Some(records) = records else {
        assert!(local.result.is_err() && global.result.is_err(), "the framing is wrong");
        return;
    };
    assert_eq!(global.result.is_ok(), records.len() <= FEW);
    if global.result.is_ok() {
        let plain = read_behind(b'g', b"");
        assert_eq!(without_places(global), without_places(plain), "a global header says nothing");
    }
    let said = Said::by(&records);
    if !said.has(&MEANT) && records.len() <= FEW {
        assert_eq!(local.result, Ok(()));
    }
    if local.result.is_ok() {
        check(&local, &said);
    }
});

/// A file `name` behind an extension header, and a file `next`.
fn read_behind(typeflag: u8, body: &[u8]) -> Outcome {
    let tar = Archive::default()
        .entry(typeflag, b"header", body)
        .entry(b'0', b"name", b"hello")
        .entry(b'0', b"next", b"1")
        .end();
    let mut limits = Limits::default();
    limits.extension_bytes_max = u64::MAX;
    let whole = read(&tar, &limits, Cuts::new(0));
    assert_eq!(read(&tar, &limits, Cuts::new(seed_of(body) | 1)), whole);
    whole
}

/// The entries alone, wherever they start.
fn without_places(outcome: Outcome) -> Vec<Entry> {
    let entries = outcome.found.into_iter().map(|found| found.entry);
    entries.map(|entry| Entry { offset_bytes: 0, ..entry }).collect()
}

fn check(local: &Outcome, said: &Said<'_>) {
    let entry = &local.found[0].entry;
    assert_eq!(entry.metadata.xattrs, said.xattrs());
    assert_eq!(i64::from(entry.metadata.uid), said.number("uid").unwrap_or(0));
    assert_eq!(i64::from(entry.metadata.gid), said.number("gid").unwrap_or(0));
    if let Some(expected) = said.nanoseconds() {
        let time = entry.metadata.mtime;
        let total = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
        assert_eq!(total, expected);
    }
    if said.has(&["GNU.sparse."]) {
        return;
    }
    assert_eq!(entry.path, said.value("path").unwrap_or(b"name"));
    let size = said.number("size").unwrap_or(5);
    assert_eq!(u64::try_from(size), Ok(entry.size_bytes));
    if size == 5 {
        check_next(&local.found[1].entry);
        assert_eq!(local.found.len(), 2);
    }
}

fn check_next(next: &Entry) {
    assert_eq!((next.path.as_slice(), next.size_bytes), (&b"next"[..], 1));
    assert_eq!((next.metadata.uid, next.metadata.xattrs.len()), (0, 0));
}
