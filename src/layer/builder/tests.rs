use super::*;
use crate::layer::tree::Name;
use std::error::Error;

fn entry(path: &str, kind: EntryKind, link: &str) -> Entry {
    Entry {
        path: path.into(),
        kind,
        link: link.into(),
        size_bytes: 0,
        device: Device::default(),
        metadata: Metadata::implied(),
        offset_bytes: 1536,
    }
}

#[track_caller]
fn refused(entry: Entry, code: &str, cause: &str) {
    let mut builder = Builder::new(&Limits::default(), 0);
    let error = builder.add(entry, 0).unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), cause);
    assert_eq!((error.code(), error.offset_bytes()), (code, Some(1536)));
}

#[test]
fn entries_that_no_tree_can_hold_are_refused() {
    let long = "x".repeat(4096);
    let root = entry("./", EntryKind::Symlink, "etc");
    refused(root, "entry-root", "the root of a layer is not a directory");
    refused(entry("s", EntryKind::Symlink, ""), "entry-symlink", "the symlink has no target");
    refused(
        entry("s", EntryKind::Symlink, &long),
        "entry-symlink",
        "the symlink's target has 4096 bytes, beyond the limit of 4095",
    );
    refused(
        entry("s", EntryKind::Symlink, "a\0b"),
        "entry-symlink",
        "the symlink's target holds a NUL byte",
    );
    refused(
        entry("c", EntryKind::CharDevice, ""),
        "entry-whiteout-device",
        "a character device 0:0 would be taken for a whiteout",
    );
}

#[test]
fn directories_that_a_deep_path_implies_count_as_entries() {
    let limits = Limits { entries_max: 10, ..Limits::default() };
    let mut builder = Builder::new(&limits, 0);
    builder.add(entry("a/b/c/d/e", EntryKind::Fifo, ""), 0).unwrap();
    let error = builder.add(entry("v/w/x/y/z/f", EntryKind::Fifo, ""), 0);
    let cause = error.unwrap_err().source().unwrap().to_string();
    assert!(cause.starts_with("more than 10 entries in one layer"), "{cause}");
}

#[test]
fn a_hard_link_whose_metadata_differ_is_warned_of() {
    let mut builder = Builder::new(&Limits::default(), 0);
    builder.add(entry("a", EntryKind::Fifo, ""), 0).unwrap();
    builder.add(entry("same", EntryKind::HardLink, "a"), 0).unwrap();
    let mut other = entry("other", EntryKind::HardLink, "a");
    other.metadata.uid = 1000;
    builder.add(other, 0).unwrap();
    let changeset = builder.finish();
    let warnings: Vec<String> = changeset.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["`other`: the hard link's own metadata differs from its target's and is ignored"]
    );
}

#[test]
fn only_files_that_stay_files_get_their_data_stored() {
    let mut builder = Builder::new(&Limits::default(), 0);
    let mut wants = |path| builder.wants_data(&entry(path, EntryKind::File, "")).ok();
    assert_eq!(wants("a"), Some(true));
    assert_eq!(wants("d/.wh.a"), Some(false));
    assert_eq!(wants(".wh..wh.plnk/1"), Some(false));
    assert_eq!(wants("../a"), None);
}

/// Tables may grow to twice their need, and a name costs its allocation and its place in a map.
#[test]
fn an_entry_costs_at_most_200_bytes() {
    let inode = size_of::<Inode>();
    let name_in_map = size_of::<(Name, Node)>();
    assert!(inode + name_in_map * 2 + 32 <= 200, "{inode} + {name_in_map}");
}
