//! One layer's entries, in tar order, become a [`Changeset`].
//!
//! Later entries replace earlier ones as they would on a disk, so order matters among a layer's own
//! entries. It does not matter for whiteouts and opaque markers: they act on lower layers only. What
//! lower layers hold is not known here; a name that needs them is settled when the stack is merged.

pub mod error;

use std::io::BufRead;
use std::mem;

use crate::layer::changeset::{Changeset, Marks};
use crate::layer::entry::{DataSink, Entry, EntryKind};
use crate::layer::limits::{LimitExceeded, Limits, SYMLINK_BYTES_MAX};
use crate::layer::name::{CleanPath, Meaning, is_short_enough, join};
use crate::layer::read::{self, Visitor};
use crate::layer::resolve::{AtRoot, ResolveError, Resolved, look_up, resolve};
use crate::layer::tree::{
    Content, Device, DirectoryId, Inode, InodeId, Kind, Metadata, Node, Xattrs,
};
use crate::layer::warning::WarningKind;
use crate::layer::xattrs;
use error::{ChangesetError, EntryError};

/// A changeset in the making.
#[derive(Debug)]
pub struct Builder {
    limits: Limits,
    layer: u16,
    changeset: Changeset,
    node_count: u64,
}

impl Builder {
    /// A layer without entries yet, the `layer`th of its stack counted from the bottom.
    pub fn new(limits: &Limits, layer: u16) -> Self {
        Self { limits: *limits, layer, changeset: Changeset::new(), node_count: 0 }
    }

    /// Takes the next entry, whose data the sink has at `address`.
    pub fn add(&mut self, mut entry: Entry, address: u32) -> Result<(), ChangesetError> {
        let name = mem::take(&mut entry.path);
        let offset_bytes = entry.offset_bytes;
        self.add_named(&name, entry, address).map_err(|problem| ChangesetError::Entry {
            entry: name.into(),
            offset_bytes,
            problem,
        })
    }

    /// Ends the layer.
    pub fn finish(mut self) -> Changeset {
        self.changeset.normalize();
        self.changeset
    }

    fn add_named(&mut self, name: &[u8], entry: Entry, address: u32) -> Result<(), EntryError> {
        self.count_nodes(1)?;
        let path = CleanPath::parse(name)?;
        match path.meaning()? {
            Meaning::Entry => self.add_entry(&path, entry, address)?,
            Meaning::Aufs => {}
            Meaning::Root => self.set_root(entry)?,
            Meaning::Whiteout(hidden) => {
                let (parent, _) = self.parent(&path)?;
                self.changeset.marks_mut(parent).whiteouts.insert(hidden);
            }
            Meaning::Opaque => {
                let (parent, _) = self.parent(&path)?;
                self.changeset.marks_mut(parent).opaque = true;
            }
        }
        Ok(())
    }

    /// Every node costs memory, also a directory that only a deep path implies.
    fn count_nodes(&mut self, count: usize) -> Result<(), EntryError> {
        self.node_count += count as u64;
        let what = "entries in one layer, with the directories that they imply";
        LimitExceeded::check(self.node_count, self.limits.entries_max, what, "entries-max")?;
        Ok(())
    }

    fn set_root(&mut self, mut entry: Entry) -> Result<(), EntryError> {
        if entry.kind != EntryKind::Directory {
            return Err(EntryError::Root);
        }
        self.filter_xattrs(b"", &mut entry)?;
        self.changeset.tree.directory_mut(DirectoryId::ROOT).metadata = entry.metadata;
        self.changeset.marks_mut(DirectoryId::ROOT).implied = false;
        Ok(())
    }

