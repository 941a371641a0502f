//! Hand-made tars, each with what must become of it: `tests/data/layers/cases.json`.
//!
//! Where that file leaves a choice, [`REFUSED`] says which way it went.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;

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
struct Case {
    name: String,
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

fn read_layer(file: &str, files: &mut Files) -> Result<Changeset, Box<dyn Error>> {
    let path = format!("{}/tests/data/layers/{file}", env!("CARGO_MANIFEST_DIR"));
    let bytes = fs::read(path)?;
    let limits = Limits::default();
    let tar = Decompressor::new(bytes.as_slice(), &limits)?;
    Ok(Changeset::read(tar, &limits, 0, files)?)
}

/// The merged tree, once of the layers and once of their stored forms.
fn read_stack(case: &Case, files: &mut Files) -> Result<[Tree; 2], Box<dyn Error>> {
    let layers: Vec<Changeset> = case
        .layers
        .iter()
        .map(|layer| read_layer(&layer.file, files))
        .collect::<Result<_, _>>()?;
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
    let accept = match case.expect.as_str() {
        "accept" => true,
        "reject" => false,
        _ => !REFUSED.contains(&case.name.as_str()),
    };
    let [direct, stored] = match (outcome, accept) {
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
    let surplus = described
        .iter()
        .find(|(path, it)| it[1].starts_with('<') && !expected.contains_key(*path));
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

#[test]
fn every_hand_made_layer_becomes_what_it_must() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/layers/cases.json");
    let cases: Cases = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.cases.len(), 159);
    let wrong: Vec<String> = cases
        .cases
        .iter()
        .filter_map(|case| {
            let problem = judge(case).err()?;
            Some(format!("{} ({}) {problem}", case.name, case.expect))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
