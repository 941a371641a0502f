//! The image of one layer, written in one pass while its tar streams.
//!
//! ```text
//! block 0      1 KiB of zeros, then the superblock; written last
//! block 1 …    file data in tar order, each file on a block boundary
//! block M …    metadata
//! ```
//!
//! Bytes go from the decompressor to their final place: only the tree is held. Whole blocks of zeros are
//! left as holes. A file whose bytes another file of the layer has already is stored once: when it ends,
//! the append cursor goes back to where it began. Candidates are all files that are not empty, in tar
//! order, also those that a later entry replaces, so the bytes depend on the tar alone.

use std::collections::BTreeMap;
use std::io;

use self::appender::Appender;
use self::contents::{Hash, Known};
use crate::disk::erofs::error::Error;
use crate::disk::erofs::format::superblock::{EROFS_SUPER_OFFSET, seal};
use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES, EROFS_NULL_ADDR, blocks_of};
use crate::disk::erofs::layout::{Forms, Layout};
use crate::disk::erofs::metadata;
use crate::disk::file::BlockFile;
use crate::layer::entry::DataSink;
use crate::layer::tree::{Content, Tree};
use crate::oci::digest::DiffId;

mod contents;

mod appender;

/// A finished layer image, as an fsmeta and a disk need to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerImage {
    /// Whose layer it is.
    pub diff_id: DiffId,
    /// Its length in blocks of 4 KiB.
    pub blocks: u32,
}

/// Writes the image of one layer: first its files' bytes as a [`DataSink`], then, in
/// [`LayerWriter::finish`], its tree. An error leaves an image that must be thrown away; it has no
/// superblock yet.
#[derive(Debug)]
pub struct LayerWriter<F> {
    out: Appender<F>,
    /// Where the current file starts.
    file_start: u64,
    /// Of the files so far those whose hash is known, by it: the first block of the first that has it.
    files: BTreeMap<Hash, u32>,
    /// By its head, a file of which no more is known: its first block and its size.
    heads: BTreeMap<Hash, (u32, u64)>,
}

impl<F: BlockFile> LayerWriter<F> {
    /// Starts an image in `file`, whose former content is dropped.
    pub fn new(file: F) -> Result<Self, Error> {
        Ok(Self {
            out: Appender::new(file, BLOCK)?,
            file_start: BLOCK,
            files: BTreeMap::new(),
            heads: BTreeMap::new(),
        })
    }

    /// Writes the metadata of `tree`, whose files' addresses came from this writer, and last of all the
    /// superblock. The file's length is then a multiple of 4096 bytes. A file that did not end is dropped.
    pub fn finish(mut self, tree: &Tree, diff_id: DiffId) -> Result<(F, LayerImage), Error> {
        self.out.rewind(self.file_start)?;
        self.out.begin_cached()?;
        // The tables of the metadata take their memory.
        self.files.clear();
        self.heads.clear();
        let layout = Layout::new(tree, Forms::Extended)?;
        let too_large = || Error::Blocks("the layer image");
        let meta_blkaddr = u32::try_from(self.out.position() / BLOCK).map_err(|_| too_large())?;
        let blocks = meta_blkaddr
            .checked_add(layout.blocks)
            .filter(|&blocks| blocks < EROFS_NULL_ADDR)
            .ok_or_else(too_large)?;
        metadata::write(
            &layout,
            meta_blkaddr,
            |content| address_within(content, meta_blkaddr),
            &mut self.out,
        )?;
        let mut file = self.out.finish()?;
        let superblock =
            metadata::superblock(&layout, meta_blkaddr, blocks, uuid(diff_id)).encode();
        let mut block = [0; BLOCK_BYTES];
        block[EROFS_SUPER_OFFSET..][..superblock.len()].copy_from_slice(&superblock);
        seal(&mut block);
        file.write_at(0, &block)?;
        Ok((file, LayerImage { diff_id, blocks }))
    }

    /// Ends the current file and answers its first block, or that of an equal file before it.
    fn finish_file(&mut self, size_bytes: u64) -> Result<u32, Error> {
        let written_bytes = self.out.position() - self.file_start;
        let hole_bytes = size_bytes
            .checked_sub(written_bytes)
            .ok_or(Error::Size { size_bytes, written_bytes })?;
        let too_large = || Error::Blocks("the layer image");
        let end = blocks_of(self.file_start)
            .checked_add(blocks_of(size_bytes))
            .filter(|&end| end < u64::from(EROFS_NULL_ADDR))
            .ok_or_else(too_large)?;
        self.out.skip(hole_bytes)?;
        self.out.skip(end * BLOCK - self.out.position())?;

        let start = self.file_start;
        let address = u32::try_from(start / BLOCK).map_err(|_| too_large())?;
        let first = self.first_equal(address, size_bytes)?;
        if first == address {
            self.file_start = self.out.position();
            self.out.mark();
        } else {
            self.out.rewind(start)?;
        }
        Ok(first)
    }

    /// The first block of the first file that equals the current one, which has `size_bytes` and may be that.
    fn first_equal(&mut self, address: u32, size_bytes: u64) -> io::Result<u32> {
        let (hash, head) = match self.out.known(size_bytes) {
            Known::Whole(hash, head) => (hash, head),
            Known::Head(head) => {
                self.heads.insert(head, (address, size_bytes));
                return Ok(address);
            }
        };
        let alike = head.and_then(|head| Some((head, *self.heads.get(&head)?)));
        if let Some((head, (first, _))) = alike.filter(|(_, (_, size))| *size == size_bytes) {
            let known = self.out.hash_again(u64::from(first) * BLOCK, size_bytes)?;
            self.files.insert(known, first);
            self.heads.remove(&head);
        }
        Ok(*self.files.entry(hash).or_insert(address))
    }
}

impl<F: BlockFile> DataSink for LayerWriter<F> {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if blocks_of(offset_bytes) >= u64::from(EROFS_NULL_ADDR) {
            return Err(io::Error::other(Error::Blocks("the layer image")));
        }
        let hole_bytes = (self.file_start + offset_bytes)
            .checked_sub(self.out.position())
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.out.skip(hole_bytes)?;
        self.out.append(bytes)
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.finish_file(size_bytes).map_err(|error| match error {
            Error::Io(error) => error,
            error => io::Error::other(error),
        })
    }
}

/// The UUID in the superblock of the image of a layer, which says of which layer it is.
pub fn uuid(diff_id: DiffId) -> [u8; 16] {
    metadata::uuid("sandbox-images/layer/1\0", [diff_id], "")
}

/// The address of a file whose blocks must lie between the superblock's and `end`.
fn address_within(content: &Content, end: u32) -> Result<u32, Error> {
    let file_end = u64::from(content.address).checked_add(blocks_of(content.size_bytes));
    match file_end {
        Some(file_end) if content.address > 0 && file_end <= u64::from(end) => Ok(content.address),
        _ => Err(Error::Content {
            address: content.address,
            size_bytes: content.size_bytes,
            blocks: end,
        }),
    }
}

#[cfg(test)]
mod tests;
