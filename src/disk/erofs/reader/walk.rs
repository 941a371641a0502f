//! From an image's structures to a [`Tree`], breadth-first, each inode once.

use std::collections::{BTreeMap, VecDeque};

use crate::disk::erofs::format::dirent::{Dirent, file_type};
use crate::disk::erofs::format::inode::{
    DataLayout, Inode as RawInode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG,
    decode_device,
};
use crate::disk::erofs::format::{BLOCK, EROFS_NULL_ADDR, METADATA_BYTES_MAX, blocks_of};
use crate::disk::erofs::reader::directory::entries;
use crate::disk::erofs::reader::error::ReadError;
use crate::disk::erofs::reader::{Image, Structures};
use crate::disk::file::ReadAt;
use crate::layer::limits::SYMLINK_BYTES_MAX;
use crate::layer::tree::{Content, DirectoryId, Inode, Kind, Metadata, Name, Node, Tree};

/// Directories below one another: the most that a path of Linux's `PATH_MAX` can name.
const DEPTH_MAX: usize = 2048;

pub(super) fn read<R: ReadAt>(image: &Image<R>, layer: u16) -> Result<Tree, ReadError> {
    let root = u64::from(image.superblock.root_nid);
    // Structures that do not share bytes cannot be longer together than the image.
    let image_bytes = u64::from(image.superblock.blocks) * BLOCK;
    let mut structures = image.structures(image_bytes.min(METADATA_BYTES_MAX));
    let inode = structures.inode(root)?;
    if inode.mode & S_IFMT != S_IFDIR {
        return Err(wrong(root, "is the root and no directory"));
    }
    let tree = Tree::new(metadata(&mut structures, root, &inode)?);
    let seen = Seen {
        node: Node::Directory(DirectoryId::ROOT),
        file_type: file_type(inode.mode),
        nlink: inode.nlink,
        names: 2,
    };
    let open = Open { id: DirectoryId::ROOT, nid: root, parent: root, inode, depth: 0 };
    let mut inodes = Inodes::default();
    inodes.insert(root);
    let walk = Walk {
        image,
        layer,
        structures,
        tree,
        inodes,
        seen: BTreeMap::from([(root, seen)]),
        queue: VecDeque::from([open]),
    };
    walk.run()
}

struct Walk<'a, R> {
    image: &'a Image<R>,
    layer: u16,
    structures: Structures<'a, R>,
    tree: Tree,
    inodes: Inodes,
    /// By place, the directories and the inodes that state other than one name.
    seen: BTreeMap<u64, Seen>,
    /// Directories whose entries are still to be read.
    queue: VecDeque<Open>,
}

/// The places of the inodes that names have led to, a bit for each.
#[derive(Default)]
struct Inodes {
    words: BTreeMap<u64, u64>,
    count: u64,
}

