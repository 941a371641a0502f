//! Layers and trees as text.
//!
//! | line | means |
//! |---|---|
//! | `etc/ 700` | a directory and its mode |
//! | `etc/motd = 7` | a file, and a number for its content |
//! | `bin -> usr/bin` | a symlink |
//! | `b => a` | a hard link; in a tree, to the first of its names |
//! | `etc/.wh.motd` | anything that is only a name: a whiteout, an opaque marker |

use std::collections::BTreeMap;

use sandbox_images::layer::builder::Builder;
use sandbox_images::layer::builder::error::ChangesetError;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::entry::{Entry, EntryKind};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::{Merged, merge};
use sandbox_images::layer::tree::{
    Content, Device, InodeId, Kind, Metadata, Node, Timestamp, Tree,
};

/// The entry that `line` describes, at `offset_bytes` of its tar.
pub(super) fn entry(line: &str, offset_bytes: u64) -> Entry {
    let words: Vec<&str> = line.split(' ').collect();
    let (kind, mode, target) = match words[..] {
        [_, "->", target] => (EntryKind::Symlink, 0o777, target),
        [_, "=>", target] => (EntryKind::HardLink, 0o644, target),
        [path, mode] if path.ends_with('/') => {
            let mode = u16::from_str_radix(mode, 8).unwrap();
            (EntryKind::Directory, mode, "")
        }
        _ => (EntryKind::File, 0o644, ""),
    };
    Entry {
        path: words[0].as_bytes().to_vec(),
        kind,
        link: target.as_bytes().to_vec(),
        size_bytes: u64::from(words.get(1) == Some(&"=")),
        device: Device::default(),
        metadata: Metadata {
            mode,
            mtime: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
            ..Metadata::default()
        },
        offset_bytes,
    }
}

/// The changeset of a layer.
pub(super) fn layer(lines: &[impl AsRef<str>]) -> Result<Changeset, ChangesetError> {
    let mut builder = Builder::new(&Limits::default(), 0);
    for (line, index) in lines.iter().zip(0..) {
        let line = line.as_ref();
        let address = line.rsplit_once(" = ").map_or(0, |(_, content)| content.parse().unwrap());
        builder.add(entry(line, 512 * index), address)?;
    }
    Ok(builder.finish())
}

/// What a changeset becomes when it is stored and read again.
pub(super) fn stored(changeset: Changeset) -> Changeset {
    Changeset::from_overlay(changeset.into_overlay()).unwrap()
}

/// The merged tree of layers that are all right in themselves.
pub(super) fn merged(layers: &[&[&str]]) -> Merged {
    merge(layers.iter().map(|lines| layer(lines).unwrap())).unwrap()
}

/// The lines of a tree, sorted by path; the root only where its mode is not 755.
pub(super) fn lines(tree: &Tree) -> Vec<String> {
    let root = tree.directory(sandbox_images::layer::tree::DirectoryId::ROOT).metadata.mode;
    let root = (root != 0o755).then(|| format!("/ {root:o}"));
    let mut names: BTreeMap<InodeId, String> = BTreeMap::new();
    let below = tree.walk().map(|(path, node)| {
        let path = String::from_utf8(path).unwrap();
        match node {
            Node::Directory(id) => format!("{path}/ {:o}", tree.directory(id).metadata.mode),
            Node::Inode(id) => {
                if let Some(first) = names.get(&id) {
                    return format!("{path} => {first}");
                }
                names.insert(id, path.clone());
                inode_line(&path, &tree.inode(id).kind)
            }
        }
    });
    let below: Vec<String> = below.collect();
    root.into_iter().chain(below).collect()
}

fn inode_line(path: &str, kind: &Kind) -> String {
    match kind {
        Kind::File(Content { size_bytes: 0, .. }) => path.to_owned(),
        Kind::File(content) => format!("{path} = {}", content.address),
        Kind::Symlink(target) => format!("{path} -> {}", String::from_utf8_lossy(target)),
        other => format!("{path} {other:?}"),
    }
}
