//! An append cursor over a file, with one large buffer that is used again and again.
//!
//! Many small files become one write. Blocks of nothing but zeros are never written, so they are holes:
//! what lies beyond the written part reads as zeros. To stay true, going back also cuts the file, or
//! dropped bytes would show through a later file's holes.

use std::io::{self, Write};

use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES};
use crate::disk::file::BlockFile;

/// Bytes of the buffer, and of each large write: larger ones are no faster, and the largest piece of memory
/// that is given back says how much the allocator keeps for later, for each thread.
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes that are compared at once.
const COMPARED_BYTES: usize = 64 << 10;

/// Appends to a [`BlockFile`] and takes back what need not have been appended.
#[derive(Debug)]
pub(super) struct Appender<F> {
    file: F,
    /// How long the file is. All between here and the buffer is a hole.
    file_bytes: u64,
    /// Where the buffer's first byte goes: a block boundary.
    start: u64,
    /// What has been appended and not written.
    buffer: Vec<u8>,
    /// For each whole block in the buffer, whether it holds anything but zeros.
    stored: Vec<bool>,
    /// CRC32C over the blocks since the last restart that are stored, each behind its index.
    checksum: u32,
    /// Where the checksum started: a block boundary.
    checksum_start: u64,
    /// Two buffers for comparing.
    compared: [Vec<u8>; 2],
}

impl<F: BlockFile> Appender<F> {
    /// Appends to `file`, which is emptied, from the block boundary `start` on.
    pub(super) fn new(mut file: F, start: u64) -> io::Result<Self> {
        file.set_len(0)?;
        Ok(Self {
            file,
            file_bytes: 0,
            start,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            stored: Vec::with_capacity(BUFFER_BYTES / BLOCK_BYTES),
            checksum: 0,
            checksum_start: start,
            compared: [Vec::new(), Vec::new()],
        })
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    /// A checksum of the whole blocks since the start or [`Self::restart_checksum`].
    pub(super) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Starts the checksum afresh at the cursor, which is at a block boundary.
    pub(super) fn restart_checksum(&mut self) {
        self.checksum = 0;
        self.checksum_start = self.position();
    }

    /// Appends `bytes`.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.buffer.len() == BUFFER_BYTES {
                self.flush_blocks()?;
            }
            let room = BUFFER_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.judge_blocks();
            bytes = later;
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
            self.flush_blocks()?;
            self.start = self.start.checked_add(whole).ok_or(io::ErrorKind::FileTooLarge)?;
        }
        let last = usize::try_from(rest % BLOCK).map_err(io::Error::other)?;
        self.append(&ZEROS[..last])
    }

    /// Takes back what was appended from the block boundary `position` on, and its checksum.
    pub(super) fn rewind(&mut self, position: u64) -> io::Result<()> {
        if let Some(kept) = position.checked_sub(self.start) {
            let kept = usize::try_from(kept).map_err(io::Error::other)?;
            self.buffer.truncate(kept);
            self.stored.truncate(kept / BLOCK_BYTES);
        } else {
            self.buffer.clear();
            self.stored.clear();
            self.start = position;
            if self.file_bytes > position {
                self.file.set_len(position)?;
                self.file_bytes = position;
            }
        }
        self.restart_checksum();
        Ok(())
    }

    /// Whether the `count` bytes at `a` are those at `b`. All of them have been appended.
    pub(super) fn equal(&mut self, a: u64, b: u64, count: u64) -> io::Result<bool> {
        let [mut left, mut right] = std::mem::take(&mut self.compared);
        let mut done = 0;
        let mut equal = true;
        while equal && done < count {
            let now = (count - done).min(COMPARED_BYTES as u64);
            let now = usize::try_from(now).map_err(io::Error::other)?;
            left.resize(now, 0);
            right.resize(now, 0);
            self.read(a + done, &mut left)?;
            self.read(b + done, &mut right)?;
            equal = left == right;
            done += now as u64;
        }
        self.compared = [left, right];
        Ok(equal)
    }

    /// Writes what is left, extends the file to the cursor, which is at a block boundary, and answers it.
    pub(super) fn finish(mut self) -> io::Result<F> {
        self.flush_blocks()?;
        if self.file_bytes < self.start {
            self.file.set_len(self.start)?;
        }
        Ok(self.file)
    }

    /// Reads what has been appended at `offset`: from the file, its hole, the buffer.
    fn read(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let bytes_until = |end: u64, out: &[u8]| {
            let count = end.saturating_sub(offset).min(out.len() as u64);
            usize::try_from(count).map_err(io::Error::other)
        };
        let in_file = bytes_until(self.file_bytes, out)?;
        let before_buffer = bytes_until(self.start, out)?;
        if in_file > 0 {
            self.file.read_at(offset, &mut out[..in_file])?;
        }
        out[in_file..before_buffer].fill(0);
        out = &mut out[before_buffer..];
        let from = usize::try_from(offset.saturating_sub(self.start)).map_err(io::Error::other)?;
        let buffered =
            self.buffer.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(buffered);
        Ok(())
    }

    /// Looks at the blocks that have become whole: notes which are zeros, and hashes the others.
    fn judge_blocks(&mut self) {
        let judged = self.stored.len() * BLOCK_BYTES;
        let mut offset = self.start + judged as u64;
        for block in self.buffer[judged..].chunks_exact(BLOCK_BYTES) {
            let stored = !is_zero(block);
            if stored {
                let index = (offset - self.checksum_start) / BLOCK;
                self.checksum = crc32c::crc32c_append(self.checksum, &index.to_le_bytes());
                self.checksum = crc32c::crc32c_append(self.checksum, block);
            }
            self.stored.push(stored);
            offset += BLOCK;
        }
    }

    /// Writes the whole blocks in the buffer that are not zeros, as few writes as there are runs.
    fn flush_blocks(&mut self) -> io::Result<()> {
        let mut index = 0;
        for run in self.stored.chunk_by(|a, b| a == b) {
            let bytes = &self.buffer[index * BLOCK_BYTES..(index + run.len()) * BLOCK_BYTES];
            if run[0] {
                let offset = self.start + (index * BLOCK_BYTES) as u64;
                self.file.write_at(offset, bytes)?;
                self.file_bytes = offset + bytes.len() as u64;
            }
            index += run.len();
        }
        self.stored.clear();
        self.buffer.drain(..index * BLOCK_BYTES);
        self.start += (index * BLOCK_BYTES) as u64;
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

/// Whether a block is nothing but zeros. A block that is not mostly shows it in its first bytes.
fn is_zero(block: &[u8]) -> bool {
    block.chunks_exact(16).all(|chunk| chunk == [0; 16].as_slice())
}
