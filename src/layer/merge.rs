//! A stack of changesets becomes the tree that a container of the image would see.
//!
//! Each layer is applied to the tree of all layers below it, in three steps: hard links into lower layers
//! find their inodes while nothing is changed yet; entries behind symlinks of lower layers are moved to
//! where these lead; then each of the layer's directories is laid over its lower one, which loses what
//! the layer removes before it gets what the layer adds. Every step is linear in the layer's own entries,
//! however large the tree below is.

pub mod error;

mod view;

mod graft;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::layer::changeset::Changeset;
use crate::layer::name::{CleanPath, join, longest_name_in};
use crate::layer::resolve::{AtRoot, look_up, resolve};
use crate::layer::tree::{DirectoryId, InodeId, Kind, Metadata, Node, Tree};
use crate::layer::warning::{WarningKind, Warnings};
use error::MergeError;

/// A merged stack.
#[derive(Debug)]
pub struct Merged {
    /// The tree, without any marker of a layer. Each file's content names its layer, counted from the
    /// bottom.
    pub tree: Tree,
    /// What was decided on the way; the layers' own warnings are with the layers.
    pub warnings: Warnings,
}

/// Merges `layers`, given from the bottom to the top.
pub fn merge(layers: impl IntoIterator<Item = Changeset>) -> Result<Merged, MergeError> {
    let mut stack = Stack { tree: Tree::new(Metadata::implied()), warnings: Warnings::default() };
    for (index, changeset) in layers.into_iter().enumerate() {
        let layer = u16::try_from(index).map_err(|_| MergeError::TooManyLayers)?;
        stack.apply(changeset, layer)?;
    }
    Ok(Merged { tree: stack.tree, warnings: stack.warnings })
}

/// The layers merged so far.
struct Stack {
    tree: Tree,
    warnings: Warnings,
}

/// Where the inodes of a layer are in the merged tree.
struct Inodes {
    /// What is added to an own inode's number.
    base: u32,
    /// Inodes that stand for lower ones.
    links: BTreeMap<InodeId, InodeId>,
}

impl Inodes {
    fn merged(&self, own: InodeId) -> InodeId {
        match self.links.get(&own) {
            Some(&lower) => lower,
            None => InodeId(self.base + own.0),
        }
    }
}

impl Stack {
    fn apply(&mut self, mut own: Changeset, layer: u16) -> Result<(), MergeError> {
        let links = self.find_links(&own, layer)?;
        graft::follow_lower_symlinks(&mut own, &self.tree, &links, layer, &mut self.warnings)?;
        let base = self.append_inodes(&mut own, layer)?;
        let inodes = Inodes { base, links };
        let mut directories = vec![(DirectoryId::ROOT, DirectoryId::ROOT, Vec::new())];
        while let Some((from, onto, path)) = directories.pop() {
            self.lay_over(&mut own, from, onto);
            let mut entries = mem::take(&mut own.tree.directory_mut(from).entries);
            let longest = longest_name_in(&path);
            for (name, node) in &mut entries {
                if name.len() > longest {
                    return Err(MergeError::TooLong { layer, path: join(&path, name) });
                }
                *node = match *node {
                    Node::Inode(inode) => Node::Inode(inodes.merged(inode)),
                    Node::Directory(child) => {
                        let onto = self.lower_or_new(onto, name);
                        directories.push((child, onto, join(&path, name)));
                        Node::Directory(onto)
                    }
                };
            }
            self.tree.insert_all(onto, entries);
        }
        Ok(())
    }

    /// Finds the lower inode of each link into lower layers, in the tree as it was below this layer.
    fn find_links(
        &mut self,
        own: &Changeset,
        layer: u16,
    ) -> Result<BTreeMap<InodeId, InodeId>, MergeError> {
        let mut links = BTreeMap::new();
        let mut differing = BTreeSet::new();
        for (&inode, target) in &own.lower_links {
            let Some(Node::Inode(lower)) = self.find(target) else {
                return Err(self.link_error(own, inode, target, layer));
            };
            let (link, kept) = (own.tree.inode(inode), self.tree.inode(lower));
            if !link.metadata.equals_without_xattrs(&kept.metadata) {
                differing.insert(Node::Inode(inode));
            }
            links.insert(inode, lower);
        }
        if !differing.is_empty() {
            for (path, _) in own.tree.walk().filter(|(_, node)| differing.contains(node)) {
                self.warnings.push(&path, None, WarningKind::LinkMetadata);
            }
        }
        Ok(links)
    }

    fn link_error(&self, own: &Changeset, link: InodeId, target: &[u8], layer: u16) -> MergeError {
        let mut names = own.tree.walk();
        let found = names.find(|(_, node)| *node == Node::Inode(link));
        let path = found.map(|(path, _)| path).unwrap_or_default();
        let target = target.to_vec();
        match self.find(&target) {
            Some(_) => MergeError::LinkToDirectory { layer, path, target },
            None => MergeError::LinkMissing { layer, path, target },
        }
    }

    /// What `path` is in the merged tree, its parents followed, itself not.
    fn find(&self, path: &[u8]) -> Option<Node> {
        let path = CleanPath::parse(path).ok()?;
        let parent = resolve(DirectoryId::ROOT, path.parent(), AtRoot::Stay, |place, name| {
            look_up(&self.tree, place, name)
        })
        .ok()
        .filter(|resolved| resolved.missing.is_empty())?;
        let entries = &self.tree.directory(parent.place).entries;
        entries.get(path.name()).copied()
    }

    /// Moves the layer's inodes into the merged table and answers how many there were before.
    fn append_inodes(&mut self, own: &mut Changeset, layer: u16) -> Result<u32, MergeError> {
        let mut inodes = own.tree.take_inodes();
        let directories = self.tree.directory_count() + own.tree.directory_count();
        let count = (self.tree.inode_count() + inodes.len()).max(directories);
        if u32::try_from(count).is_err() {
            return Err(MergeError::TooManyInodes { layer });
        }
        for inode in &mut inodes {
            if let Kind::File(content) = &mut inode.kind {
                content.layer = layer;
            }
        }
        let base = self.tree.append_inodes(inodes);
        u32::try_from(base).map_err(|_| MergeError::TooManyInodes { layer })
    }

    /// Gives the merged directory `onto` the metadata of the own directory `from`, and takes away what
    /// that hides.
    fn lay_over(&mut self, own: &mut Changeset, from: DirectoryId, onto: DirectoryId) {
        let marks = mem::take(own.marks_mut(from));
        let lower = self.tree.directory_mut(onto);
        if !marks.implied {
            lower.metadata = mem::take(&mut own.tree.directory_mut(from).metadata);
        }
        if marks.opaque {
            lower.entries.clear();
        }
        for name in marks.whiteouts {
            lower.entries.remove(&name);
        }
    }

    /// The directory `name` in `parent`, or a new one without a name yet.
    fn lower_or_new(&mut self, parent: DirectoryId, name: &[u8]) -> DirectoryId {
        match self.tree.directory(parent).entries.get(name) {
            Some(&Node::Directory(id)) => id,
            Some(Node::Inode(_)) | None => self.tree.add_directory(Metadata::implied()),
        }
    }
}
