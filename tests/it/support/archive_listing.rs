//! What a tar holds, by a reader that is not ours.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The names and bytes of all entries, in their order. Every entry is a regular file of nobody and no time.
pub(crate) fn read_entries(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(File::open(path).expect("the archive is there"));
    let entries = archive.entries().expect("it is a tar");
    let read = |entry: std::io::Result<tar::Entry<'_, File>>| {
        let mut entry = entry.expect("it has entries");
        let header = entry.header();
        let plain = (header.mtime().ok(), header.uid().ok(), header.gid().ok(), header.mode().ok());
        assert_eq!(plain, (Some(0), Some(0), Some(0), Some(0o644)));
        assert!(header.entry_type().is_file() && header.as_ustar().is_some());
        let name = entry.path().expect("it has a name").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("it is whole");
        (name, bytes)
    };
    entries.map(read).collect()
}

/// The names of all entries, in their order.
pub(crate) fn names(path: &Path) -> Vec<String> {
    read_entries(path).into_iter().map(|(name, _)| name).collect()
}
