//! Where everything of a tree's metadata goes: the first of the two passes over it.
//!
//! Inodes stand breadth-first: the root, then each directory's children in the order of their raw bytes;
//! one with several names at its first. A directory's last blocks and a symlink's target lie inline
//! behind their inode where they fit. The blocks of long directories and symlinks follow all inodes.

use std::collections::BTreeMap;

use crate::disk::erofs::error::Error;
use crate::disk::erofs::format::inode::{DataLayout, Form};
use crate::disk::erofs::format::{BLOCK, METADATA_BYTES_MAX, ROOT_NID, SLOT, blocks_of, xattr};
use crate::disk::erofs::names::directory_bytes;
use crate::layer::limits::{NAME_BYTES_MAX, SYMLINK_BYTES_MAX};
use crate::layer::table::Table;
use crate::layer::tree::{
    Directory, DirectoryId, InodeId, Kind, Metadata, Name, Node, Timestamp, Tree,
};

/// Which forms inodes may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    /// All are extended, which other readers of layer images rely on.
    Extended,
    /// An inode is compact where nothing is lost by it.
    Shortest,
}

/// One inode's place. There is one for each of up to millions of inodes, so it is kept small.
#[derive(Debug)]
pub(super) struct Place {
    /// The inode.
    pub(super) node: Node,
    /// The nearest directory above it, by its index in the list of places; the root's is itself.
    pub(super) parent: u32,
    /// In slots of 32 bytes; metadata is limited, so 32 bits hold it.
    pub(super) nid: u32,
    /// Names, or for a directory 2 and its subdirectories.
    pub(super) nlink: u32,
    /// Length of a directory or a symlink, 0 for all else.
    pub(super) size_bytes: u64,
    /// First block of a directory or a symlink, counted from the first metadata block.
    pub(super) block: u32,
    /// Compact or extended.
    pub(super) form: Form,
    /// Whether the last, partial block is inline.
    pub(super) layout: DataLayout,
}

/// The places of a tree's inodes.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) tree: &'a Tree,
    /// Breadth-first. An inode's `i_ino` is its index and 1.
    pub(super) places: Table<Place>,
    /// The time of compact inodes.
    pub(super) epoch: Timestamp,
    /// Length of all metadata in blocks.
    pub(super) blocks: u32,
    serials: Serials,
}

/// Where in the list of places the tree's directories and inodes are.
#[derive(Debug)]
struct Serials {
    directories: Vec<u32>,
    inodes: Vec<u32>,
}

/// The serial of what has not been visited.
const UNVISITED: u32 = u32::MAX;

impl Serials {
    fn slot(&mut self, node: Node) -> &mut u32 {
        match node {
            Node::Directory(DirectoryId(id)) => &mut self.directories[id as usize],
            Node::Inode(InodeId(id)) => &mut self.inodes[id as usize],
        }
    }
}

impl<'a> Layout<'a> {
    /// Decides all places. Nothing is written yet, and where data lies need not be known.
    pub(super) fn new(tree: &'a Tree, forms: Forms) -> Result<Self, Error> {
        let mut layout = Self {
            tree,
            places: Table::new(),
            epoch: Timestamp::default(),
            blocks: 0,
            serials: Serials {
                directories: vec![UNVISITED; tree.directory_count()],
                inodes: vec![UNVISITED; tree.inode_count()],
            },
        };
        layout.visit()?;
        if forms == Forms::Shortest {
            layout.choose_forms();
        }
        layout.place()?;
        Ok(layout)
    }

    /// The place of `node`, which the root reaches.
    pub(super) fn place_of(&self, node: Node) -> &Place {
        let serial = match node {
            Node::Directory(DirectoryId(id)) => self.serials.directories[id as usize],
            Node::Inode(InodeId(id)) => self.serials.inodes[id as usize],
        };
        &self.places[serial as usize]
    }

