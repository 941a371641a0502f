//! Hand-made tars, each with what must become of it: `tests/data/layers/cases.json`.
//!
//! Where that file leaves a choice, [`REFUSED`] says which way it went.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, BufReader};

use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::entry::DataSink;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;
use sandbox_images::layer::tree::{DirectoryId, Kind, Node, Tree};
use serde::Deserialize;

use super::fixture::stored;

/// Cases with a choice that are refused; all others with one are accepted.
const REFUSED: &[&str] = &[
    "pax-two-x",
    "name-path-4096",
    "parent-is-file",
    "parent-is-symlink-escape",
    "hardlink-missing",
    "hardlink-later-target",
    "hardlink-with-body",
    "symlink-abs-and-rel",
    "wh-aufs-plnk-hardlink",
    "wh-in-dir-name",
    "chardev-0-0",
    "mtime-huge",
    "xattr-64k-value",
    "single-zero-block-then-entry",
    "typeflag-gnu-V-M-D",
    "typeflag-solaris-X",
    "dir-with-size",
];

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    layers: Vec<Layer>,
    expect: String,
    tree: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Layer {
    file: String,
}

/// Keeps the data of files; an address is a place in the list.
#[derive(Default)]
struct Files {
    done: Vec<Vec<u8>>,
    current: Vec<u8>,
}

/// No case has a larger file.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Files {
    fn grow(&mut self, size_bytes: u64) -> io::Result<()> {
        if size_bytes > FILE_BYTES_MAX {
            return Err(io::Error::other("too large for this test"));
        }
        let size = usize::try_from(size_bytes).map_err(io::Error::other)?;
        self.current.resize(size, 0);
        Ok(())
    }
}

impl DataSink for Files {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.grow(offset_bytes)?;
        self.current.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.grow(size_bytes)?;
        self.done.push(std::mem::take(&mut self.current));
        u32::try_from(self.done.len() - 1).map_err(io::Error::other)
    }
}

impl Case {
    /// Its layers as they are served, bottom to top.
    pub(super) fn blobs(&self) -> impl Iterator<Item = Vec<u8>> {
        self.layers.iter().map(|layer| blob(&layer.file).unwrap())
    }

    /// Whether it must become a tree.
    pub(super) fn is_accepted(&self) -> bool {
        match self.expect.as_str() {
            "accept" => true,
            "reject" => false,
            _ => !REFUSED.contains(&self.name.as_str()),
        }
    }
}

fn blob(file: &str) -> io::Result<Vec<u8>> {
    fs::read(format!("{}/tests/data/layers/{file}", env!("CARGO_MANIFEST_DIR")))
}

fn read_layer(file: &str, files: &mut Files) -> Result<Changeset, Box<dyn Error>> {
    let bytes = blob(file)?;
    let limits = Limits::default();
    let tar = Decompressor::new(bytes.as_slice(), &limits)?;
    Ok(Changeset::read(BufReader::new(tar), &limits, 0, files)?)
}

/// The merged tree, once of the layers and once of their stored forms.
fn read_stack(case: &Case, files: &mut Files) -> Result<[Tree; 2], Box<dyn Error>> {
    let layers: Vec<Changeset> =
        case.layers.iter().map(|layer| read_layer(&layer.file, files)).collect::<Result<_, _>>()?;
    let direct = merge(layers.iter().cloned())?.tree;
    let stored = merge(layers.into_iter().map(stored))?.tree;
    Ok([direct, stored])
}

/// Each path with what the cases say of it: a content, a size, or the mode of a directory.
fn description(tree: &Tree, files: &Files) -> BTreeMap<String, [String; 2]> {
    tree.walk()
        .map(|(path, node)| {
            let described = match node {
                Node::Directory(id) => {
                    let mode = format!("mode {:o}", tree.directory(id).metadata.mode);
                    [mode.clone(), mode]
                }
                Node::Inode(id) => match &tree.inode(id).kind {
                    Kind::File(content) if content.size_bytes == 0 => {
                        [String::new(), "<0 bytes>".to_owned()]
                    }
                    Kind::File(content) => {
                        let bytes = &files.done[content.address as usize];
                        assert_eq!(bytes.len() as u64, content.size_bytes);
                        let text = String::from_utf8_lossy(bytes).into_owned();
                        [text, format!("<{} bytes>", bytes.len())]
                    }
                    other => [format!("{other:?}"), format!("{other:?}")],
                },
            };
            (String::from_utf8_lossy(&path).into_owned(), described)
        })
        .collect()
}

