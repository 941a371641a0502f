//! An append cursor over a file, with one large buffer that is used again and again.
//!
//! Many small files become one write. Blocks of nothing but zeros are never written, so they are holes:
//! what lies beyond the written part reads as zeros. To stay true, going back also cuts the file, or
//! dropped bytes would show through a later file's holes. A small file is written when it has ended, so most that
//! are taken back were never written.
//!
//! What has been appended since the last mark is one file, and is hashed as far as must be known of it.

use std::io::{self, Write};

use crate::disk::buffer::{BUFFER_BYTES, Buffer};
use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES};
use crate::disk::erofs::layer::contents::{BlockHasher, Contents, Hash, Known};
use crate::disk::file::BlockFile;

/// Bytes that are read again at once.
const READ_BYTES: usize = 64 << 10;

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
    /// What was appended since the mark.
    contents: Contents,
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
            contents: Contents::default(),
            mark: start,
            is_cached: false,
        })
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    /// What is known of a file of `size_bytes` whose blocks, all whole, are those since the start or the last
    /// [`Self::mark`].
    pub(super) fn known(&self, size_bytes: u64) -> Known {
        self.contents.finish(size_bytes)
    }

    /// The hash of a file of `size_bytes` that began at `start` and ended before the mark.
    pub(super) fn hash_again(&mut self, start: u64, size_bytes: u64) -> io::Result<Hash> {
        if self.start < self.mark {
            self.flush_blocks(self.mark)?;
        }
        let end = start + size_bytes.next_multiple_of(BLOCK);
        Ok(self.read_again(start, end)?.finish(size_bytes))
    }

    /// Marks the cursor, which is at a block boundary: another file begins.
    pub(super) fn mark(&mut self) {
        self.contents.restart();
        self.mark = self.position();
    }

    /// Writes what was appended so far. What comes now is read soon after it is written.
    pub(super) fn begin_cached(&mut self) -> io::Result<()> {
        self.flush_blocks(self.position())?;
        self.contents = Contents::default();
        self.is_cached = true;
        Ok(())
    }

    /// Appends `bytes`.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.is_full() {
                self.flush_ended()?;
            }
            let known = self.buffer.blocks();
            bytes = self.buffer.extend(bytes);
            self.hash_from(known);
        }
        Ok(())
    }

    /// Appends `count` zeros. How many whole blocks there are of them makes no difference.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let to_boundary = self.position().next_multiple_of(BLOCK) - self.position();
        let first = to_boundary.min(count);
        self.append(&ZEROS[..usize::try_from(first).map_err(io::Error::other)?])?;
        let rest = count - first;
        let whole = rest - rest % BLOCK;
        if whole > 0 {
            self.flush_blocks(self.position())?;
            if self.contents.is_stopped() {
                // Who reads this file again need not read the hole, however large it is.
                self.contents.resume(self.read_again(self.mark, self.start)?);
            }
            self.contents.skip(whole / BLOCK);
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
        } else {
            self.buffer.truncate(0);
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

    /// Hashes the blocks in the buffer that have become whole.
    fn hash_from(&mut self, known: usize) {
        for (_, bytes, stored) in self.buffer.runs(known..self.buffer.blocks()) {
            if stored {
                self.contents.add(bytes);
            } else {
                self.contents.skip((bytes.len() / BLOCK_BYTES) as u64);
            }
        }
    }

    /// Hashes what is in the file between two block boundaries.
    fn read_again(&self, start: u64, end: u64) -> io::Result<BlockHasher> {
        let mut hasher = BlockHasher::default();
        let mut buffer = vec![0; READ_BYTES];
        let mut position = start;
        while position < end.min(self.file_bytes) {
            let left = end.min(self.file_bytes) - position;
            let count = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            self.file.read_at(position, &mut buffer[..count])?;
            hasher.add(&buffer[..count]);
            position += count as u64;
        }
        hasher.skip((end - position) / BLOCK);
        Ok(hasher)
    }

    /// Makes room: writes what is before the mark, or everything if that is little.
    fn flush_ended(&mut self) -> io::Result<()> {
        let is_much = self.mark.saturating_sub(self.start) >= BUFFER_BYTES as u64 / 2;
        self.flush_blocks(if is_much { self.mark } else { self.position() })
    }

    /// Writes the whole blocks in the buffer before `end` that are not zeros.
    fn flush_blocks(&mut self, end: u64) -> io::Result<()> {
        let count = usize::try_from((end - self.start) / BLOCK).map_err(io::Error::other)?;
        let count = count.min(self.buffer.blocks());
        if count == 0 {
            return Ok(());
        }
        let stored = self.buffer.runs(0..count).filter(|(_, _, stored)| *stored);
        if let Some((start, bytes, _)) = stored.last() {
            self.file_bytes = self.start + (start + bytes.len()) as u64;
        }
        if self.is_cached {
            for (start, bytes, _) in self.buffer.runs(0..count).filter(|(_, _, stored)| *stored) {
                self.file.write_at(self.start + start as u64, bytes)?;
            }
            self.buffer.drain(count);
        } else {
            self.file.write_blocks(self.start, &mut self.buffer, count)?;
        }
        self.start += (count * BLOCK_BYTES) as u64;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of this letter; a space is a block of zeros.
    fn appended(blocks: &str, size_bytes: u64) -> Known {
        let mut out = Appender::new(Vec::new(), BLOCK).unwrap();
        for letter in blocks.bytes() {
            match letter {
                b' ' => out.skip(BLOCK).unwrap(),
                letter => out.append(&[letter; BLOCK_BYTES]).unwrap(),
            }
        }
        out.known(size_bytes)
    }

    #[test]
    fn only_equal_files_have_an_equal_hash() {
        let files = ["", "a", "b", "aa", "ab", " a", "a ", "  a", " aa", "a a", "aa ", "a  a", " "];
        let mut known: Vec<_> = files.iter().map(|file| appended(file, 1)).collect();
        known.push(appended("a", 2));
        for (index, file) in known.iter().enumerate() {
            assert!(!known[..index].contains(file));
        }
    }

    #[test]
    fn zeros_are_a_hole_however_they_came() {
        let mut out = Appender::new(Vec::new(), BLOCK).unwrap();
        out.append(&[b'a'; BLOCK_BYTES]).unwrap();
        out.append(&[0; BLOCK_BYTES]).unwrap();
        out.append(&[b'a'; BLOCK_BYTES]).unwrap();
        assert_eq!(out.known(1), appended("a a", 1));
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
