//! An append cursor over a file, with one large buffer that is used again and again.
//!
//! Many small files become one write. Blocks of nothing but zeros are never written, so they are holes:
//! what lies beyond the written part reads as zeros. To stay true, going back also cuts the file, or
//! dropped bytes would show through a later file's holes. A small file is written when it has ended, so most that
//! are taken back were never written.
//!
//! What has been appended since the last mark is known by a hash, by which equal files are found. It is BLAKE3,
//! which nobody can make collide, so that what is written need never be read to compare it.

use std::io::{self, Write};

use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES};
use crate::disk::erofs::layer::buffer::{BUFFER_BYTES, Buffer};
use crate::disk::file::BlockFile;

/// Appends to a [`BlockFile`] and takes back what need not have been appended.
#[derive(Debug)]
pub(super) struct Appender<F> {
    file: F,
    /// How long the file is. All between here and the buffer is a hole.
    file_bytes: u64,
    /// Where the buffer's first byte goes: a block boundary.
    start: u64,
    /// What has been appended and not written.
    buffer: Buffer,
    /// For each whole block in the buffer, whether it holds anything but zeros.
    stored: Vec<bool>,
    /// Over what was appended since the mark.
    hash: Contents,
    /// A block boundary at or before the cursor.
    mark: u64,
    /// Whether what is written stays in memory, for who reads it next.
    is_cached: bool,
}

impl<F: BlockFile> Appender<F> {
    /// Appends to `file`, which is emptied, from the block boundary `start` on.
    pub(super) fn new(mut file: F, start: u64) -> io::Result<Self> {
        file.set_len(0)?;
        Ok(Self {
            file,
            file_bytes: 0,
            start,
            buffer: Buffer::new(),
            stored: Vec::with_capacity(BUFFER_BYTES / BLOCK_BYTES),
            hash: Contents::default(),
            mark: start,
            is_cached: false,
        })
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    /// The hash of a file of `size_bytes` whose blocks, all whole, are those since the start or the last
    /// [`Self::mark`].
    pub(super) fn hash(&self, size_bytes: u64) -> blake3::Hash {
        self.hash.finish(size_bytes)
    }

    /// Marks the cursor, which is at a block boundary: the hash starts afresh.
    pub(super) fn mark(&mut self) {
        self.hash.restart();
        self.mark = self.position();
    }

    /// Writes what was appended so far. What comes now is read soon after it is written.
    pub(super) fn begin_cached(&mut self) -> io::Result<()> {
        self.flush_blocks(self.position())?;
        self.is_cached = true;
        Ok(())
    }

    /// Appends `bytes`.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() == BUFFER_BYTES {
                self.flush_ended()?;
            }
            bytes = self.buffer.extend(bytes);
            self.judge_blocks();
        }
        Ok(())
    }

    /// Appends `count` zeros. Whole blocks of them cost nothing, however many.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let to_boundary = self.position().next_multiple_of(BLOCK) - self.position();
        let first = to_boundary.min(count);
        self.append(&ZEROS[..usize::try_from(first).map_err(io::Error::other)?])?;
        let rest = count - first;
        let whole = rest - rest % BLOCK;
        if whole > 0 {
            self.flush_blocks(self.position())?;
            self.hash.skip(whole / BLOCK);
            self.start = self.start.checked_add(whole).ok_or(io::ErrorKind::FileTooLarge)?;
        }
        let last = usize::try_from(rest % BLOCK).map_err(io::Error::other)?;
        self.append(&ZEROS[..last])
    }

    /// Takes back what was appended from the block boundary `position` on, and marks that.
    pub(super) fn rewind(&mut self, position: u64) -> io::Result<()> {
        if let Some(kept) = position.checked_sub(self.start) {
            let kept = usize::try_from(kept).map_err(io::Error::other)?;
            self.buffer.truncate(kept);
            self.stored.truncate(kept / BLOCK_BYTES);
        } else {
            self.buffer.truncate(0);
            self.stored.clear();
            self.start = position;
            if self.file_bytes > position {
                self.file.set_len(position)?;
                self.file_bytes = position;
            }
        }
        self.mark();
        Ok(())
    }

    /// Writes what is left, extends the file to the cursor, which is at a block boundary, and answers it.
    pub(super) fn finish(mut self) -> io::Result<F> {
        self.flush_blocks(self.position())?;
        if self.file_bytes < self.start {
            self.file.set_len(self.start)?;
        }
        Ok(self.file)
    }

    /// Looks at the blocks that have become whole: notes which are zeros, and hashes the others.
    fn judge_blocks(&mut self) {
        let judged = self.stored.len();
        let blocks = self.buffer.bytes()[judged * BLOCK_BYTES..].chunks_exact(BLOCK_BYTES);
        self.stored.extend(blocks.map(|block| !is_zero(block)));
        let mut index = judged;
        for run in self.stored[judged..].chunk_by(|a, b| a == b) {
            let end = index + run.len();
            if run[0] {
                self.hash.add(&self.buffer.bytes()[index * BLOCK_BYTES..end * BLOCK_BYTES]);
            } else {
                self.hash.skip(run.len() as u64);
            }
            index = end;
        }
    }

    /// Makes room: writes what is before the mark, or everything if that is little.
    fn flush_ended(&mut self) -> io::Result<()> {
        let is_much = self.mark.saturating_sub(self.start) >= BUFFER_BYTES as u64 / 2;
        self.flush_blocks(if is_much { self.mark } else { self.position() })
    }

    /// Writes the whole blocks in the buffer before `end` that are not zeros, as few writes as there are runs.
    fn flush_blocks(&mut self, end: u64) -> io::Result<()> {
        let count = usize::try_from((end - self.start) / BLOCK).map_err(io::Error::other)?;
        let count = count.min(self.stored.len());
        let mut index = 0;
        for run in self.stored[..count].chunk_by(|a, b| a == b) {
            let bytes =
                &self.buffer.bytes()[index * BLOCK_BYTES..(index + run.len()) * BLOCK_BYTES];
            if run[0] {
                let offset = self.start + (index * BLOCK_BYTES) as u64;
                if self.is_cached {
                    self.file.write_at(offset, bytes)?;
                } else {
                    self.file.write_data_at(offset, bytes)?;
                }
                self.file_bytes = offset + bytes.len() as u64;
            }
            index += run.len();
        }
        self.stored.drain(..count);
        self.buffer.drain(count * BLOCK_BYTES);
        self.start += (count * BLOCK_BYTES) as u64;
        Ok(())
    }
}

