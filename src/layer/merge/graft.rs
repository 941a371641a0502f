//! Entries of a layer that its lower layers move elsewhere.
//!
//! A layer that ships `lib/x` without an entry for `lib` means whatever `lib` is. When it is a symlink to
//! `usr/lib` in a lower layer, `x` belongs into `usr/lib`. Such directories are moved inside the
//! changeset before it is merged, in the order of their paths, whiteouts and opaque markers with them;
//! afterwards every implied directory lies on a directory or on nothing.
//!
//! A name that the layer itself has where another one is moved to is kept, with a warning.

use std::collections::BTreeMap;
use std::mem;

use crate::layer::changeset::Changeset;
use crate::layer::merge::error::MergeError;
use crate::layer::merge::view::{Place, View};
use crate::layer::name::join;
use crate::layer::resolve::{AtRoot, Step, resolve};
use crate::layer::tree::{DirectoryId, InodeId, Name, Node, Tree};
use crate::layer::warning::{WarningKind, Warnings};

/// Directories that one layer may need to have made behind dangling symlinks. Each link may imply 256
/// of them, so a small layer could otherwise fill memory.
const FOLLOWED_DIRECTORIES_MAX: usize = 1 << 20;

/// Moves what lies behind symlinks of `lower` to where they lead.
pub(super) fn follow_lower_symlinks(
    own: &mut Changeset,
    lower: &Tree,
    links: &BTreeMap<InodeId, InodeId>,
    layer: u16,
    warnings: &mut Warnings,
) -> Result<(), MergeError> {
    let mut graft =
        Graft { own, lower, links, layer, warnings, queue: BTreeMap::new(), created_count: 0 };
    graft.queue_children(b"", Place::ROOT);
    while let Some((path, item)) = graft.queue.pop_first() {
        graft.look_at(path, &item)?;
    }
    Ok(())
}

/// An own directory that may lie on something lower.
struct Item {
    parent: Place,
    name: Name,
    directory: DirectoryId,
}

/// An own directory on its way to where `resting_path` leads.
struct Stray {
    directory: DirectoryId,
    /// As the layer has it.
    path: Vec<u8>,
    /// Where a symlink stands in its way.
    resting_path: Vec<u8>,
}

struct Graft<'a> {
    own: &'a mut Changeset,
    lower: &'a Tree,
    links: &'a BTreeMap<InodeId, InodeId>,
    layer: u16,
    warnings: &'a mut Warnings,
    /// By path, so that it does not matter in which order they were found.
    queue: BTreeMap<Vec<u8>, Item>,
    created_count: usize,
}