    /// Mode, owner, time and attributes of `node`.
    pub(super) fn metadata(&self, node: Node) -> &'a Metadata {
        match node {
            Node::Directory(id) => &self.tree.directory(id).metadata,
            Node::Inode(id) => &self.tree.inode(id).metadata,
        }
    }

    /// Length of the data of the inode at `place`, wherever it lies.
    pub(super) fn size_bytes(&self, place: &Place) -> u64 {
        match place.node {
            Node::Inode(id) => match &self.tree.inode(id).kind {
                Kind::File(content) => content.size_bytes,
                _ => place.size_bytes,
            },
            Node::Directory(_) => place.size_bytes,
        }
    }

    /// Lists the inodes breadth-first and counts their names.
    fn visit(&mut self) -> Result<(), Error> {
        self.push(Node::Directory(DirectoryId::ROOT), 0)?;
        let mut serial = 0;
        while let Some(place) = self.places.get(serial) {
            if let Node::Directory(id) = place.node {
                let directory = self.tree.directory(id);
                self.visit_children(directory, serial)?;
                self.places[serial].size_bytes = directory_bytes(directory);
            }
            serial += 1;
        }
        Ok(())
    }

    fn visit_children(&mut self, directory: &Directory, parent: usize) -> Result<(), Error> {
        for (name, &node) in &directory.entries {
            check_name(name)?;
            let seen = *self.serials.slot(node);
            match node {
                Node::Directory(_) if seen != UNVISITED => {
                    return Err(Error::DirectoryTwice(name.clone()));
                }
                Node::Directory(_) => {
                    self.push(node, parent)?;
                    self.places[parent].nlink += 1;
                }
                Node::Inode(_) if seen != UNVISITED => self.places[seen as usize].nlink += 1,
                Node::Inode(_) => self.push(node, parent)?,
            }
        }
        Ok(())
    }

    /// Adds `node`, of which one name has been seen.
    fn push(&mut self, node: Node, parent: usize) -> Result<(), Error> {
        let size_bytes = match node {
            Node::Directory(_) => 0,
            Node::Inode(id) => metadata_bytes(&self.tree.inode(id).kind)?,
        };
        let nanoseconds = self.metadata(node).mtime.nanoseconds;
        if nanoseconds >= 1_000_000_000 {
            return Err(Error::Nanoseconds(nanoseconds));
        }
        *self.serials.slot(node) = serial_of(self.places.len());
        self.places.push(Place {
            node,
            parent: serial_of(parent),
            nid: 0,
            nlink: if matches!(node, Node::Directory(_)) { 2 } else { 1 },
            size_bytes,
            block: 0,
            form: Form::Extended,
            layout: DataLayout::FlatPlain,
        });
        Ok(())
    }

    /// Makes the inodes compact that can be. A compact inode has the superblock's time, so that time is
    /// the most frequent one; of several, the earliest. The root is always extended.
    fn choose_forms(&mut self) {
        let mut times: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for place in self.places.iter().skip(1).filter(|place| self.fits_compact(place)) {
            *times.entry(self.metadata(place.node).mtime).or_default() += 1;
        }
        let most = times.into_iter().rev().max_by_key(|&(_, count)| count);
        self.epoch = most.map(|(time, _)| time).unwrap_or_default();
        for serial in 1..self.places.len() {
            let place = &self.places[serial];
            if self.fits_compact(place) && self.metadata(place.node).mtime == self.epoch {
                self.places[serial].form = Form::Compact;
            }
        }
    }

    fn fits_compact(&self, place: &Place) -> bool {
        let metadata = self.metadata(place.node);
        [metadata.uid, metadata.gid, place.nlink]
            .iter()
            .all(|&number| u16::try_from(number).is_ok())
            && u32::try_from(self.size_bytes(place)).is_ok()
    }

    /// Gives each inode its number, then each long directory and symlink its blocks.
    fn place(&mut self) -> Result<(), Error> {
        let mut cursor = u64::from(ROOT_NID) * SLOT;
        for serial in 0..self.places.len() {
            let place = &self.places[serial];
            let area_bytes = xattr::area_bytes(&self.metadata(place.node).xattrs)?;
            let head_bytes = (place.form.size_bytes() + area_bytes) as u64;
            let tail_bytes = place.tail_bytes();
            let (start, layout) = fit(cursor, head_bytes, tail_bytes, serial == 0);
            let inline_bytes = match layout {
                DataLayout::FlatPlain => 0,
                DataLayout::FlatInline => tail_bytes,
            };
            cursor = (start + head_bytes + inline_bytes).next_multiple_of(SLOT);
            check_metadata_bytes(cursor)?;
            let place = &mut self.places[serial];
            place.layout = layout;
            place.nid = u32::try_from(start / SLOT).expect("metadata is limited");
        }
        let mut block = blocks_of(cursor);
        for place in &mut self.places {
            place.block = u32::try_from(block).expect("metadata is limited");
            block += place.metadata_blocks();
            check_metadata_bytes(block * BLOCK)?;
        }
        self.blocks = u32::try_from(block).expect("metadata is limited");
        Ok(())
    }
}

impl Place {
    /// Bytes of the last, partial block of what lies in the metadata.
    fn tail_bytes(&self) -> u64 {
        self.size_bytes % BLOCK
    }

    /// Blocks of what lies in the metadata and is not inline.
    pub(super) const fn metadata_blocks(&self) -> u64 {
        match self.layout {
            DataLayout::FlatPlain => blocks_of(self.size_bytes),
            DataLayout::FlatInline => self.size_bytes / BLOCK,
        }
    }
}