/// A hash over blocks, in which those of zeros count by where they are.
#[derive(Debug, Default)]
struct Contents {
    hasher: Box<blake3::Hasher>,
    /// Blocks since the last that was skipped.
    added: u64,
    /// Blocks that were skipped since.
    skipped: u64,
}

impl Contents {
    fn restart(&mut self) {
        self.hasher.reset();
        (self.added, self.skipped) = (0, 0);
    }

    /// Adds whole blocks.
    fn add(&mut self, blocks: &[u8]) {
        if self.skipped > 0 {
            let hole = [self.added.to_le_bytes(), self.skipped.to_le_bytes()].concat();
            self.hasher.update(&hole);
            (self.added, self.skipped) = (0, 0);
        }
        self.hasher.update(blocks);
        self.added += (blocks.len() / BLOCK_BYTES) as u64;
    }

    /// Adds `count` blocks of zeros.
    const fn skip(&mut self, count: u64) {
        self.skipped += count;
    }

    /// Equal only if `size_bytes` and all blocks are: read from its end, every hole says how many blocks are before
    /// it.
    fn finish(&self, size_bytes: u64) -> blake3::Hash {
        let mut hasher = self.hasher.clone();
        let end = [self.added, self.skipped, size_bytes].map(u64::to_le_bytes).concat();
        hasher.update(&end).finalize()
    }
}

impl<F: BlockFile> Write for Appender<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a block is nothing but zeros. A block that is not mostly shows it in its first bytes.
fn is_zero(block: &[u8]) -> bool {
    block.chunks_exact(16).all(|chunk| chunk == [0; 16].as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of this letter; a space is a block of zeros.
    fn appended(blocks: &str, size_bytes: u64) -> blake3::Hash {
        let mut out = Appender::new(Vec::new(), BLOCK).unwrap();
        for letter in blocks.bytes() {
            match letter {
                b' ' => out.skip(BLOCK).unwrap(),
                letter => out.append(&[letter; BLOCK_BYTES]).unwrap(),
            }
        }
        out.hash(size_bytes)
    }

    #[test]
    fn only_equal_files_have_an_equal_hash() {
        let files = ["", "a", "b", "aa", "ab", " a", "a ", "  a", " aa", "a a", "aa ", "a  a", " "];
        let mut hashes: Vec<_> = files.iter().map(|file| appended(file, 1)).collect();
        hashes.push(appended("a", 2));
        let mut distinct: Vec<_> = hashes.iter().map(|hash| *hash.as_bytes()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), hashes.len());
    }

    #[test]
    fn zeros_are_a_hole_however_they_came() {
        let mut out = Appender::new(Vec::new(), BLOCK).unwrap();
        out.append(&[b'a'; BLOCK_BYTES]).unwrap();
        out.append(&[0; BLOCK_BYTES]).unwrap();
        out.append(&[b'a'; BLOCK_BYTES]).unwrap();
        assert_eq!(out.hash(1), appended("a a", 1));
        let file = out.finish().unwrap();
        let parts = [[0; BLOCK_BYTES], [b'a'; BLOCK_BYTES], [0; BLOCK_BYTES], [b'a'; BLOCK_BYTES]];
        assert!(file == parts.concat());
    }

    #[test]
    fn a_small_file_is_not_written_before_it_has_ended() {
        let mut out = Appender::new(Vec::new(), BLOCK).unwrap();
        let large = BUFFER_BYTES - 2 * BLOCK_BYTES;
        out.append(&vec![1; large]).unwrap();
        out.mark();
        let mark = out.position();
        out.append(&[2; 4 * BLOCK_BYTES]).unwrap();
        assert_eq!(out.file.len() as u64, mark);
        out.rewind(mark).unwrap();
        out.append(&[3; BLOCK_BYTES]).unwrap();
        let file = out.finish().unwrap();
        let parts = [vec![0; BLOCK_BYTES], vec![1; large], vec![3; BLOCK_BYTES]];
        assert!(file == parts.concat());
    }
}
