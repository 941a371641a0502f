//! What an image is written to and read from: bytes at offsets, a length, and nothing else.
//!
//! The core opens no files. A store implements these traits for its own; here they are implemented for
//! bytes in memory.

use std::io;

use crate::disk::buffer::Buffer;

/// Bytes that can be read at any offset.
pub trait ReadAt {
    /// Fills `buffer` with the bytes from `offset_bytes`; a hole reads as zeros. Fails with
    /// [`io::ErrorKind::UnexpectedEof`] where the bytes end before `buffer` is full.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// How many bytes there are, holes included.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// Bytes that can also be written at any offset and cut.
pub trait BlockFile: ReadAt {
    /// Writes all of `bytes` from `offset_bytes`. Writing beyond the end leaves a hole before it.
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()>;

    /// As [`BlockFile::write_at`], of bytes that nobody is about to read here: they need not stay in memory.
    fn write_data_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset_bytes, bytes)
    }

    /// Writes the first `count` blocks of `buffer` from `offset_bytes`, but those that hold only zeros, as
    /// [`BlockFile::write_data_at`], and drops them from it. They may be written later, but are before anything else
    /// is done with the file.
    fn write_blocks(
        &mut self,
        offset_bytes: u64,
        buffer: &mut Buffer,
        count: usize,
    ) -> io::Result<()> {
        for (start, bytes, stored) in buffer.runs(0..count) {
            if stored {
                self.write_data_at(offset_bytes + start as u64, bytes)?;
            }
        }
        buffer.drain(count);
        Ok(())
    }

    /// Cuts what lies beyond `size_bytes`, or extends to it with a hole.
    fn set_len(&mut self, size_bytes: u64) -> io::Result<()>;
}

impl<F: ReadAt + ?Sized> ReadAt for &F {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset_bytes, buffer)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        (**self).size_bytes()
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset_bytes)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset_bytes, buffer)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.as_slice().size_bytes()
    }
}

impl BlockFile for Vec<u8> {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).map_err(io::Error::other)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        self[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.resize(usize::try_from(size_bytes).map_err(io::Error::other)?, 0);
        Ok(())
    }
}
