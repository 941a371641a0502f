//! What an archive says, in the words of both readers.

use std::collections::BTreeMap;

use sandbox_images::layer::entry::{Entry, EntryKind};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::tar::error::TarError;
use sandbox_images::layer::tar::{Event, TarReader};
use sandbox_images::oci::digest::Digest;
use serde::Deserialize;

/// The entries of an archive, and why its reader stopped early.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Listing {
    pub(super) entries: Vec<Listed>,
    pub(super) error: Option<String>,
}

/// One entry, with names and values in hex.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    path: Path,
    kind: String,
    link: String,
    size: i64,
    device: [i64; 2],
    mode: u16,
    uid: i64,
    gid: i64,
    nanoseconds: String,
    xattrs: BTreeMap<String, String>,
    sha256: String,
}

/// A path without slashes at its end: Python drops them as it reads, we as we judge the name.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
struct Path(String);

impl From<String> for Path {
    fn from(hex: String) -> Self {
        let mut hex = hex;
        while hex.ends_with("2f") {
            hex.truncate(hex.len() - 2);
        }
        Self(hex)
    }
}

/// Lists an archive with our reader.
pub(super) fn ours(archive: &[u8]) -> Listing {
    let mut listing = Listing::default();
    if let Err(error) = read(archive, &mut listing.entries) {
        listing.error = Some(error.to_string());
    }
    listing
}

fn read(archive: &[u8], listed: &mut Vec<Listed>) -> Result<(), TarError> {
    let mut reader = TarReader::new(&Limits::default());
    let mut input = archive;
    let mut current: Option<(Entry, Vec<u8>)> = None;
    loop {
        match reader.next(&mut input)? {
            Event::NeedInput => return reader.finish(),
            Event::Entry(entry) => current = Some((entry, Vec::new())),
            Event::Data { offset_bytes, bytes } => {
                let (_, content) = current.as_mut().unwrap();
                content.resize(usize::try_from(offset_bytes).unwrap(), 0);
                content.extend_from_slice(bytes);
            }
            Event::EntryEnd => {
                let (entry, content) = current.take().unwrap();
                listed.push(facts(&entry, content));
            }
            Event::EndOfArchive => {}
        }
    }
}

fn facts(entry: &Entry, mut content: Vec<u8>) -> Listed {
    let metadata = &entry.metadata;
    let time = metadata.mtime;
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    content.resize(usize::try_from(entry.size_bytes).unwrap(), 0);
    let is_file = entry.kind == EntryKind::File;
    Listed {
        path: hex(&entry.path).into(),
        kind: kind(entry.kind).to_owned(),
        link: hex(&entry.link),
        size: i64::try_from(entry.size_bytes).unwrap(),
        device: [entry.device.major, entry.device.minor].map(i64::from),
        mode: metadata.mode,
        uid: metadata.uid.into(),
        gid: metadata.gid.into(),
        nanoseconds: nanoseconds.to_string(),
        xattrs: metadata.xattrs.iter().map(|(name, value)| (hex(name), hex(value))).collect(),
        sha256: if is_file { Digest::of(content).hex() } else { String::new() },
    }
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::HardLink => "hard link",
        EntryKind::CharDevice => "char device",
        EntryKind::BlockDevice => "block device",
        EntryKind::Fifo => "fifo",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
