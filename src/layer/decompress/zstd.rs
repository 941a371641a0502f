//! zstd, all frames of it. Framing and checksums are libzstd's to check; a frame that needs a dictionary
//! is refused by it, as there is none. That a frame holds as much as its header says is checked here:
//! libzstd does so only for some of the ways in which a frame can arrive.

use std::fmt;
use std::io::{self, BufRead, Read};

use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use crate::layer::decompress::{Compression, DecompressError};

/// The largest window, 128 MiB: what `zstd` itself reads without being asked for more. libzstd keeps as
/// much of a frame in memory.
const WINDOW_LOG_MAX: u32 = 27;

/// Bytes of the longest frame header (RFC 8878, section 3.1.1), its magic included.
const HEADER_BYTES_MAX: usize = 18;

/// Reads the content of all frames.
pub(super) struct ZstdReader<R> {
    input: R,
    context: DCtx<'static>,
    frame: Frame,
}

/// The frame that is being read.
#[derive(Debug, Default)]
struct Frame {
    /// Its first bytes, its header among them. Empty between frames.
    head: Vec<u8>,
    /// Bytes that it held so far.
    content_bytes: u64,
}

impl Frame {
    /// Takes note of bytes of the frame that were used, and how many bytes they made.
    fn note(&mut self, used: &[u8], made: usize) {
        let missing = HEADER_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&used[..missing.min(used.len())]);
        self.content_bytes += made as u64;
    }

    /// Checks, at its end, that the frame held what its header says.
    fn finish(&mut self) -> Result<(), DecompressError> {
        let Self { head, content_bytes } = std::mem::take(self);
        match zstd_safe::get_frame_content_size(&head) {
            Ok(Some(announced)) if announced != content_bytes => Err(DecompressError::Malformed {
                compression: Compression::Zstd,
                reason: format!("a frame of {announced} bytes holds {content_bytes}"),
            }),
            _ => Ok(()),
        }
    }
}

impl<R> ZstdReader<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(malformed)?;
        Ok(Self { input, context, frame: Frame::default() })
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    pub(super) fn into_inner(self) -> R {
        self.input
    }
}

impl<R> fmt::Debug for ZstdReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ZstdReader")
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            if at_end && self.frame.head.is_empty() {
                return Ok(0);
            }
            // A first byte alone keeps libzstd from its other way through a frame that is there as a whole:
            // what is wrong with a frame is then the same, however it arrives.
            let now = if self.frame.head.is_empty() { 1.min(input.len()) } else { input.len() };
            let mut from = InBuffer::around(&input[..now]);
            let mut to = OutBuffer::around(&mut *buffer);
            let hint = self.context.decompress_stream(&mut to, &mut from).map_err(malformed)?;
            let (used, made) = (from.pos(), to.pos());
            self.frame.note(&input[..used], made);
            self.input.consume(used);
            if hint == 0 {
                self.frame.finish()?;
            }
            if made > 0 {
                return Ok(made);
            }
            if at_end && !self.frame.head.is_empty() {
                return Err(DecompressError::Truncated(Compression::Zstd).into());
            }
        }
    }
}

fn malformed(code: zstd_safe::ErrorCode) -> DecompressError {
    DecompressError::Malformed {
        compression: Compression::Zstd,
        reason: zstd_safe::get_error_name(code).to_owned(),
    }
}
