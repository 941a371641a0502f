//! The names of a directory in their order on the disk, and how they fill its blocks.

use std::ops::Bound;

use crate::disk::erofs::format::dirent::DIRENT_BYTES;
use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES};
use crate::layer::tree::{Directory, Node};

/// Length of a directory: full blocks, since no entry straddles two, and what the last one holds.
pub(super) fn directory_bytes(directory: &Directory) -> u64 {
    let (full_blocks, last_bytes) = names(directory).fold((0, 0), |(blocks, bytes), (name, _)| {
        let entry_bytes = DIRENT_BYTES + name.len();
        if bytes + entry_bytes > BLOCK_BYTES {
            (blocks + 1, entry_bytes)
        } else {
            (blocks, bytes + entry_bytes)
        }
    });
    full_blocks * BLOCK + last_bytes as u64
}

/// What a name of a directory on the disk refers to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// `.`: the directory.
    Itself,
    /// `..`: the directory above.
    Parent,
    /// Any other name.
    Node(Node),
}

/// The names of a directory as they stand on the disk: `.` and `..` sorted among all by raw bytes, so
/// that `!a` and `-` come before them.
pub(super) fn names(directory: &Directory) -> impl Iterator<Item = (&[u8], Target)> {
    let between = |from: Bound<&[u8]>, to: Bound<&[u8]>| {
        directory
            .entries
            .range::<[u8], _>((from, to))
            .map(|(name, &node)| (&**name, Target::Node(node)))
    };
    let (dot, dots) = (&b"."[..], &b".."[..]);
    between(Bound::Unbounded, Bound::Excluded(dot))
        .chain([(dot, Target::Itself)])
        .chain(between(Bound::Excluded(dot), Bound::Excluded(dots)))
        .chain([(dots, Target::Parent)])
        .chain(between(Bound::Excluded(dots), Bound::Unbounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tree::{DirectoryId, Metadata, Tree};

    #[test]
    fn dots_are_sorted_among_all_names() {
        let mut tree = Tree::new(Metadata::implied());
        for name in [&b"a"[..], b"...", b".-", b".a", b"-", b"!a", &[0xff]] {
            let id = tree.add_directory(Metadata::implied());
            tree.insert(DirectoryId::ROOT, name.into(), Node::Directory(id));
        }
        let root = tree.directory(DirectoryId::ROOT);
        let sorted: Vec<&[u8]> = names(root).map(|(name, _)| name).collect();
        let expected: [&[u8]; 9] = [b"!a", b"-", b".", b".-", b"..", b"...", b".a", b"a", &[0xff]];
        assert_eq!(sorted, expected);
        assert_eq!(directory_bytes(root), 9 * 12 + 15);
    }
}
