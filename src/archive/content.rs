//! The bytes of one file of a local source: a file of its own, or a part of an archive.
//!
//! A part of an archive is read by its offset, and nothing is unpacked to disk. Where the archive is
//! compressed as a whole, it is inflated again up to the part, and no further.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;

/// Bytes that are passed over at once.
const SKIP_BYTES: usize = 64 << 10;

/// Compressed bytes that are read at once.
const INPUT_BYTES: usize = 128 << 10;

/// The bytes of a file of a local source, not yet verified.
pub struct Content(Box<dyn Read + Send>);

impl Content {
    pub(super) fn new(reader: impl Read + Send + 'static) -> Self {
        Self(Box::new(reader))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A part of a file. Several may be read at once.
#[derive(Debug, Clone)]
pub(super) struct Part {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Part {
    /// The `size` bytes at `offset` of `file`.
    pub(super) const fn new(file: Arc<File>, offset: u64, size: u64) -> Self {
        Self { file, offset, left: size }
    }

    /// Goes on at `offset` of the file.
    pub(super) const fn seek(&mut self, offset: u64) {
        self.left = (self.left + self.offset).saturating_sub(offset);
        self.offset = offset;
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A part of what a compressed file holds.
#[derive(Debug)]
pub(super) struct Inflated {
    stream: Unpacked,
    skip_left: u64,
    left: u64,
}

/// What a compressed file holds.
pub(super) type Unpacked = Decompressor<BufReader<Part>>;

/// What the compressed file `whole` holds.
pub(super) fn unpack(whole: Part, limits: &Limits) -> io::Result<Unpacked> {
    Decompressor::new(BufReader::with_capacity(INPUT_BYTES, whole), limits)
}

impl Inflated {
    /// The `size` bytes at `offset` of `stream`, which stands at its start.
    pub(super) const fn new(stream: Unpacked, offset: u64, size: u64) -> Self {
        Self { stream, skip_left: offset, left: size }
    }

    fn skip(&mut self) -> io::Result<()> {
        let mut passed = vec![0; SKIP_BYTES];
        while self.skip_left > 0 {
            self.skip_left -= read_some(&mut self.stream, &mut passed, self.skip_left)?;
        }
        Ok(())
    }
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        if self.skip_left > 0 {
            self.skip()?;
        }
        let count = read_some(&mut self.stream, buffer, self.left)?;
        self.left -= count;
        Ok(usize::try_from(count).unwrap_or(buffer.len()))
    }
}

/// Reads at least one byte and at most `max`.
fn read_some(stream: &mut impl Read, buffer: &mut [u8], max: u64) -> io::Result<u64> {
    let wanted = usize::try_from(max).map_or(buffer.len(), |max| max.min(buffer.len()));
    match stream.read(&mut buffer[..wanted])? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => Ok(count as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file_of(bytes: &[u8]) -> (Arc<File>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        (Arc::new(file), bytes.len() as u64)
    }

    fn read(mut content: impl Read) -> io::Result<String> {
        let mut text = String::new();
        content.read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn parts_of_one_file_do_not_disturb_each_other() {
        let (file, _) = file_of(b"0123456789");
        let mut one = Part::new(Arc::clone(&file), 2, 3);
        assert_eq!(read(Part::new(file, 0, 10)).unwrap(), "0123456789");
        assert_eq!(read(&mut one).unwrap(), "234");
    }

    #[test]
    fn a_part_beyond_the_end_is_an_error() {
        let (file, size) = file_of(b"0123456789");
        let error = read(Part::new(Arc::clone(&file), 8, 3)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(size, 10);
    }

    #[test]
    fn a_part_of_a_compressed_file_is_found_by_its_place_in_what_comes_out() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let text = "0123456789".repeat(20_000);
        gzip.write_all(text.as_bytes()).unwrap();
        let (file, size) = file_of(&gzip.finish().unwrap());
        let part = |offset, length| {
            let whole = Part::new(Arc::clone(&file), 0, size);
            read(Inflated::new(unpack(whole, &Limits::default()).unwrap(), offset, length))
        };
        assert_eq!(part(150_003, 12).unwrap(), "345678901234");
        assert_eq!(part(0, 0).unwrap(), "");
        assert_eq!(part(199_999, 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
