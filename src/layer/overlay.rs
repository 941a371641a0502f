//! A changeset as a plain tree: the form in which a layer is stored.
//!
//! Whiteouts and opaque directories are written as overlayfs writes them. What overlayfs has no word for
//! is said with attributes of our own, so that a stack can be merged from stored layers alone:
//!
//! | in the changeset | in the tree |
//! |---|---|
//! | whiteout | character device 0:0, and [`ORIGIN`] empty on its directory |
//! | opaque directory | [`OPAQUE`] = `y` |
//! | implied directory | [`IMPLIED`], empty |
//! | link into a lower layer | an empty file with [`LINK`] = the path |
//!
//! A stored layer comes from a file, so reading one back trusts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::layer::changeset::{Changeset, Marks};
use crate::layer::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX, SYMLINK_BYTES_MAX};
use crate::layer::name::{CleanPath, Meaning, join, longest_name_in};
use crate::layer::show::DisplayBytes;
use crate::layer::tree::{
    Content, Device, DirectoryId, Inode, InodeId, Kind, Metadata, Name, Node, Tree,
};
use crate::layer::warning::Warnings;
use crate::layer::xattrs::{Verdict, judge};

/// Nothing of the lower directory shows through (Linux `fs/overlayfs/overlayfs.h`, `OVL_XATTR_OPAQUE`).
pub const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// The directory holds whiteouts that must not be listed (`OVL_XATTR_ORIGIN`).
pub const ORIGIN: &[u8] = b"trusted.overlay.origin";

/// No entry of the layer names the directory: what a lower layer says of it stays.
pub const IMPLIED: &[u8] = b"trusted.sandbox-images.implied";

/// The empty file stands for the inode that has this path in the lower layers.
pub const LINK: &[u8] = b"trusted.sandbox-images.link";

/// A stored layer that no changeset could have become.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` in the stored layer cannot be right", DisplayBytes(path))]
pub struct OverlayError {
    /// The path inside the layer, empty for the root.
    pub path: Vec<u8>,
    /// What is wrong with it.
    #[source]
    pub problem: OverlayProblem,
}

/// What is wrong with a node of a stored layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayProblem {
    /// Empty, too long, `.`, `..`, reserved, or with a byte that no name has.
    #[error("its name is not one that a layer can have")]
    Name,
    /// A path that could not be walked.
    #[error("its path is deeper than {PATH_DEPTH_MAX} names or longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A cycle, or two names.
    #[error("the directory has more than one name")]
    SharedDirectory,
    /// Beyond what Linux or EROFS holds.
    #[error("its mode, time, device number or symlink target is out of range")]
    Range,
    /// An attribute that is not kept of any tar.
    #[error("it has an extended attribute that no layer can have")]
    Xattr,
    /// A marker of the overlay form with another value, or where it means nothing.
    #[error("a marker of the overlay form contradicts the rest")]
    Marker,
}

impl Changeset {
    /// The form in which the layer is stored.
    pub fn into_overlay(self) -> Tree {
        let mut tree = self.tree;
        for (marks, id) in self.marks.into_iter().zip((0..).map(DirectoryId)) {
            mark(&mut tree, id, marks);
        }
        for (inode, path) in self.lower_links {
            let xattrs = &mut tree.inode_mut(inode).metadata.xattrs;
            xattrs.insert(LINK.into(), path);
        }
        tree
    }

    /// Reads a stored layer back. Warnings are not stored.
    pub fn from_overlay(tree: Tree) -> Result<Self, OverlayError> {
        let mut reading = Reading {
            marks: vec![None; tree.directory_count()],
            inodes_seen: vec![false; tree.inode_count()],
            lower_links: BTreeMap::new(),
            tree,
        };
        let mut directories = vec![(DirectoryId::ROOT, Vec::new())];
        while let Some((id, path)) = directories.pop() {
            let children = reading.directory(id, &path)?;
            directories.extend(children);
        }
        Ok(Self {
            tree: reading.tree,
            marks: reading.marks.into_iter().map(Option::unwrap_or_default).collect(),
            lower_links: reading.lower_links,
            warnings: Warnings::default(),
        })
    }
}

fn mark(tree: &mut Tree, id: DirectoryId, marks: Marks) {
    let xattrs = &mut tree.directory_mut(id).metadata.xattrs;
    if marks.implied {
        xattrs.insert(IMPLIED.into(), Box::default());
    }
    if marks.opaque {
        xattrs.insert(OPAQUE.into(), (*b"y").into());
    }
    if !marks.whiteouts.is_empty() {
        xattrs.insert(ORIGIN.into(), Box::default());
    }
    for name in marks.whiteouts {
        let whiteout = tree.add_inode(Inode {
            metadata: Metadata::default(),
            kind: Kind::CharDevice(Device::default()),
        });
        tree.insert(id, name, Node::Inode(whiteout));
    }
}

/// A stored layer while it is read back.
struct Reading {
    tree: Tree,
    /// `None` for a directory that was not reached yet.
    marks: Vec<Option<Marks>>,
    inodes_seen: Vec<bool>,
    lower_links: BTreeMap<InodeId, Box<[u8]>>,
}

