//! Reading a whole tree: all paths in one order, and how many names each inode has.

use std::collections::btree_map;
use std::iter::Peekable;

use crate::layer::tree::{DirectoryId, Name, Node, Tree};

impl Tree {
    /// All paths below the root with what they refer to, in the order of the paths' raw bytes, without a
    /// leading `/`. The tree must be one: every directory has one name.
    pub fn walk(&self) -> Walk<'_> {
        Walk { tree: self, levels: vec![Level::new(self, DirectoryId::ROOT, 0)], path: Vec::new() }
    }

    /// For each inode, in the order of the table, how many names refer to it from the root; 0 for one
    /// that was replaced or deleted.
    pub fn link_counts(&self) -> Vec<u32> {
        let mut counts = vec![0_u32; self.inode_count()];
        let mut directories = vec![DirectoryId::ROOT];
        while let Some(id) = directories.pop() {
            for node in self.directory(id).entries.values() {
                match *node {
                    Node::Directory(child) => directories.push(child),
                    Node::Inode(inode) => counts[inode.0 as usize] += 1,
                }
            }
        }
        counts
    }

    /// What `path` refers to, without following symlinks. The empty path is the root.
    pub fn find(&self, path: &[u8]) -> Option<Node> {
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).try_fold(
            Node::Directory(DirectoryId::ROOT),
            |node, name| match node {
                Node::Directory(id) => self.directory(id).entries.get(name).copied(),
                Node::Inode(_) => None,
            },
        )
    }
}

/// The iterator of [`Tree::walk`].
#[derive(Debug)]
pub struct Walk<'a> {
    tree: &'a Tree,
    levels: Vec<Level<'a>>,
    path: Vec<u8>,
}

/// One open directory.
///
/// `a.b` sorts before `a/b`, because `.` is less than `/`. So a directory is entered only when no
/// sibling is left that sorts before its contents; until then it waits.
#[derive(Debug)]
struct Level<'a> {
    entries: Peekable<btree_map::Iter<'a, Name, Node>>,
    waiting: Vec<(&'a [u8], DirectoryId)>,
    path_bytes: usize,
}

impl<'a> Level<'a> {
    fn new(tree: &'a Tree, id: DirectoryId, path_bytes: usize) -> Self {
        Self {
            entries: tree.directory(id).entries.iter().peekable(),
            waiting: Vec::new(),
            path_bytes,
        }
    }

    /// The directory whose contents come before every entry that is left.
    fn next_directory(&mut self) -> Option<(&'a [u8], DirectoryId)> {
        let (waiting, _) = *self.waiting.last()?;
        let sibling_first = self.entries.peek().is_some_and(|(name, _)| {
            name.starts_with(waiting) && name.get(waiting.len()).is_some_and(|&byte| byte < b'/')
        });
        (!sibling_first).then(|| self.waiting.pop())?
    }
}

impl Iterator for Walk<'_> {
    type Item = (Vec<u8>, Node);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.last_mut()?;
            self.path.truncate(level.path_bytes);
            if let Some((name, id)) = level.next_directory() {
                push_name(&mut self.path, name);
                let level = Level::new(self.tree, id, self.path.len());
                self.levels.push(level);
            } else if let Some((name, &node)) = level.entries.next() {
                push_name(&mut self.path, name);
                if let Node::Directory(id) = node {
                    level.waiting.push((name, id));
                }
                return Some((self.path.clone(), node));
            } else {
                self.levels.pop();
            }
        }
    }
}

fn push_name(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tree::{Inode, Kind, Metadata};

    fn tree_of(paths: &[&str]) -> Tree {
        let mut tree = Tree::new(Metadata::implied());
        for path in paths {
            let mut parent = DirectoryId::ROOT;
            for name in path.split('/') {
                let existing = tree.directory(parent).entries.get(name.as_bytes());
                parent = if let Some(&Node::Directory(id)) = existing {
                    id
                } else {
                    let id = tree.add_directory(Metadata::implied());
                    tree.insert(parent, name.as_bytes().into(), Node::Directory(id));
                    id
                };
            }
        }
        tree
    }

    #[test]
    fn a_walk_is_in_the_order_of_whole_paths() {
        let tree = tree_of(&["a/x", "a.b/y", "a.b.c", "a/x/z", "a.", "a0", "b", "A"]);
        let walked: Vec<Vec<u8>> = tree.walk().map(|(path, _)| path).collect();
        let mut sorted = walked.clone();
        sorted.sort();
        assert_eq!(walked, sorted);
        assert_eq!(walked.len(), 10);
    }

    #[test]
    fn only_names_that_are_left_count_as_links() {
        let mut tree = Tree::new(Metadata::implied());
        let [once, twice, gone] = [1, 2, 3]
            .map(|_| tree.add_inode(Inode { metadata: Metadata::default(), kind: Kind::Fifo }));
        tree.insert(DirectoryId::ROOT, (*b"a").into(), Node::Inode(gone));
        tree.insert(DirectoryId::ROOT, (*b"a").into(), Node::Inode(once));
        tree.insert(DirectoryId::ROOT, (*b"b").into(), Node::Inode(twice));
        tree.insert(DirectoryId::ROOT, (*b"c").into(), Node::Inode(twice));
        assert_eq!(tree.link_counts(), [1, 2, 0]);
    }

    #[test]
    fn a_path_is_found_without_following_symlinks() {
        let tree = tree_of(&["a/b"]);
        assert!(matches!(tree.find(b"a/b"), Some(Node::Directory(_))));
        assert_eq!(tree.find(b""), Some(Node::Directory(DirectoryId::ROOT)));
        assert_eq!(tree.find(b"a/c"), None);
    }
}
