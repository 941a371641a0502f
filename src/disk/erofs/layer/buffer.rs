//! Memory for large writes that begins where a block may begin, as writes past the page cache need.

use crate::disk::erofs::format::BLOCK_BYTES;

/// Bytes that fit. Each write past the page cache is a request to the disk, and of smaller ones there are more.
pub(super) const BUFFER_BYTES: usize = 1 << 20;

/// Up to [`BUFFER_BYTES`], the first of which lies at a multiple of a block's size in memory.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        let memory = vec![0; BUFFER_BYTES + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        Self { memory, start, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// Adds as many of `bytes` as fit, and answers the rest.
    pub(super) fn extend<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(BUFFER_BYTES - self.len));
        let end = self.start + self.len;
        self.memory[end..end + now.len()].copy_from_slice(now);
        self.len += now.len();
        later
    }

    /// Keeps the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Drops the first `count` bytes.
    pub(super) fn drain(&mut self, count: usize) {
        let count = count.min(self.len);
        let end = self.start + self.len;
        self.memory.copy_within(self.start + count..end, self.start);
        self.len -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_at_a_block_and_holds_what_it_was_given() {
        let mut buffer = Buffer::new();
        assert!(buffer.extend(b"abcdef").is_empty());
        assert!(buffer.bytes().as_ptr().addr().is_multiple_of(BLOCK_BYTES));
        buffer.drain(2);
        buffer.truncate(3);
        assert_eq!(buffer.bytes(), b"cde");
        let much = vec![7; BUFFER_BYTES];
        assert_eq!(buffer.extend(&much).len(), 3);
        assert_eq!(buffer.len(), BUFFER_BYTES);
    }
}
