//! Blocks that wait in memory to be written at once.

use std::ops::Range;

/// Bytes of a block, in memory as in a file a multiple of the units that disks are written in.
pub const BLOCK_BYTES: usize = 4 << 10;

/// Bytes that fit. Each write past the page cache is a request to the disk, and of smaller ones there are more.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;

/// Memory for one large write. It begins where a block may begin, as writes past the page cache need.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
    /// For each whole block, whether it holds anything but zeros.
    stored: Vec<bool>,
}

impl Buffer {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let memory = vec![0; BUFFER_BYTES + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        let stored = Vec::with_capacity(BUFFER_BYTES / BLOCK_BYTES);
        Self { memory, start, len: 0, stored }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len == BUFFER_BYTES
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// How many whole blocks it holds.
    pub(crate) const fn blocks(&self) -> usize {
        self.stored.len()
    }

    /// Of the whole blocks in `range`, those next to each other that hold something and those that do not: where they
    /// start, the bytes, and whether they hold anything but zeros.
    pub fn runs(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &[u8], bool)> {
        let mut start = range.start;
        self.stored[range].chunk_by(|a, b| a == b).map(move |run| {
            let bytes = start * BLOCK_BYTES..(start + run.len()) * BLOCK_BYTES;
            start += run.len();
            (bytes.start, &self.bytes()[bytes], run[0])
        })
    }

    /// Adds as many of `bytes` as fit, and answers the rest.
    pub(crate) fn extend<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.len));
        let end = self.start + self.len;
        self.memory[end..end + now.len()].copy_from_slice(now);
        self.len += now.len();
        let blocks = &self.memory[self.start..end + now.len()][self.stored.len() * BLOCK_BYTES..];
        let whole = blocks.as_chunks::<BLOCK_BYTES>().0;
        self.stored.extend(whole.iter().map(|block| !is_zero(block)));
        later
    }

    /// Keeps the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.stored.truncate(self.len / BLOCK_BYTES);
    }

    /// Moves what is behind the first `count` blocks to the end of `other`.
    pub(crate) fn move_rest(&mut self, count: usize, other: &mut Self) {
        let count = (count * BLOCK_BYTES).min(self.len);
        other.extend(&self.bytes()[count..]);
        self.truncate(count);
    }

    /// Drops the first `count` blocks.
    pub fn drain(&mut self, count: usize) {
        let bytes = (count * BLOCK_BYTES).min(self.len);
        let end = self.start + self.len;
        self.memory.copy_within(self.start + bytes..end, self.start);
        self.len -= bytes;
        self.stored.drain(..count.min(self.stored.len()));
    }
}

/// Whether a block is nothing but zeros. A block that is not mostly shows it in its first bytes.
pub(crate) fn is_zero(block: &[u8]) -> bool {
    block.chunks_exact(16).all(|chunk| chunk == [0; 16].as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_at_a_block_and_holds_what_it_was_given() {
        let mut buffer = Buffer::new();
        let blocks = [[1; BLOCK_BYTES], [0; BLOCK_BYTES], [2; BLOCK_BYTES]].concat();
        assert!(buffer.extend(&blocks[..=BLOCK_BYTES]).is_empty());
        assert!(buffer.extend(&blocks[BLOCK_BYTES + 1..]).is_empty());
        assert!(buffer.extend(b"abc").is_empty());
        assert!(buffer.bytes().as_ptr().addr().is_multiple_of(BLOCK_BYTES));
        let runs: Vec<_> = buffer.runs(0..3).map(|(at, _, stored)| (at, stored)).collect();
        assert_eq!(runs, [(0, true), (BLOCK_BYTES, false), (2 * BLOCK_BYTES, true)]);

        buffer.drain(1);
        let mut other = Buffer::new();
        buffer.move_rest(1, &mut other);
        assert_eq!((buffer.bytes(), buffer.blocks()), (&[0; BLOCK_BYTES][..], 1));
        assert_eq!((other.blocks(), &other.bytes()[BLOCK_BYTES..]), (1, &b"abc"[..]));

        let much = vec![7; BUFFER_BYTES];
        assert_eq!(buffer.extend(&much).len(), BLOCK_BYTES);
        assert!(buffer.is_full());
    }
}