/// Where an inode with its attributes and, where it fits, its tail starts from `cursor_bytes` on. What
/// fits a block never straddles two; but the root stays where the superblock says.
fn fit(cursor_bytes: u64, head_bytes: u64, tail_bytes: u64, is_root: bool) -> (u64, DataLayout) {
    let room_bytes = BLOCK - cursor_bytes % BLOCK;
    let longest_bytes = if is_root { room_bytes } else { BLOCK };
    let (layout, whole_bytes) = match head_bytes + tail_bytes {
        whole_bytes if tail_bytes > 0 && whole_bytes <= longest_bytes => {
            (DataLayout::FlatInline, whole_bytes)
        }
        _ => (DataLayout::FlatPlain, head_bytes),
    };
    let straddles = whole_bytes > room_bytes && whole_bytes <= longest_bytes;
    let start_bytes = if straddles { cursor_bytes + room_bytes } else { cursor_bytes };
    (start_bytes, layout)
}

fn serial_of(index: usize) -> u32 {
    u32::try_from(index).expect("a tree's tables are numbered in 32 bits and below their end")
}

fn check_metadata_bytes(size_bytes: u64) -> Result<(), Error> {
    if size_bytes > METADATA_BYTES_MAX {
        return Err(Error::Metadata { size_bytes, max_bytes: METADATA_BYTES_MAX });
    }
    Ok(())
}

fn check_name(name: &Name) -> Result<(), Error> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if !fits || name.iter().any(|byte| b"/\0".contains(byte)) || matches!(&**name, b"." | b"..") {
        return Err(Error::Name(name.clone()));
    }
    Ok(())
}

/// Bytes that an inode which is no directory has in the metadata: those of a symlink's target.
fn metadata_bytes(kind: &Kind) -> Result<u64, Error> {
    match kind {
        Kind::Symlink(target) if (1..=SYMLINK_BYTES_MAX).contains(&target.len()) => {
            Ok(target.len() as u64)
        }
        Kind::Symlink(target) => Err(Error::Symlink(target.len())),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataLayout::{FlatInline, FlatPlain};

    #[test]
    fn what_fits_a_block_never_straddles_two() {
        assert_eq!(fit(64, 64, 100, false), (64, FlatInline));
        assert_eq!(fit(4032, 64, 0, false), (4032, FlatPlain));
        assert_eq!(fit(4064, 64, 0, false), (4096, FlatPlain));
        assert_eq!(fit(4032, 64, 1, false), (4096, FlatInline));
        assert_eq!(fit(64, 64, 4032, false), (4096, FlatInline));
        assert_eq!(fit(64, 64, 4033, false), (64, FlatPlain));
        assert_eq!(fit(64, 5000, 0, false), (64, FlatPlain));
    }

    #[test]
    fn a_place_is_small_since_there_are_millions() {
        assert!(size_of::<Place>() <= 48, "{}", size_of::<Place>());
    }

    #[test]
    fn the_root_stays_where_the_superblock_says() {
        assert_eq!(fit(32, 64, 4000, true), (32, FlatInline));
        assert_eq!(fit(32, 64, 4001, true), (32, FlatPlain));
        assert_eq!(fit(32, 4096, 100, true), (32, FlatPlain));
    }

    #[test]
    fn compact_inodes_have_the_most_frequent_time_and_of_several_the_earliest() {
        let mut tree = Tree::new(Metadata::implied());
        for (name, seconds) in [(b"a", 3), (b"b", 2), (b"c", 2), (b"d", 3), (b"e", 1)] {
            let mut metadata = Metadata::implied();
            metadata.mtime.seconds = seconds;
            let id = tree.add_directory(metadata);
            tree.insert(DirectoryId::ROOT, (*name).into(), Node::Directory(id));
        }
        let layout = Layout::new(&tree, Forms::Shortest).unwrap();
        assert_eq!(layout.epoch.seconds, 2);
        let forms = layout.places.iter().map(|place| place.form == Form::Compact);
        let compact: Vec<bool> = forms.collect();
        assert_eq!(compact, [false, false, true, true, false, false]);
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused() {
        let names: [&[u8]; 6] = [b"", b".", b"..", b"a/b", b"a\0", &[b'a'; 256]];
        for name in names {
            let mut tree = Tree::new(Metadata::implied());
            let id = tree.add_directory(Metadata::implied());
            tree.insert(DirectoryId::ROOT, name.into(), Node::Directory(id));
            let refused = Layout::new(&tree, Forms::Extended);
            assert!(matches!(refused, Err(Error::Name(_))), "{name:?}");
        }
        let mut tree = Tree::new(Metadata::implied());
        tree.insert(DirectoryId::ROOT, (*b"loop").into(), Node::Directory(DirectoryId::ROOT));
        let refused = Layout::new(&tree, Forms::Extended);
        assert!(matches!(refused, Err(Error::DirectoryTwice(_))));
    }
}
