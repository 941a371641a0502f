//! Taking bytes from the front of pieces of input.

use crate::layer::tar::header::{BLOCK_BYTES, Block};

/// Takes at most `max` bytes.
pub(super) fn take<'a>(input: &mut &'a [u8], max: u64) -> &'a [u8] {
    let count = usize::try_from(max).map_or(input.len(), |max| max.min(input.len()));
    let (taken, rest) = input.split_at(count);
    *input = rest;
    taken
}

/// Takes whole blocks, and keeps the part of one that the next piece of input completes.
#[derive(Debug)]
pub(super) struct BlockReader {
    block: Block,
    filled: usize,
}

impl BlockReader {
    pub(super) fn new() -> Self {
        Self { block: [0; BLOCK_BYTES], filled: 0 }
    }

    /// Bytes of an incomplete block.
    pub(super) fn pending_bytes(&self) -> u64 {
        self.filled as u64
    }

    /// The next block, once it is complete.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<Block> {
        if self.filled == 0
            && let Some((block, rest)) = input.split_first_chunk()
        {
            *input = rest;
            return Some(*block);
        }
        let missing = BLOCK_BYTES - self.filled;
        let part = take(input, missing as u64);
        self.block[self.filled..self.filled + part.len()].copy_from_slice(part);
        self.filled += part.len();
        if self.filled < BLOCK_BYTES {
            return None;
        }
        self.filled = 0;
        Some(self.block)
    }
}
