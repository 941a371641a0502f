//! The structures of EROFS as this crate writes them, little-endian, with the names of `erofs_fs.h`.
//!
//! Only the part of the format that is written here can be expressed: 4 KiB blocks, flat files, inline
//! extended attributes. Decoding is strict: whatever does not encode to the same bytes again is refused,
//! so a field that must be zero is zero.

use crate::disk::buffer;

pub mod superblock;

pub mod inode;

pub mod dirent;

pub mod xattr;

/// `blkszbits`: blocks of 4 KiB mount on kernels with pages of 4, 16 and 64 KiB.
pub const BLOCK_BITS: u8 = 12;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 1 << BLOCK_BITS;
const _: () = assert!(BLOCK_BYTES == buffer::BLOCK_BYTES);

/// Bytes of a block, for offsets.
pub const BLOCK: u64 = 1 << BLOCK_BITS;

/// Bytes of the unit that inodes are numbered in (`EROFS_SLOTSIZE`).
pub const SLOT: u64 = 32;

/// An address that means "no block" (`EROFS_NULL_ADDR`).
pub const EROFS_NULL_ADDR: u32 = u32::MAX;

/// The root's place. Never 0: the kernel's readdir hides entries with inode number 0, so that `ls -a`
/// would lose `.` and `..`.
pub const ROOT_NID: u16 = 1;

/// Bytes of all metadata of one image. Ten million inodes with names of 50 bytes need about half; a
/// reader that holds the tree in memory is bounded by it.
pub const METADATA_BYTES_MAX: u64 = 2 << 30;

/// The blocks that `size_bytes` fill, the last one perhaps in part.
pub const fn blocks_of(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(BLOCK)
}

/// The `N` bytes at `offset` of a structure of fixed length.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(field(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(field(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(field(bytes, offset))
}

/// Puts `field` at `offset` of a structure of fixed length.
fn put<const N: usize>(bytes: &mut [u8], offset: usize, field: [u8; N]) {
    bytes[offset..offset + N].copy_from_slice(&field);
}