    fn add_entry(
        &mut self,
        path: &CleanPath,
        mut entry: Entry,
        address: u32,
    ) -> Result<(), EntryError> {
        if entry.kind != EntryKind::HardLink {
            self.filter_xattrs(path.as_bytes(), &mut entry)?;
        }
        let kind = match entry.kind {
            EntryKind::HardLink => {
                return self.add_hard_link(path, &entry);
            }
            EntryKind::Directory => {
                let (parent, _) = self.parent(path)?;
                self.put_directory(parent, path.name(), entry.metadata);
                return Ok(());
            }
            EntryKind::File => {
                Kind::File(Content { size_bytes: entry.size_bytes, layer: self.layer, address })
            }
            EntryKind::Symlink => Kind::Symlink(symlink_target(entry.link)?),
            EntryKind::CharDevice if entry.device == Device::default() => {
                return Err(EntryError::WhiteoutDevice);
            }
            EntryKind::CharDevice => Kind::CharDevice(entry.device),
            EntryKind::BlockDevice => Kind::BlockDevice(entry.device),
            EntryKind::Fifo => Kind::Fifo,
        };
        let (parent, _) = self.parent(path)?;
        let inode = self.changeset.tree.add_inode(Inode { metadata: entry.metadata, kind });
        self.put(parent, path.name(), inode);
        Ok(())
    }

    fn filter_xattrs(&mut self, path: &[u8], entry: &mut Entry) -> Result<(), EntryError> {
        let user_allowed = matches!(entry.kind, EntryKind::File | EntryKind::Directory);
        let warnings = &mut self.changeset.warnings;
        xattrs::filter(&mut entry.metadata.xattrs, user_allowed, |kind| {
            warnings.push(path, Some(entry.offset_bytes), kind);
        })?;
        Ok(())
    }

    /// The directory that the last name of `path` goes into, made where it is missing, and the path of
    /// the name without symlinks.
    fn parent(&mut self, path: &CleanPath) -> Result<(DirectoryId, Vec<u8>), EntryError> {
        let resolved = self.resolve(path.parent())?;
        let own_path = join(&resolved.path, path.name());
        if !is_short_enough(&own_path) {
            return Err(ResolveError::TooLong.into());
        }
        self.count_nodes(resolved.missing.len())?;
        let mut parent = resolved.place;
        for name in resolved.missing {
            parent = self.changeset.add_implied(parent, name);
        }
        Ok((parent, own_path))
    }

    fn resolve(&self, path: &[u8]) -> Result<Resolved<DirectoryId>, ResolveError> {
        let tree = &self.changeset.tree;
        resolve(DirectoryId::ROOT, path, AtRoot::Refuse, |place, name| look_up(tree, place, name))
    }

    /// A directory entry over a directory keeps what is in it. Over anything else it starts afresh: what
    /// it replaces had already replaced the lower directory, so nothing of that shows through.
    fn put_directory(&mut self, parent: DirectoryId, name: &[u8], metadata: Metadata) {
        let existing = self.changeset.tree.directory(parent).entries.get(name).copied();
        if let Some(Node::Directory(id)) = existing {
            self.changeset.tree.directory_mut(id).metadata = metadata;
            self.changeset.marks_mut(id).implied = false;
            return;
        }
        let id = self.changeset.tree.add_directory(metadata);
        self.changeset.marks.push(Marks { opaque: existing.is_some(), ..Marks::default() });
        self.changeset.tree.insert(parent, name.into(), Node::Directory(id));
    }

    fn put(&mut self, parent: DirectoryId, name: &[u8], inode: InodeId) {
        self.changeset.tree.insert(parent, name.into(), Node::Inode(inode));
    }

    fn add_hard_link(&mut self, path: &CleanPath, entry: &Entry) -> Result<(), EntryError> {
        let target = CleanPath::parse(&entry.link).map_err(EntryError::LinkName)?;
        match target.meaning().map_err(EntryError::LinkName)? {
            Meaning::Entry => {}
            Meaning::Root => return Err(EntryError::LinkToDirectory),
            Meaning::Aufs | Meaning::Opaque | Meaning::Whiteout(_) => {
                return Err(EntryError::LinkReserved);
            }
        }
        let (own_target, target_path) = self.own_target(&target)?;
        let (parent, own_path) = self.parent(path)?;
        if is_or_is_below(&target_path, &own_path) {
            return Err(EntryError::LinkToItself);
        }
        let inode = if let Some(inode) = own_target {
            self.warn_of_metadata(path, entry, inode);
            inode
        } else {
            self.add_lower_link(&target_path, &entry.metadata)
        };
        self.put(parent, path.name(), inode);
        Ok(())
    }