/// What is wrong with the outcome of `case`, if anything.
fn judge(case: &Case) -> Result<(), String> {
    let mut files = Files::default();
    let outcome = read_stack(case, &mut files);
    let [direct, stored] = match (outcome, case.is_accepted()) {
        (Ok(trees), true) => trees,
        (Err(_), false) => return Ok(()),
        (Ok(_), false) => return Err("is accepted".to_owned()),
        (Err(error), true) => return Err(format!("is refused: {error}, {:?}", error.source())),
    };
    let described = description(&direct, &files);
    if dump(&direct) != dump(&stored) {
        return Err("is another tree once it was stored".to_owned());
    }
    let Some(expected) = &case.tree else {
        return Ok(());
    };
    for (path, value) in expected {
        if !described.get(path).is_some_and(|it| it.contains(value)) {
            return Err(format!("has `{path}` as {:?}", described.get(path)));
        }
    }
    let surplus =
        described.iter().find(|(path, it)| it[1].starts_with('<') && !expected.contains_key(*path));
    surplus.map_or(Ok(()), |(path, _)| Err(format!("has `{path}`")))
}

/// Everything there is to know of a tree.
fn dump(tree: &Tree) -> Vec<(Vec<u8>, String)> {
    let links = tree.link_counts();
    let root = Node::Directory(DirectoryId::ROOT);
    std::iter::once((Vec::new(), root))
        .chain(tree.walk())
        .map(|(path, node)| {
            let facts = match node {
                Node::Directory(id) => format!("{:?}", tree.directory(id).metadata),
                Node::Inode(id) => format!("{:?} {}", tree.inode(id), links[id.index()]),
            };
            (path, facts)
        })
        .collect()
}

/// All cases.
pub(super) fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/layers/cases.json");
    let cases: Cases = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    cases.cases
}

