//! A layer and what lies below it, seen as one tree before they are one.

use std::collections::BTreeMap;

use crate::layer::changeset::Changeset;
use crate::layer::resolve::{Step, look_at};
use crate::layer::tree::{DirectoryId, InodeId, Node, Tree};

/// A directory as a layer and the lower tree have it; one of the two may lack it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) own: Option<DirectoryId>,
    pub(super) lower: Option<DirectoryId>,
}

impl Place {
    /// The root, which both have.
    pub(super) const ROOT: Self =
        Self { own: Some(DirectoryId::ROOT), lower: Some(DirectoryId::ROOT) };
}

/// A layer on the tree below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) own: &'a Changeset,
    pub(super) lower: &'a Tree,
    /// The lower inodes that own inodes stand for.
    pub(super) links: &'a BTreeMap<InodeId, InodeId>,
}

impl<'a> View<'a> {
    /// What the layer lets through of the lower tree's `name` in `place`.
    pub(super) fn lower_entry(self, place: Place, name: &[u8]) -> Option<Node> {
        let hidden = place.own.is_some_and(|id| {
            let marks = self.own.marks(id);
            marks.opaque || marks.whiteouts.contains(name)
        });
        let lower = place.lower.filter(|_| !hidden)?;
        self.lower.directory(lower).entries.get(name).copied()
    }

    /// What `name` in `place` is. An implied directory has no say: over a lower symlink it is the symlink.
    pub(super) fn look_up(self, place: Place, name: &[u8]) -> Step<'a, Place> {
        let lower = self.lower_entry(place, name);
        let own = place.own.and_then(|id| self.own.tree.directory(id).entries.get(name).copied());
        match (own, lower) {
            (Some(Node::Inode(id)), _) => match self.links.get(&id) {
                Some(&lower) => look_at(self.lower, lower),
                None => look_at(&self.own.tree, id),
            },
            (Some(Node::Directory(own)), Some(Node::Inode(id))) if self.own.marks(own).implied => {
                look_at(self.lower, id)
            }
            (None, Some(Node::Inode(id))) => look_at(self.lower, id),
            (None, None) => Step::Missing,
            (own, lower) => Step::Directory(Place { own: directory(own), lower: directory(lower) }),
        }
    }
}

fn directory(node: Option<Node>) -> Option<DirectoryId> {
    match node {
        Some(Node::Directory(id)) => Some(id),
        Some(Node::Inode(_)) | None => None,
    }
}