    /// The earlier entry of this layer that a hard link means, if there is one, and the target's path
    /// without own symlinks.
    fn own_target(&self, target: &CleanPath) -> Result<(Option<InodeId>, Vec<u8>), EntryError> {
        let resolved = self.resolve(target.parent()).map_err(EntryError::LinkParent)?;
        let path = join(&resolved.path, target.name());
        if !resolved.missing.is_empty() {
            return Ok((None, path));
        }
        let directory = self.changeset.tree.directory(resolved.place);
        match directory.entries.get(target.name()) {
            Some(&Node::Inode(inode)) => Ok((Some(inode), path)),
            Some(&Node::Directory(id)) if !self.changeset.marks(id).implied => {
                Err(EntryError::LinkToDirectory)
            }
            Some(Node::Directory(_)) | None => Ok((None, path)),
        }
    }

    /// An inode that stands for a lower one until the stack is merged. It shows the link's metadata
    /// without attributes, so that the merge can tell whether they differ.
    fn add_lower_link(&mut self, target_path: &[u8], metadata: &Metadata) -> InodeId {
        let inode = self.changeset.tree.add_inode(Inode {
            metadata: Metadata { xattrs: Xattrs::new(), ..*metadata },
            kind: Kind::File(Content { layer: self.layer, ..Content::default() }),
        });
        self.changeset.lower_links.insert(inode, target_path.into());
        inode
    }

    fn warn_of_metadata(&mut self, path: &CleanPath, entry: &Entry, target: InodeId) {
        let own = &entry.metadata;
        let kept = &self.changeset.tree.inode(target).metadata;
        let xattrs_differ = !own.xattrs.is_empty() && own.xattrs != kept.xattrs;
        if xattrs_differ || !own.equals_without_xattrs(kept) {
            self.changeset.warnings.push(
                path.as_bytes(),
                Some(entry.offset_bytes),
                WarningKind::LinkMetadata,
            );
        }
    }
}

impl Visitor for Builder {
    type Error = ChangesetError;

    fn wants_data(&mut self, entry: &Entry) -> Result<bool, ChangesetError> {
        let meaning = CleanPath::parse(&entry.path).and_then(|path| path.meaning());
        meaning.map(|meaning| meaning == Meaning::Entry).map_err(|error| ChangesetError::Entry {
            entry: entry.path.as_slice().into(),
            offset_bytes: entry.offset_bytes,
            problem: error.into(),
        })
    }

    fn entry(&mut self, entry: Entry, address: u32) -> Result<(), ChangesetError> {
        self.add(entry, address)
    }
}

impl Changeset {
    /// Reads an uncompressed layer tar to the end of `reader`, the `layer`th of its stack counted from the
    /// bottom. The data of its files go to `sink` as they pass.
    pub fn read(
        reader: impl BufRead,
        limits: &Limits,
        layer: u16,
        sink: &mut impl DataSink,
    ) -> Result<Self, ChangesetError> {
        let mut builder = Builder::new(limits, layer);
        read::read_layer(reader, limits, sink, &mut builder)?;
        Ok(builder.finish())
    }
}

fn symlink_target(target: Vec<u8>) -> Result<Box<[u8]>, EntryError> {
    if target.is_empty() {
        Err(EntryError::SymlinkEmpty)
    } else if target.len() > SYMLINK_BYTES_MAX {
        Err(EntryError::SymlinkTooLong(target.len()))
    } else if target.contains(&0) {
        Err(EntryError::SymlinkNul)
    } else {
        Ok(target.into())
    }
}

fn is_or_is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests;
