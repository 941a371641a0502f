//! File trees in memory: inodes and directories in two tables, names in each directory.
//!
//! One type serves both forms that reach a disk: the merged tree of a stack, and a single layer in its
//! overlay form. A name refers to a directory or to an inode; two names of one inode are a hard link.
//! Entries are kept in the order of their raw bytes, which is the order that EROFS wants.

use std::collections::BTreeMap;

use crate::layer::table::Table;

/// A file name of 1 to 255 bytes, without `/` and NUL; not necessarily UTF-8.
pub type Name = Box<[u8]>;

/// A point in time in floor form: −5.25 s is −6 s and 750,000,000 ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds since 1970, rounded down.
    pub seconds: i64,
    /// Nanoseconds past those seconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// The number of a character or block device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// At most 12 bits, as Linux has it.
    pub major: u32,
    /// At most 20 bits, as Linux has it.
    pub minor: u32,
}

/// Extended attributes: full name (`user.note`, `security.capability`) to value.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// What every inode has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permissions, setuid, setgid and sticky bit: `mode & 07777`.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last modification.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// What a directory gets that no layer has an entry for: 0755, 0:0, time 0.
    pub fn implied() -> Self {
        Self { mode: 0o755, ..Self::default() }
    }

    /// Whether mode, owner and time are the same.
    pub(super) fn equals_without_xattrs(&self, other: &Self) -> bool {
        let fields = |it: &Self| (it.mode, it.uid, it.gid, it.mtime);
        fields(self) == fields(other)
    }
}

/// Where the bytes of a regular file are.
///
/// An address means what the sink that took the bytes says it means: for a layer image the number of the
/// file's first 4 KiB block, for `inspect` an index into a list of digests. It is 0 for an empty file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Content {
    /// Apparent size, holes included.
    pub size_bytes: u64,
    /// Which layer of the stack, counted from the bottom.
    pub layer: u16,
    /// Where in that layer.
    pub address: u32,
}

/// What an inode is, apart from its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(Content),
    /// A symbolic link and its target, 1 to 4,095 bytes.
    Symlink(Box<[u8]>),
    /// A character device. In a layer's overlay form, 0:0 is a whiteout.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// Anything but a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Mode, owner, time and extended attributes.
    pub metadata: Metadata,
    /// What it is.
    pub kind: Kind,
}

/// The place of an [`Inode`] in its tree's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(crate) u32);

impl InodeId {
    /// The place in the table, from 0: what [`Tree::link_counts`] is indexed by.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a [`Directory`] in its tree's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub(crate) u32);

impl DirectoryId {
    /// The root of any tree.
    pub const ROOT: Self = Self(0);
}

/// What a name in a directory refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A directory, which has exactly one name.
    Directory(DirectoryId),
    /// Anything else, which may have several names.
    Inode(InodeId),
}

/// A directory: its own metadata and its entries in the order of their raw bytes, without `.` and `..`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Mode, owner, time and extended attributes.
    pub metadata: Metadata,
    /// The names.
    pub entries: BTreeMap<Name, Node>,
}

/// A file tree. Directories and inodes that no name refers to any more may remain in the tables; nobody
/// who walks from the root sees them.
#[derive(Debug, Clone)]
pub struct Tree {
    directories: Table<Directory>,
    inodes: Table<Inode>,
}

impl Tree {
    /// A tree of nothing but a root directory.
    pub fn new(root: Metadata) -> Self {
        let mut directories = Table::new();
        directories.push(Directory { metadata: root, entries: BTreeMap::new() });
        Self { directories, inodes: Table::new() }
    }

    /// The directory at `id`.
    pub fn directory(&self, id: DirectoryId) -> &Directory {
        &self.directories[id.0 as usize]
    }

    /// The directory at `id`, to be changed.
    pub fn directory_mut(&mut self, id: DirectoryId) -> &mut Directory {
        &mut self.directories[id.0 as usize]
    }

    /// The inode at `id`.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// The inode at `id`, to be changed.
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }

    /// A new empty directory without a name yet.
    ///
    /// # Panics
    /// Beyond 2³² directories; the limit on a layer's entries is a thousandth of that.
    pub fn add_directory(&mut self, metadata: Metadata) -> DirectoryId {
        let id = DirectoryId(u32::try_from(self.directories.len()).expect("entries are limited"));
        self.directories.push(Directory { metadata, entries: BTreeMap::new() });
        id
    }

    /// A new inode without a name yet.
    ///
    /// # Panics
    /// Beyond 2³² inodes; the limit on a layer's entries is a thousandth of that.
    pub fn add_inode(&mut self, inode: Inode) -> InodeId {
        let id = InodeId(u32::try_from(self.inodes.len()).expect("entries are limited"));
        self.inodes.push(inode);
        id
    }

    /// Makes `name` in `parent` refer to `node`, and says what it referred to before.
    pub fn insert(&mut self, parent: DirectoryId, name: Name, node: Node) -> Option<Node> {
        self.directory_mut(parent).entries.insert(name, node)
    }

    /// Makes each of `names` in `parent` refer to its node.
    pub(crate) fn insert_all(&mut self, parent: DirectoryId, names: BTreeMap<Name, Node>) {
        let entries = &mut self.directory_mut(parent).entries;
        if entries.is_empty() {
            *entries = names;
        } else {
            entries.extend(names);
        }
    }

    /// Moves `inodes` to the end of the table, without names yet, and answers how many were before.
    pub(super) fn append_inodes(&mut self, inodes: Table<Inode>) -> usize {
        let count = self.inodes.len();
        self.inodes.extend(inodes);
        count
    }

    /// Takes all inodes out of the table. No name may be followed afterwards.
    pub(super) fn take_inodes(&mut self) -> Table<Inode> {
        std::mem::take(&mut self.inodes)
    }

    /// How many directories the table holds; ids are below it.
    pub fn directory_count(&self) -> usize {
        self.directories.len()
    }

    /// How many inodes the table holds; ids are below it.
    pub fn inode_count(&self) -> usize {
        self.inodes.len()
    }
}
