//! Undoes a layer's compression, which is found by its first bytes: gzip, zstd or none.
//!
//! Everything that the formats allow is read: all gzip members, empty ones too, with all optional header
//! fields; all zstd frames and skippable frames, also where such a frame comes first. Zeros behind the
//! last gzip member are padding; anything else behind the end is refused, because programs disagree on
//! whether it is content. How much comes out is limited in all and by ratio.

mod gzip;

mod zstd;

use std::fmt;
use std::io::{self, BufRead, Chain, Cursor, Read, Take};

use self::zstd::ZstdReader;
use crate::layer::limits::{LimitExceeded, Limits};
use gzip::GzipReader;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Bytes that tell one compression from another.
    pub const MAGIC_BYTES: usize = 4;

    /// The compression of a stream that starts with these bytes; four are enough.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// Why a compressed stream is refused.
///
/// A [`Decompressor`] returns it inside of an [`io::Error`], which `downcast` takes it out of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The stream ends too early.
    #[error("the {0} stream ends too early")]
    Truncated(Compression),
    /// The data is not what its format or its checksum says.
    #[error("the {compression} stream is malformed: {reason}")]
    Malformed {
        /// The format.
        compression: Compression,
        /// What the decoder says.
        reason: String,
    },
    /// Something other than zeros and further members stands behind a gzip member.
    #[error("the gzip stream has trailing bytes at its byte {offset_bytes}")]
    TrailingBytes {
        /// Where, in the compressed stream.
        offset_bytes: u64,
    },
    /// More comes out than is allowed.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl DecompressError {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "compression-truncated",
            Self::Malformed { .. } => "compression-malformed",
            Self::TrailingBytes { .. } => "compression-trailing",
            Self::Limit(_) => "layer-limit",
        }
    }
}

impl From<DecompressError> for io::Error {
    fn from(error: DecompressError) -> Self {
        let kind = match error {
            DecompressError::Truncated(_) => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The compressed stream from its first byte: what was read to find the compression, and the rest.
type Input<R> = Counter<Chain<Take<Cursor<[u8; Compression::MAGIC_BYTES]>>, R>>;

/// Reads the uncompressed bytes of a layer.
#[derive(Debug)]
pub struct Decompressor<R> {
    decoder: Decoder<R>,
    unpacked_bytes: u64,
    limits: Limits,
}

#[derive(Debug)]
enum Decoder<R> {
    None(Input<R>),
    Gzip(GzipReader<Input<R>>),
    Zstd(ZstdReader<Input<R>>),
}

impl<R: BufRead> Decompressor<R> {
    /// Reads the first bytes of `input` to find the compression.
    pub fn new(mut input: R, limits: &Limits) -> io::Result<Self> {
        let mut start = [0; Compression::MAGIC_BYTES];
        let count = read_start(&mut input, &mut start)?;
        let compression = Compression::of(&start[..count]);
        let input = Counter { inner: Cursor::new(start).take(count as u64).chain(input), bytes: 0 };
        Ok(Self {
            decoder: match compression {
                Compression::None => Decoder::None(input),
                Compression::Gzip => Decoder::Gzip(GzipReader::new(input)),
                Compression::Zstd => Decoder::Zstd(ZstdReader::new(input)?),
            },
            unpacked_bytes: 0,
            limits: *limits,
        })
    }
}

impl<R> Decompressor<R> {
    /// Which compression was found.
    pub fn compression(&self) -> Compression {
        match &self.decoder {
            Decoder::None(_) => Compression::None,
            Decoder::Gzip(_) => Compression::Gzip,
            Decoder::Zstd(_) => Compression::Zstd,
        }
    }

    /// The inner reader. After an error, or before the end, it may have been read ahead.
    pub fn into_inner(self) -> R {
        let input = match self.decoder {
            Decoder::None(input) => input,
            Decoder::Gzip(reader) => reader.into_inner(),
            Decoder::Zstd(reader) => reader.into_inner(),
        };
        input.inner.into_inner().1
    }

    fn packed_bytes(&self) -> u64 {
        match &self.decoder {
            Decoder::None(input) => input.bytes,
            Decoder::Gzip(reader) => reader.input().bytes,
            Decoder::Zstd(reader) => reader.input().bytes,
        }
    }

    fn check_limits(&self) -> Result<(), LimitExceeded> {
        LimitExceeded::check(
            self.unpacked_bytes,
            self.limits.unpacked_bytes_max,
            "bytes in one unpacked layer",
            "unpacked-bytes-max",
        )?;
        let Some(ratio_max) = self.limits.ratio_max else {
            return Ok(());
        };
        let accepted = self.packed_bytes().saturating_mul(ratio_max);
        if self.unpacked_bytes > accepted.max(self.limits.ratio_free_bytes) {
            return Err(LimitExceeded {
                what: "unpacked bytes for each compressed byte",
                max: ratio_max,
                key: "ratio-max",
            });
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.decoder {
            Decoder::None(input) => input.read(buffer)?,
            Decoder::Gzip(reader) => reader.read(buffer)?,
            Decoder::Zstd(reader) => reader.read(buffer)?,
        };
        self.unpacked_bytes += count as u64;
        self.check_limits().map_err(DecompressError::Limit)?;
        Ok(count)
    }
}

/// Reads as much of `start` as there is.
fn read_start(input: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < start.len() {
        match input.read(&mut start[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts the bytes that were used.
#[derive(Debug)]
struct Counter<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counter<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests;