impl Reading {
    /// Reads one directory and answers the directories in it, with their paths.
    fn directory(
        &mut self,
        id: DirectoryId,
        path: &[u8],
    ) -> Result<Vec<(DirectoryId, Vec<u8>)>, OverlayError> {
        let at = |problem| OverlayError { path: path.to_vec(), problem };
        if self.marks[id.0 as usize].is_some() {
            return Err(at(OverlayProblem::SharedDirectory));
        }
        let origin = self.take_marker(id, ORIGIN);
        let mut marks = self.directory_marks(id).map_err(at)?;
        let mut directories = Vec::new();
        let mut entries = mem::take(&mut self.tree.directory_mut(id).entries);
        let longest = longest_name_in(path);
        for (name, &node) in &entries {
            let whiteout = self.is_whiteout(longest, name, node).map_err(|problem| {
                let path = join(path, name);
                OverlayError { path, problem }
            })?;
            if whiteout {
                marks.whiteouts.insert(name.clone());
            } else if let Node::Directory(child) = node {
                directories.push((child, join(path, name)));
            }
        }
        entries.retain(|name, _| !marks.whiteouts.contains(name));
        let origin_expected = (!marks.whiteouts.is_empty()).then(Box::default);
        if origin != origin_expected {
            return Err(at(OverlayProblem::Marker));
        }
        self.tree.insert_all(id, entries);
        self.marks[id.0 as usize] = Some(marks);
        Ok(directories)
    }

    /// Takes the markers of a directory out of its attributes, and checks what remains.
    fn directory_marks(&mut self, id: DirectoryId) -> Result<Marks, OverlayProblem> {
        let opaque = self.take_marker(id, OPAQUE);
        let implied = self.take_marker(id, IMPLIED);
        if opaque.as_deref().is_some_and(|value| value != b"y")
            || implied.as_deref().is_some_and(|value| !value.is_empty())
        {
            return Err(OverlayProblem::Marker);
        }
        let metadata = &self.tree.directory(id).metadata;
        if implied.is_some() && *metadata != Metadata::implied() {
            return Err(OverlayProblem::Marker);
        }
        check_metadata(metadata, true)?;
        Ok(Marks {
            implied: implied.is_some(),
            opaque: opaque.is_some(),
            whiteouts: BTreeSet::new(),
        })
    }

    /// Checks a name and what it refers to, but for directories, and tells whether it is a whiteout.
    fn is_whiteout(
        &mut self,
        longest: usize,
        name: &Name,
        node: Node,
    ) -> Result<bool, OverlayProblem> {
        check_name(name)?;
        if name.len() > longest {
            return Err(OverlayProblem::TooLong);
        }
        match node {
            Node::Directory(_) => Ok(false),
            Node::Inode(inode) => self.inode_is_whiteout(inode),
        }
    }

    fn take_marker(&mut self, id: DirectoryId, name: &[u8]) -> Option<Box<[u8]>> {
        self.tree.directory_mut(id).metadata.xattrs.remove(name)
    }

    /// Checks an inode, once, and tells whether it is a whiteout.
    fn inode_is_whiteout(&mut self, id: InodeId) -> Result<bool, OverlayProblem> {
        let inode = self.tree.inode_mut(id);
        let whiteout = inode.kind == Kind::CharDevice(Device::default());
        if mem::replace(&mut self.inodes_seen[id.0 as usize], true) {
            return Ok(whiteout);
        }
        if let Some(path) = inode.metadata.xattrs.remove(LINK) {
            let empty = matches!(inode.kind, Kind::File(Content { size_bytes: 0, .. }));
            if !empty || !inode.metadata.xattrs.is_empty() || !is_target(&path) {
                return Err(OverlayProblem::Marker);
            }
            self.lower_links.insert(id, path);
        }
        if whiteout && !inode.metadata.xattrs.is_empty() {
            return Err(OverlayProblem::Marker);
        }
        check_kind(&inode.kind)?;
        check_metadata(&inode.metadata, matches!(inode.kind, Kind::File(_)))?;
        Ok(whiteout)
    }
}

fn is_target(path: &[u8]) -> bool {
    CleanPath::parse(path).is_ok_and(|cleaned| {
        cleaned.as_bytes() == path && matches!(cleaned.meaning(), Ok(Meaning::Entry))
    })
}

fn check_name(name: &Name) -> Result<(), OverlayProblem> {
    let reserved = name.starts_with(b".wh.") || matches!(&name[..], b"" | b"." | b"..");
    if reserved || name.len() > NAME_BYTES_MAX || name.iter().any(|byte| b"/\0".contains(byte)) {
        return Err(OverlayProblem::Name);
    }
    Ok(())
}

fn check_kind(kind: &Kind) -> Result<(), OverlayProblem> {
    let fits = match kind {
        Kind::File(_) | Kind::Fifo => true,
        Kind::Symlink(target) => {
            (1..=SYMLINK_BYTES_MAX).contains(&target.len()) && !target.contains(&0)
        }
        Kind::CharDevice(device) | Kind::BlockDevice(device) => {
            device.major < 1 << 12 && device.minor < 1 << 20
        }
    };
    fits.then_some(()).ok_or(OverlayProblem::Range)
}

fn check_metadata(metadata: &Metadata, user_allowed: bool) -> Result<(), OverlayProblem> {
    if metadata.mode > 0o7777 || metadata.mtime.nanoseconds >= 1_000_000_000 {
        return Err(OverlayProblem::Range);
    }
    let can_be_held = |name: &[u8]| matches!(judge(name, user_allowed), Ok(Verdict::Keep));
    if metadata.xattrs.keys().all(|name| can_be_held(name)) {
        Ok(())
    } else {
        Err(OverlayProblem::Xattr)
    }
}

#[cfg(test)]
mod tests;
