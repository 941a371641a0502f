//! What a file holds, as the hash by which equal files are found.
//!
//! It is BLAKE3, which nobody can make collide, so that files need not be compared. Of a large file only the head is
//! hashed as long as no file before it began like it: it can equal none of them. Should a later one of its size begin
//! like it, it is read again, once. A hole must never be read, however large it is: so a file that has one behind its
//! head, or across its end, is hashed whole.

use std::collections::BTreeSet;

use crate::disk::buffer::is_zero;
use crate::disk::erofs::format::BLOCK_BYTES;

/// Blocks of the head of a large file, which has at least as many.
const HEAD_BLOCKS: u64 = 16;

/// Equal only if what was hashed is.
pub(super) type Hash = [u8; 32];

/// A hash over blocks, in which those of zeros count by where they are.
#[derive(Debug, Default)]
pub(super) struct BlockHasher {
    hasher: Box<blake3::Hasher>,
    /// Blocks since the last that was skipped.
    added: u64,
    /// Blocks that were skipped since.
    skipped: u64,
}

impl BlockHasher {
    /// Adds whole blocks. Those that are zeros alone are left out wherever they come from.
    pub(super) fn add(&mut self, blocks: &[u8]) {
        for run in blocks.as_chunks::<BLOCK_BYTES>().0.chunk_by(|a, b| is_zero(a) == is_zero(b)) {
            if is_zero(&run[0]) {
                self.skip(run.len() as u64);
            } else {
                self.add_stored(run.as_flattened());
            }
        }
    }

    /// As [`Self::add`], of blocks of which none is zeros alone.
    fn add_stored(&mut self, blocks: &[u8]) {
        if self.skipped > 0 {
            let hole = [self.added.to_le_bytes(), self.skipped.to_le_bytes()].concat();
            self.hasher.update(&hole);
            (self.added, self.skipped) = (0, 0);
        }
        self.hasher.update(blocks);
        self.added += (blocks.len() / BLOCK_BYTES) as u64;
    }

    /// Adds `count` blocks of zeros.
    pub(super) const fn skip(&mut self, count: u64) {
        self.skipped += count;
    }

    /// Equal only if `size_bytes` and all blocks are: read from its end, every hole says how many blocks are before
    /// it.
    pub(super) fn finish(&self, size_bytes: u64) -> Hash {
        let mut hasher = self.hasher.clone();
        let end = [self.added, self.skipped, size_bytes].map(u64::to_le_bytes).concat();
        hasher.update(&end).finalize().into()
    }

    fn restart(&mut self) {
        self.hasher.reset();
        (self.added, self.skipped) = (0, 0);
    }
}

/// Hashes one file after the other, as far as it must.
#[derive(Debug, Default)]
pub(super) struct Contents {
    hasher: BlockHasher,
    blocks: u64,
    /// That of the current file, if it is large.
    head: Option<Hash>,
    /// Whether what follows the head does not count.
    stopped: bool,
    /// Those of all files so far.
    heads: BTreeSet<Hash>,
}

/// What is known of a file at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Only its head: no file before it has that.
    Head(Hash),
    /// All of it, and its head if it is large.
    Whole(Hash, Option<Hash>),
}

impl Contents {
    /// Begins with the next file.
    pub(super) fn restart(&mut self) {
        self.hasher.restart();
        (self.blocks, self.head, self.stopped) = (0, None, false);
    }

    /// Whether what follows does not count, unless it is [resumed](Self::resume).
    pub(super) const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Begins the current file again, with what `hasher` was given of it: all, to this point.
    pub(super) fn resume(&mut self, hasher: BlockHasher) {
        (self.hasher, self.stopped) = (hasher, false);
    }

    /// Adds whole blocks, of which none is zeros alone.
    pub(super) fn add(&mut self, mut blocks: &[u8]) {
        while !self.stopped && !blocks.is_empty() {
            let count = self.before_judgement((blocks.len() / BLOCK_BYTES) as u64);
            let bytes = usize::try_from(count).map_or(blocks.len(), |count| count * BLOCK_BYTES);
            let (now, later) = blocks.split_at(bytes);
            self.hasher.add_stored(now);
            self.pass(count);
            blocks = later;
        }
    }

    /// Adds `count` blocks of zeros.
    pub(super) fn skip(&mut self, count: u64) {
        if self.stopped {
            return;
        }
        let now = self.before_judgement(count);
        self.hasher.skip(now);
        self.pass(now);
        if now < count {
            self.stopped = false;
            self.hasher.skip(count - now);
            self.blocks += count - now;
        }
    }

    /// What is known of the current file, which ends here and has `size_bytes`.
    pub(super) fn finish(&self, size_bytes: u64) -> Known {
        match self.head {
            Some(head) if self.stopped => Known::Head(head),
            head => Known::Whole(self.hasher.finish(size_bytes), head),
        }
    }

    /// How many of `count` blocks come before the head's end, if that comes yet.
    fn before_judgement(&self, count: u64) -> u64 {
        match HEAD_BLOCKS.checked_sub(self.blocks) {
            Some(left) if left > 0 => count.min(left),
            _ => count,
        }
    }

    /// The head has ended, or not yet, or long ago.
    fn pass(&mut self, count: u64) {
        self.blocks += count;
        if self.head.is_none() && self.blocks == HEAD_BLOCKS {
            let head = self.hasher.finish(0);
            self.head = Some(head);
            self.stopped = self.heads.insert(head);
        }
    }
}