impl Graft<'_> {
    fn view(&self) -> View<'_> {
        View { own: self.own, lower: self.lower, links: self.links }
    }

    /// Queues the own directories in `place`, unless nothing lower can be there.
    fn queue_children(&mut self, path: &[u8], place: Place) {
        let (Some(own), Some(_)) = (place.own, place.lower) else {
            return;
        };
        for (name, &node) in &self.own.tree.directory(own).entries {
            if let Node::Directory(directory) = node {
                let item = Item { parent: place, name: name.clone(), directory };
                self.queue.insert(join(path, name), item);
            }
        }
    }

    fn look_at(&mut self, path: Vec<u8>, item: &Item) -> Result<(), MergeError> {
        let lower = self.view().lower_entry(item.parent, &item.name);
        let implied = self.own.marks(item.directory).implied;
        match lower {
            Some(Node::Directory(lower)) => {
                let place = Place { own: Some(item.directory), lower: Some(lower) };
                self.queue_children(&path, place);
                Ok(())
            }
            Some(Node::Inode(_)) if implied => self.move_away(path, item),
            Some(Node::Inode(_)) | None => Ok(()),
        }
    }

    /// Takes an implied directory off the lower symlink that it lies on, and puts what it has where the
    /// symlink leads.
    fn move_away(&mut self, path: Vec<u8>, item: &Item) -> Result<(), MergeError> {
        let layer = self.layer;
        let Step::Symlink(_) = self.view().look_up(item.parent, &item.name) else {
            return Err(MergeError::NotDirectory { layer, path });
        };
        let target = self.target(&path)?;
        if let Some(parent) = item.parent.own {
            let parent = self.own.tree.directory_mut(parent);
            parent.entries.remove(&item.name);
        }
        let stray = Stray { directory: item.directory, resting_path: path.clone(), path };
        let mut strays = self.absorb(stray, target);
        while let Some(stray) = strays.pop() {
            let target = self.target(&stray.resting_path)?;
            strays.extend(self.absorb(stray, target));
        }
        Ok(())
    }

    /// Where `path` leads, with an own directory there, and its path without symlinks.
    fn target(&mut self, path: &[u8]) -> Result<(Place, Vec<u8>), MergeError> {
        let view = self.view();
        let look_up = |place, name: &[u8]| view.look_up(place, name);
        let resolved = resolve(Place::ROOT, path, AtRoot::Stay, look_up).map_err(|source| {
            MergeError::Symlink { layer: self.layer, path: path.to_vec(), source }
        })?;
        let lower = resolved.place.lower.filter(|_| resolved.missing.is_empty());
        let own = self.own_directory(&resolved.path)?;
        let place = Place { own: Some(own), lower };
        Ok((place, resolved.path))
    }

    /// The own directory at `path`, which has no own symlink in it, made where it is missing.
    fn own_directory(&mut self, path: &[u8]) -> Result<DirectoryId, MergeError> {
        let mut directory = DirectoryId::ROOT;
        for name in path.split(|&byte| byte == b'/').filter(|it| !it.is_empty()) {
            let existing = self.own.tree.directory(directory).entries.get(name);
            directory = match existing.copied() {
                Some(Node::Directory(id)) => id,
                Some(Node::Inode(_)) | None => {
                    self.created_count += 1;
                    self.own.add_implied(directory, name.into())
                }
            };
        }
        if self.created_count > FOLLOWED_DIRECTORIES_MAX {
            return Err(MergeError::TooManyFollowed {
                layer: self.layer,
                limit: FOLLOWED_DIRECTORIES_MAX,
            });
        }
        Ok(directory)
    }

    /// Moves all that the stray has into `target`. Answers the directories that met an own symlink or
    /// file there.
    fn absorb(&mut self, stray: Stray, target: (Place, Vec<u8>)) -> Vec<Stray> {
        let mut strays = Vec::new();
        let mut pairs = vec![(stray.directory, stray.path, target.0, target.1)];
        while let Some((from, from_path, place, to_path)) = pairs.pop() {
            let Some(to) = place.own else { continue };
            self.absorb_marks(from, &from_path, to, &to_path);
            for (name, node) in mem::take(&mut self.own.tree.directory_mut(from).entries) {
                let (path, resting_path) = (join(&from_path, &name), join(&to_path, &name));
                let existing = self.own.tree.directory(to).entries.get(&name).copied();
                match (existing, node) {
                    (None, _) => self.adopt(place, to, name, node, resting_path),
                    (Some(Node::Directory(to)), Node::Directory(from)) => {
                        let lower = match self.view().lower_entry(place, &name) {
                            Some(Node::Directory(lower)) => Some(lower),
                            Some(Node::Inode(_)) | None => None,
                        };
                        let own = Some(to);
                        pairs.push((from, path, Place { own, lower }, resting_path));
                    }
                    (Some(Node::Inode(_)), Node::Directory(directory))
                        if self.needs_place(directory) =>
                    {
                        strays.push(Stray { directory, path, resting_path });
                    }
                    (Some(_), _) => self.warn_of_kept(&path, &resting_path),
                }
            }
        }
        strays
    }

    /// Whether something would be lost if the directory went nowhere.
    fn needs_place(&self, directory: DirectoryId) -> bool {
        self.own.marks(directory).implied || !self.own.tree.directory(directory).entries.is_empty()
    }

    fn absorb_marks(&mut self, from: DirectoryId, from_path: &[u8], to: DirectoryId, path: &[u8]) {
        let marks = mem::take(self.own.marks_mut(from));
        let kept = self.own.marks_mut(to);
        kept.opaque |= marks.opaque;
        kept.whiteouts.extend(marks.whiteouts);
        if marks.implied {
            return;
        }
        if kept.implied {
            kept.implied = false;
            let metadata = mem::take(&mut self.own.tree.directory_mut(from).metadata);
            self.own.tree.directory_mut(to).metadata = metadata;
        } else {
            self.warn_of_kept(from_path, path);
        }
    }

    /// Gives `to` a name that it did not have.
    fn adopt(&mut self, place: Place, to: DirectoryId, name: Name, node: Node, path: Vec<u8>) {
        if let (Node::Directory(directory), Some(_)) = (node, place.lower) {
            let item = Item { parent: place, name: name.clone(), directory };
            self.queue.insert(path, item);
        }
        self.own.tree.insert(to, name, node);
    }

    fn warn_of_kept(&mut self, path: &[u8], kept: &[u8]) {
        let kind = WarningKind::LiteralKept(kept.into());
        self.warnings.push(path, None, kind);
    }
}