#[test]
fn every_hand_made_layer_becomes_what_it_must() {
    let cases = cases();
    assert_eq!(cases.len(), 159);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let problem = judge(case).err()?;
            Some(format!("{} ({}) {problem}", case.name, case.expect))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `path` is in one line: type, mode, owner, time, names, device or target, attributes.
fn facts(tree: &Tree, path: &str) -> String {
    let (kind, metadata, links) = match tree.find(path.as_bytes()) {
        None => return "nothing".to_owned(),
        Some(Node::Directory(id)) => ("dir".to_owned(), &tree.directory(id).metadata, 1),
        Some(Node::Inode(id)) => {
            let kind = match &tree.inode(id).kind {
                Kind::File(_) => "file".to_owned(),
                Kind::Symlink(target) => format!("-> {}", String::from_utf8_lossy(target)),
                Kind::CharDevice(device) => format!("char {}:{}", device.major, device.minor),
                Kind::BlockDevice(device) => format!("block {}:{}", device.major, device.minor),
                Kind::Fifo => "fifo".to_owned(),
            };
            let links = tree.link_counts()[id.index()];
            (kind, &tree.inode(id).metadata, links)
        }
    };
    let xattrs: Vec<String> = metadata
        .xattrs
        .iter()
        .map(|(name, value)| format!(" {}[{}]", String::from_utf8_lossy(name), value.len()))
        .collect();
    let (mode, time, xattrs) = (metadata.mode, metadata.mtime, xattrs.concat());
    let (uid, gid) = (metadata.uid, metadata.gid);
    let (seconds, nanoseconds) = (time.seconds, time.nanoseconds);
    format!("{kind} {mode:o} {uid}:{gid} {seconds}+{nanoseconds} x{links}{xattrs}")
}

/// Facts that `cases.json` leaves open or has only in words.
const FACTS: &[(&str, &str, &str)] = &[
    (
        "pax-cap-newline",
        "usr/bin/ping",
        "file 755 0:0 1700000000+123456789 x1 security.capability[20]",
    ),
    ("pax-empty-xattr", "f", "file 644 0:0 1700000000+0 x1 user.empty[0]"),
    ("pax-global-path-uid", "x", "file 644 0:0 1700000000+0 x1"),
    ("name-backslash", "a\\..\\..\\b", "file 644 0:0 1700000000+0 x1"),
    ("name-dotdot-inside", "b", "file 644 0:0 1700000000+0 x1"),
    ("hardlink-ok", "b", "file 644 0:0 1700000000+0 x2"),
    ("hardlink-abs", "a", "file 644 0:0 1700000000+0 x2"),
    ("hardlink-to-lower-layer", "b", "file 644 0:0 1700000000+0 x2"),
    ("hardlink-to-symlink", "b", "-> target 777 0:0 1700000000+0 x2"),
    ("hardlink-chain-1000", "l1000", "file 644 0:0 1700000000+0 x1001"),
    ("hardlink-target-deleted-above", "b", "file 644 0:0 1700000000+0 x1"),
    ("hardlink-over-whiteout-name", "tmp/KEY", "nothing"),
    ("wh-as-dir", "x", "nothing"),
    ("xattr-overlay-opaque-smuggle", "d", "dir 755 0:0 1700000000+0 x1"),
    ("xattr-overlay-opaque-smuggle", "d/x", "file 644 0:0 1700000000+0 x1"),
    ("xattr-overlay-redirect-smuggle", "d", "dir 755 0:0 1700000000+0 x1"),
    ("xattr-user-overlay", "d", "dir 755 0:0 1700000000+0 x1"),
    ("mtime-negative-base256", "a", "file 644 0:0 -5+0 x1"),
    ("mtime-negative-pax", "a", "file 644 0:0 -6+750000000 x1"),
    ("mtime-2107-and-later", "b", "file 644 0:0 8589934591+0 x1"),
    ("mtime-ns", "a", "file 644 0:0 1700000000+999999999 x1"),
    ("uid-base256", "a", "file 644 2097157:4294967294 1700000000+0 x1"),
    ("uid-pax", "a", "file 644 4294967295:3000000000 1700000000+0 x1"),
    ("mode-with-type-bits", "a", "file 755 0:0 1700000000+0 x1"),
    ("mode-setuid", "a", "file 4755 0:0 1700000000+0 x1"),
    ("mode-setuid", "b", "file 2755 0:0 1700000000+0 x1"),
    ("mode-setuid", "c", "dir 1777 0:0 1700000000+0 x1"),
    ("dev-nodes", "b", "block 259:70000 644 0:0 1700000000+0 x1"),
    ("dev-nodes", "c", "char 1:3 666 0:0 1700000000+0 x1"),
    ("dev-nodes", "p", "fifo 644 0:0 1700000000+0 x1"),
    ("xattr-unknown-namespace", "a", "file 644 0:0 1700000000+0 x1"),
    ("xattr-libarchive-b64", "a", "file 644 0:0 1700000000+0 x1"),
    ("xattr-on-symlink", "a", "-> b 777 0:0 1700000000+0 x1"),
    ("gz-labelled-plain-tar", "b", "file 644 0:0 1700000000+0 x1"),
    ("plain-labelled-gz", "b", "file 644 0:0 1700000000+0 x1"),
];

#[test]
fn metadata_links_and_policies_are_as_documented() {
    let cases = cases();
    for &(name, path, expected) in FACTS {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let [tree, stored] = read_stack(case, &mut Files::default()).unwrap();
        assert_eq!(facts(&tree, path), expected, "{name}");
        assert_eq!(facts(&stored, path), expected, "{name}, stored");
    }
}
