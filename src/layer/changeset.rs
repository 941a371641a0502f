//! What one layer changes in the tree below it.
//!
//! A changeset is the layer's own tree, and beside it what the layer takes away: whiteouts and opaque
//! directories. It is kept in a normal form, so that a changeset read from a tar and the same one read
//! from its stored image are alike:
//!
//! * No whiteout has the name of an entry of its own directory. Beside a directory it makes that opaque,
//!   and explicit where it was implied, as nothing below can give it metadata; beside anything else it
//!   has nothing left to say.
//! * An implied directory's metadata are [`Metadata::implied`].
//! * Every link into a lower layer has a name that is still there.

use std::collections::{BTreeMap, BTreeSet};

use crate::layer::tree::{DirectoryId, InodeId, Metadata, Name, Node, Tree};
use crate::layer::warning::Warnings;

/// What one layer adds, replaces and removes.
#[derive(Debug, Clone)]
pub struct Changeset {
    /// The layer's own entries.
    pub(super) tree: Tree,
    /// What is special about each directory of `tree`, in the order of its table.
    pub(super) marks: Vec<Marks>,
    /// Inodes of `tree` that stand for an inode of a lower layer, at this path without own symlinks.
    pub(super) lower_links: BTreeMap<InodeId, Box<[u8]>>,
    /// What was noticed on the way.
    pub(super) warnings: Warnings,
}

/// What a directory of a layer has beyond its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// No entry of the layer names this directory.
    pub(super) implied: bool,
    /// Nothing of the lower directory shows through.
    pub(super) opaque: bool,
    /// Names that the layer removes from the lower directory.
    pub(super) whiteouts: BTreeSet<Name>,
}

impl Changeset {
    /// A layer without any entry.
    pub fn new() -> Self {
        Self {
            tree: Tree::new(Metadata::implied()),
            marks: vec![Marks { implied: true, ..Marks::default() }],
            lower_links: BTreeMap::new(),
            warnings: Warnings::default(),
        }
    }

    /// The layer's own entries. A link into a lower layer is an empty file here, an implied directory
    /// has [`Metadata::implied`].
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What was dropped or ignored when the layer was read.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    pub(super) fn marks(&self, id: DirectoryId) -> &Marks {
        &self.marks[id.0 as usize]
    }

    pub(super) fn marks_mut(&mut self, id: DirectoryId) -> &mut Marks {
        &mut self.marks[id.0 as usize]
    }

    /// Makes a new directory that no entry names, and names it `name` in `parent`.
    pub(super) fn add_implied(&mut self, parent: DirectoryId, name: Name) -> DirectoryId {
        let id = self.tree.add_directory(Metadata::implied());
        self.marks.push(Marks { implied: true, ..Marks::default() });
        self.tree.insert(parent, name, Node::Directory(id));
        id
    }

    /// Brings the changeset into the normal form that the module describes.
    pub(super) fn normalize(&mut self) {
        let mut linked = BTreeSet::new();
        let mut directories = vec![DirectoryId::ROOT];
        while let Some(id) = directories.pop() {
            self.settle_whiteouts(id);
            for node in self.tree.directory(id).entries.values() {
                match *node {
                    Node::Directory(child) => directories.push(child),
                    Node::Inode(inode) if self.lower_links.contains_key(&inode) => {
                        linked.insert(inode);
                    }
                    Node::Inode(_) => {}
                }
            }
        }
        self.lower_links.retain(|inode, _| linked.contains(inode));
    }

    /// Settles the whiteouts of one directory that stand beside an own entry of the same name.
    fn settle_whiteouts(&mut self, id: DirectoryId) {
        let whiteouts = std::mem::take(&mut self.marks_mut(id).whiteouts);
        let (settled, left): (BTreeSet<_>, BTreeSet<_>) = whiteouts
            .into_iter()
            .partition(|name| self.tree.directory(id).entries.contains_key(name));
        self.marks_mut(id).whiteouts = left;
        for name in settled {
            if let Some(&Node::Directory(child)) = self.tree.directory(id).entries.get(&name) {
                let marks = self.marks_mut(child);
                marks.opaque = true;
                marks.implied = false;
            }
        }
    }
}

impl Default for Changeset {
    fn default() -> Self {
        Self::new()
    }
}
