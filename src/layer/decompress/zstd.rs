//! zstd, all frames of it. Framing and checksums are libzstd's to check; a frame that needs a dictionary
//! is refused by it, as there is none.

use std::fmt;
use std::io::{self, BufRead, Read};

use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use crate::layer::decompress::{Compression, DecompressError};

/// The largest window, 128 MiB: what `zstd` itself reads without being asked for more. libzstd keeps as
/// much of a frame in memory.
const WINDOW_LOG_MAX: u32 = 27;

/// Reads the content of all frames.
pub(super) struct ZstdReader<R> {
    input: R,
    context: DCtx<'static>,
    /// Whether the last byte that was used ended a frame.
    between_frames: bool,
}

impl<R> ZstdReader<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(malformed)?;
        Ok(Self { input, context, between_frames: true })
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
            if at_end && self.between_frames {
                return Ok(0);
            }
            let mut from = InBuffer::around(input);
            let mut to = OutBuffer::around(&mut *buffer);
            let hint = self.context.decompress_stream(&mut to, &mut from).map_err(malformed)?;
            let (used, made) = (from.pos(), to.pos());
            self.input.consume(used);
            self.between_frames = hint == 0;
            if made > 0 {
                return Ok(made);
            }
            if at_end && !self.between_frames {
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
