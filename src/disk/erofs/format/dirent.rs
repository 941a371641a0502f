//! `struct erofs_dirent`: a directory's blocks hold these in front, then the names.

use crate::disk::erofs::format::inode::{
    S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG,
};
use crate::disk::erofs::format::{put, u16_at, u64_at};

/// Bytes of an entry, its name not counted.
pub const DIRENT_BYTES: usize = 12;

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirent {
    /// The inode's place, in slots of 32 bytes from `meta_blkaddr`.
    pub nid: u64,
    /// Where the name starts in the block.
    pub nameoff: u16,
    /// What the inode is, see [`file_type`].
    pub file_type: u8,
}

impl Dirent {
    /// The 12 bytes.
    pub fn encode(&self) -> [u8; DIRENT_BYTES] {
        let mut bytes = [0; DIRENT_BYTES];
        put(&mut bytes, 0, self.nid.to_le_bytes());
        put(&mut bytes, 8, self.nameoff.to_le_bytes());
        put(&mut bytes, 10, [self.file_type]);
        bytes
    }

    /// Reads an entry; `None` if its reserved byte is not zero.
    pub fn decode(bytes: &[u8; DIRENT_BYTES]) -> Option<Self> {
        (bytes[11] == 0).then(|| Self {
            nid: u64_at(bytes, 0),
            nameoff: u16_at(bytes, 8),
            file_type: bytes[10],
        })
    }
}

/// The kernel's `FT_*` number for an inode's mode; 0, unknown, for what is never written.
pub const fn file_type(mode: u16) -> u8 {
    match mode & S_IFMT {
        S_IFREG => 1,
        S_IFDIR => 2,
        S_IFCHR => 3,
        S_IFBLK => 4,
        S_IFIFO => 5,
        S_IFLNK => 7,
        _ => 0,
    }
}
