//! One entry of a layer tar, with all its extension headers applied, and where its bytes go.

use std::io;

use crate::layer::tree::{Device, Metadata};

/// What an entry's typeflag says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file, sparse or not.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to [`Entry::link`].
    Symlink,
    /// Another name of the file at [`Entry::link`].
    HardLink,
    /// A character device with the number [`Entry::device`].
    CharDevice,
    /// A block device with the number [`Entry::device`].
    BlockDevice,
    /// A named pipe.
    Fifo,
}

/// One entry of a layer tar. Names are as the archive has them: not cleaned, not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path, up to its first NUL; not necessarily UTF-8.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The target of a symbolic or hard link, else empty.
    pub link: Vec<u8>,
    /// Apparent size of a regular file, holes included, else 0.
    pub size_bytes: u64,
    /// The number of a device, else 0:0.
    pub device: Device,
    /// Mode, owner, time and all extended attributes, byte for byte.
    pub metadata: Metadata,
    /// Where the entry's first header block starts in the uncompressed tar, for messages.
    pub offset_bytes: u64,
}

/// Takes the bytes of regular files while the tar streams, one file after the other.
pub trait DataSink {
    /// Takes `bytes` of the current file at `offset_bytes`. Offsets only grow; what is skipped is a hole.
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()>;

    /// Ends the current file at `size_bytes`, a trailing hole included, and answers its
    /// [`Content::address`](super::tree::Content::address). Never called for an empty file.
    fn finish(&mut self, size_bytes: u64) -> io::Result<u32>;
}