impl Inodes {
    /// Whether no name has led to `nid` before.
    fn insert(&mut self, nid: u64) -> bool {
        let (word, bit) = (self.words.entry(nid / 64).or_default(), 1 << (nid % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(is_new);
        is_new
    }
}

/// What is known of an inode that names have led to.
struct Seen {
    node: Node,
    file_type: u8,
    nlink: u32,
    names: u32,
}

/// A directory to be read.
struct Open {
    id: DirectoryId,
    nid: u64,
    parent: u64,
    inode: RawInode,
    depth: usize,
}

impl<R: ReadAt> Walk<'_, R> {
    fn run(mut self) -> Result<Tree, ReadError> {
        while let Some(directory) = self.queue.pop_front() {
            self.read_directory(&directory)?;
        }
        for (&nid, seen) in &self.seen {
            if seen.nlink != seen.names {
                return Err(miscounted(nid));
            }
        }
        if self.image.superblock.inos != self.inodes.count {
            return Err(ReadError::Unsupported("number of inodes"));
        }
        Ok(self.tree)
    }

    fn read_directory(&mut self, directory: &Open) -> Result<(), ReadError> {
        let nid = directory.nid;
        self.structures.check_data(nid, &directory.inode)?;
        let mut block = Vec::new();
        let mut last: Vec<u8> = Vec::new();
        let mut dots = 0;
        let mut names: Vec<(Name, Node)> = Vec::new();
        for index in 0..blocks_of(directory.inode.size_bytes) {
            self.structures.data_block(nid, &directory.inode, index, &mut block)?;
            for (name, dirent) in entries(&block).map_err(|problem| wrong(nid, problem))? {
                if *name <= *last {
                    return Err(wrong(nid, "has names that do not ascend"));
                }
                name.clone_into(&mut last);
                match name {
                    b"." | b".." => {
                        let target = if name.len() == 1 { nid } else { directory.parent };
                        if dirent.nid != target || dirent.file_type != file_type(S_IFDIR) {
                            return Err(wrong(nid, "has `.` or `..` that lead elsewhere"));
                        }
                        dots += 1;
                    }
                    _ => names.push((name.into(), self.read_entry(directory, dirent)?)),
                }
            }
        }
        if dots != 2 {
            return Err(wrong(nid, "is a directory without `.` or `..`"));
        }
        self.tree.insert_all(directory.id, names.into_iter().collect());
        Ok(())
    }

    /// What an entry of `parent` refers to.
    fn read_entry(&mut self, parent: &Open, dirent: Dirent) -> Result<Node, ReadError> {
        let nid = dirent.nid;
        let (node, file_type) = if self.inodes.insert(nid) {
            self.read_inode(parent, nid)?
        } else {
            let seen = self.seen.get_mut(&nid).ok_or_else(|| miscounted(nid))?;
            if matches!(seen.node, Node::Directory(_)) {
                return Err(wrong(nid, "is a directory with two names"));
            }
            seen.names += 1;
            (seen.node, seen.file_type)
        };
        if file_type != dirent.file_type {
            return Err(wrong(nid, "has another type than its name states"));
        }
        Ok(node)
    }

    /// Reads the inode that its first name, in `parent`, leads to, and answers it and its type.
    fn read_inode(&mut self, parent: &Open, nid: u64) -> Result<(Node, u8), ReadError> {
        let inode = self.structures.inode(nid)?;
        let file_type = file_type(inode.mode);
        let metadata = metadata(&mut self.structures, nid, &inode)?;
        let (node, names) = if inode.mode & S_IFMT == S_IFDIR {
            let id = self.tree.add_directory(metadata);
            let depth = parent.depth + 1;
            if depth > DEPTH_MAX {
                return Err(wrong(nid, "is a directory too deep below the root"));
            }
            self.queue.push_back(Open { id, nid, parent: parent.nid, inode, depth });
            if let Some(seen) = self.seen.get_mut(&parent.nid) {
                seen.names += 1;
            }
            (Node::Directory(id), 2)
        } else {
            let kind = self.kind(nid, &inode)?;
            (Node::Inode(self.tree.add_inode(Inode { metadata, kind })), 1)
        };
        if (inode.nlink, names) != (1, 1) {
            self.seen.insert(nid, Seen { node, file_type, nlink: inode.nlink, names });
        }
        Ok((node, file_type))
    }

    fn kind(&mut self, nid: u64, inode: &RawInode) -> Result<Kind, ReadError> {
        let file_type = inode.mode & S_IFMT;
        let has_inline_data = inode.layout == DataLayout::FlatInline;
        if file_type != S_IFLNK && has_inline_data {
            return Err(wrong(nid, "has inline data and is neither directory nor symlink"));
        }
        if !matches!(file_type, S_IFLNK | S_IFREG) && inode.size_bytes > 0 {
            return Err(wrong(nid, "has data and is a device or a pipe"));
        }
        match file_type {
            S_IFREG => Ok(Kind::File(self.content(nid, inode)?)),
            S_IFLNK => self.symlink(nid, inode),
            S_IFCHR => Ok(Kind::CharDevice(decode_device(inode.i_u))),
            S_IFBLK => Ok(Kind::BlockDevice(decode_device(inode.i_u))),
            S_IFIFO if inode.i_u == 0 => Ok(Kind::Fifo),
            _ => Err(wrong(nid, "is of no type that is written here")),
        }
    }

    fn symlink(&mut self, nid: u64, inode: &RawInode) -> Result<Kind, ReadError> {
        if inode.size_bytes == 0 || inode.size_bytes > SYMLINK_BYTES_MAX as u64 {
            return Err(wrong(nid, "is a symlink whose target is empty or too long"));
        }
        self.structures.check_data(nid, inode)?;
        let mut target = Vec::new();
        self.structures.data_block(nid, inode, 0, &mut target)?;
        Ok(Kind::Symlink(target.into()))
    }

    /// Finds the layer and the block in it of a regular file.
    fn content(&self, nid: u64, inode: &RawInode) -> Result<Content, ReadError> {
        let size_bytes = inode.size_bytes;
        if size_bytes == 0 {
            return match inode.i_u {
                EROFS_NULL_ADDR => Ok(Content { layer: self.first_layer(), ..Content::default() }),
                _ => Err(wrong(nid, "is an empty file with blocks")),
            };
        }
        let (layer, start, blocks) = match self.image.devices.as_slice() {
            [] => (self.layer, 0, self.image.superblock.blocks),
            devices => {
                let index = devices
                    .partition_point(|device| device.uniaddr <= inode.i_u)
                    .checked_sub(1)
                    .ok_or(wrong(nid, "has data in front of the devices"))?;
                let layer = u16::try_from(index).map_err(|_| wrong(nid, "is on no device"))?;
                (layer, devices[index].uniaddr, devices[index].blocks)
            }
        };
        let address = inode.i_u - start;
        let end = u64::from(address).checked_add(blocks_of(size_bytes));
        if address == 0 || end.is_none_or(|end| end > u64::from(blocks)) {
            return Err(wrong(nid, "has data outside its image"));
        }
        Ok(Content { size_bytes, layer, address })
    }

    /// The layer of files without data: the one that was given, or none in particular of an fsmeta.
    fn first_layer(&self) -> u16 {
        if self.image.devices.is_empty() { self.layer } else { 0 }
    }
}

fn metadata<R: ReadAt>(
    structures: &mut Structures<'_, R>,
    nid: u64,
    inode: &RawInode,
) -> Result<Metadata, ReadError> {
    Ok(Metadata {
        mode: inode.mode & 0o7777,
        uid: inode.uid,
        gid: inode.gid,
        mtime: inode.mtime,
        xattrs: structures.xattrs(nid, inode)?,
    })
}

const fn miscounted(nid: u64) -> ReadError {
    wrong(nid, "has another number of names than it states")
}

const fn wrong(nid: u64, problem: &'static str) -> ReadError {
    ReadError::Inode { nid, problem }
}
