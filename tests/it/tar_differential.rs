//! Hundreds of generated archives, listed by our reader and by Python's `tarfile`.
//!
//! What we accept, `tarfile` must list in the same way: path, type, size, mode, owner, time to the
//! nanosecond, link target, device, attributes, content. Where we refuse, it must have listed the same up to
//! there; it may go on, as it is the more lenient one. The rules that differ on purpose have archives of
//! their own, each with its reason.

mod archive;
mod examples;
mod generate;
mod listing;

use std::fs;

use super::support::needs::needs;
use super::support::process::run_program;
use generate::Generator;
use listing::{Listing, ours};

/// Archives of each format that nothing was done to.
const VALID: usize = 60;

/// Archives of each format with a few bytes changed.
const MUTATED: usize = 120;

/// What `tarfile` says of all `archives`, in one run of Python.
fn python(archives: &[Vec<u8>]) -> Vec<Listing> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archives");
    let framed = |archive: &Vec<u8>| [&(archive.len() as u64).to_be_bytes(), &archive[..]].concat();
    fs::write(&path, archives.iter().flat_map(framed).collect::<Vec<u8>>()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tarfile/list.py");
    let listings = run_program("python3", [script.as_ref(), path.as_os_str()]);
    serde_json::from_str(&listings).unwrap()
}

#[test]
fn generated_archives_are_what_python_lists() {
    if !needs(&["python3"]) {
        return;
    }
    let mut generator = Generator::new(1);
    let archives = generator.archives(VALID);
    for ((archive, theirs), index) in archives.iter().zip(python(&archives)).zip(0..) {
        let ours = ours(archive);
        assert_eq!((&ours.error, &theirs.error), (&None, &None), "archive {index}");
        assert_eq!(ours.entries, theirs.entries, "archive {index}");
        assert!(!ours.entries.is_empty());
    }
}

#[test]
fn damaged_archives_are_refused_or_what_python_lists() {
    if !needs(&["python3"]) {
        return;
    }
    let mut generator = Generator::new(2);
    let archives = generator.archives(MUTATED);
    let archives: Vec<_> = archives.into_iter().map(|archive| generator.damage(archive)).collect();
    let mut accepted = 0;
    for ((archive, theirs), index) in archives.iter().zip(python(&archives)).zip(0..) {
        let ours = ours(archive);
        let known = theirs.entries.len().min(ours.entries.len());
        assert_eq!(ours.entries[..known], theirs.entries[..known], "archive {index}");
        if ours.error.is_none() {
            assert_eq!(theirs.error, None, "archive {index}");
            assert_eq!(ours.entries.len(), theirs.entries.len(), "archive {index}");
            accepted += 1;
        }
    }
    // A test in which everything is refused would show nothing.
    assert!(accepted > archives.len() / 4, "{accepted} of {}", archives.len());
}

/// Archives that the two read differently on purpose.
fn differences() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("global headers are ignored, as Go and containerd do", examples::global_header()),
        ("an empty value takes the record back, as in Go", examples::empty_value()),
        ("the end of an archive may lack padding, as in Go", examples::no_padding()),
        ("GNU's format has no prefix, and V7's neither, as in Go", examples::prefix_in_v7()),
        ("a field may start with NULs, as in Go", examples::number_behind_nul()),
        ("an empty GNU name is none, as in Go", examples::empty_long_name()),
        ("an old directory is told by its final name, as in Go", examples::old_directory()),
        ("an old sparse map ends where an offset lacks, as in Go", examples::short_sparse_map()),
        ("refused: a name that two kinds of header give", examples::two_names()),
        ("refused: two extensions of one kind before an entry", examples::two_extensions()),
        ("refused: one block of zeros before an entry", examples::lone_zero_block()),
        ("refused: an unknown kind of entry", examples::unknown_typeflag()),
        ("refused: an owner beyond 32 bits", examples::large_owner()),
    ]
}

#[test]
fn rules_that_differ_from_pythons_differ_on_purpose() {
    if !needs(&["python3"]) {
        return;
    }
    let differences = differences();
    let archives: Vec<Vec<u8>> = differences.iter().map(|(_, archive)| archive.clone()).collect();
    for ((reason, archive), theirs) in differences.iter().zip(python(&archives)) {
        let ours = ours(archive);
        assert_eq!(ours.error.is_some(), reason.starts_with("refused"), "{reason}: {ours:?}");
        assert_ne!(
            (ours.entries, ours.error.is_some()),
            (theirs.entries, theirs.error.is_some()),
            "{reason}"
        );
    }
}
