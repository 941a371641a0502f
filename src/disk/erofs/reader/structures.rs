//! Inodes, extended attributes and inline data, read one by one through a small cache.

use crate::disk::erofs::format::inode::{COMPACT_BYTES, DataLayout, EXTENDED_BYTES, Form, Inode};
use crate::disk::erofs::format::superblock::Superblock;
use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES, SLOT, blocks_of, xattr};
use crate::disk::erofs::reader::error::ReadError;
use crate::disk::file::ReadAt;
use crate::layer::tree::Xattrs;

/// Blocks that are kept: 1 MiB. Inodes and directories are each read almost in sequence.
const CACHED_BLOCKS: usize = 256;

/// A place of the cache: a block's index and its bytes.
type Cached = Option<(u64, Box<[u8; BLOCK_BYTES]>)>;

/// Reads structures of one image. All that is read is charged to a budget, so an image whose structures
/// share bytes ends in an error, not in memory.
pub(in crate::disk::erofs) struct Structures<'a, R> {
    file: &'a R,
    superblock: Superblock,
    budget_bytes: u64,
    used_bytes: u64,
    cache: Vec<Cached>,
}

impl<'a, R: ReadAt> Structures<'a, R> {
    pub(super) fn new(file: &'a R, superblock: Superblock, budget_bytes: u64) -> Self {
        Self { file, superblock, budget_bytes, used_bytes: 0, cache: vec![None; CACHED_BLOCKS] }
    }

    /// Reads the inode at `nid`.
    pub(in crate::disk::erofs) fn inode(&mut self, nid: u64) -> Result<Inode, ReadError> {
        let wrong = ReadError::Inode { nid, problem: "is damaged or of an unsupported form" };
        let offset = self.offset_of(nid)?;
        let mut bytes = [0; EXTENDED_BYTES];
        self.read(nid, offset, &mut bytes[..COMPACT_BYTES])?;
        match Inode::form_of(&[bytes[0], bytes[1]]) {
            Some(Form::Compact) => {}
            Some(Form::Extended) => {
                self.read(nid, offset + COMPACT_BYTES as u64, &mut bytes[COMPACT_BYTES..])?;
            }
            None => return Err(wrong),
        }
        let inode = Inode::decode(&bytes, self.superblock.epoch).ok_or(wrong)?;
        self.charge(nid, inode.form.size_bytes() as u64)?;
        Ok(inode)
    }

    /// Reads the attributes of the inode at `nid`.
    pub(in crate::disk::erofs) fn xattrs(
        &mut self,
        nid: u64,
        inode: &Inode,
    ) -> Result<Xattrs, ReadError> {
        let area_bytes = xattr::area_bytes_of(inode.xattr_icount);
        self.charge(nid, area_bytes as u64)?;
        let mut area = vec![0; area_bytes];
        let offset = self.offset_of(nid)? + inode.form.size_bytes() as u64;
        self.read(nid, offset, &mut area)?;
        xattr::decode(&area)
            .ok_or(ReadError::Inode { nid, problem: "has damaged extended attributes" })
    }

    /// Reads block `index` of the directory or symlink at `nid`, of which the last one ends with the
    /// data. `block` holds nothing if the data has ended before.
    pub(in crate::disk::erofs) fn data_block(
        &mut self,
        nid: u64,
        inode: &Inode,
        index: u64,
        block: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        block.clear();
        let Some(left_bytes) = inode.size_bytes.checked_sub(index * BLOCK).filter(|&b| b > 0)
        else {
            return Ok(());
        };
        let count = left_bytes.min(BLOCK);
        let inline = inode.layout == DataLayout::FlatInline && index == inode.size_bytes / BLOCK;
        let offset = if inline {
            let head_bytes = inode.form.size_bytes() + xattr::area_bytes_of(inode.xattr_icount);
            let offset = self.offset_of(nid)? + head_bytes as u64;
            if offset % BLOCK + count > BLOCK {
                return Err(ReadError::Inode { nid, problem: "has inline data across blocks" });
            }
            offset
        } else {
            (u64::from(inode.i_u) + index) * BLOCK
        };
        self.charge(nid, if inline { count } else { BLOCK })?;
        block.resize(usize::try_from(count).unwrap_or(BLOCK_BYTES), 0);
        self.read(nid, offset, block)
    }

    /// Checks that the data of a directory or symlink can be where its inode says.
    pub(super) fn check_data(&self, nid: u64, inode: &Inode) -> Result<(), ReadError> {
        let problem = match inode.layout {
            DataLayout::FlatInline if inode.size_bytes.is_multiple_of(BLOCK) => {
                "has no partial block to be inline"
            }
            _ if blocks_of(inode.size_bytes) > u64::from(self.superblock.blocks) => {
                "is longer than its image"
            }
            _ => return Ok(()),
        };
        Err(ReadError::Inode { nid, problem })
    }

    fn offset_of(&self, nid: u64) -> Result<u64, ReadError> {
        nid.checked_mul(SLOT)
            .and_then(|offset| offset.checked_add(u64::from(self.superblock.meta_blkaddr) * BLOCK))
            .filter(|&offset| offset < u64::from(self.superblock.blocks) * BLOCK)
            .ok_or(ReadError::Inode { nid, problem: "lies outside the image" })
    }

    fn charge(&mut self, nid: u64, count: u64) -> Result<(), ReadError> {
        self.used_bytes = self.used_bytes.saturating_add(count);
        if self.used_bytes > self.budget_bytes {
            return Err(ReadError::Budget { nid, budget_bytes: self.budget_bytes });
        }
        Ok(())
    }

    /// Fills `buffer` with bytes that belong to the inode at `nid`.
    fn read(&mut self, nid: u64, mut offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut rest = buffer;
        while !rest.is_empty() {
            let index = offset / BLOCK;
            if index >= u64::from(self.superblock.blocks) {
                return Err(ReadError::Inode { nid, problem: "lies outside the image" });
            }
            let block = cached(&mut self.cache, self.file, index)?;
            let within = &block[usize::try_from(offset % BLOCK).unwrap_or_default()..];
            let (now, later) = rest.split_at_mut(within.len().min(rest.len()));
            now.copy_from_slice(&within[..now.len()]);
            offset += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

/// The block at `index`, read if it is not in the cache.
fn cached<'c>(
    cache: &'c mut [Cached],
    file: &impl ReadAt,
    index: u64,
) -> Result<&'c [u8; BLOCK_BYTES], ReadError> {
    let place = usize::try_from(index % CACHED_BLOCKS as u64).unwrap_or_default();
    let slot = &mut cache[place];
    if slot.as_ref().is_none_or(|(there, _)| *there != index) {
        let mut block = Box::new([0; BLOCK_BYTES]);
        file.read_at(index * BLOCK, &mut block[..])?;
        *slot = Some((index, block));
    }
    match slot {
        Some((_, block)) => Ok(block),
        None => unreachable!("the block was just put there"),
    }
}
