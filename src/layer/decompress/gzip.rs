//! gzip, all members of it. Framing, checksums and lengths are zlib's to check.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use crate::layer::decompress::{Compression, DecompressError};

/// zlib's largest window, 32 KiB: what every gzip stream may use.
const WINDOW_BITS: u8 = 15;

/// The first byte of a member.
const MEMBER_START: u8 = 0x1f;

/// Reads the content of all members.
#[derive(Debug)]
pub(super) struct GzipReader<R> {
    input: R,
    /// The current member; `None` between two.
    member: Option<Decompress>,
    /// Compressed bytes that were used.
    position: u64,
}

impl<R> GzipReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, member: Some(Decompress::new_gzip(WINDOW_BITS)), position: 0 }
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    pub(super) fn into_inner(self) -> R {
        self.input
    }
}

impl<R: BufRead> GzipReader<R> {
    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.position += count as u64;
    }

    /// Begins the next member, if there is one.
    fn begin_member(&mut self) -> io::Result<()> {
        match self.input.fill_buf()? {
            [] => Ok(()),
            [MEMBER_START, ..] => {
                self.member = Some(Decompress::new_gzip(WINDOW_BITS));
                Ok(())
            }
            _ => self.skip_zeros(),
        }
    }

    /// Reads to the end, where nothing but zeros may be.
    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let input = self.input.fill_buf()?;
            if input.is_empty() {
                return Ok(());
            }
            if let Some(other) = input.iter().position(|&byte| byte != 0) {
                let offset_bytes = self.position + other as u64;
                return Err(DecompressError::TrailingBytes { offset_bytes }.into());
            }
            let count = input.len();
            self.consume(count);
        }
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.member.is_none() {
                self.begin_member()?;
            }
            let Some(member) = &mut self.member else {
                return Ok(0);
            };
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            let (used, made) = (member.total_in(), member.total_out());
            let status = member
                .decompress(input, buffer, FlushDecompress::None)
                .map_err(|error| malformed(&error))?;
            let [used, made] = [member.total_in() - used, member.total_out() - made]
                .map(|count| usize::try_from(count).expect("a buffer's length fits"));
            self.consume(used);
            if status == Status::StreamEnd {
                self.member = None;
            } else if made == 0 && (at_end || used == 0) {
                return Err(DecompressError::Truncated(Compression::Gzip).into());
            }
            if made > 0 {
                return Ok(made);
            }
        }
    }
}

fn malformed(error: &flate2::DecompressError) -> DecompressError {
    DecompressError::Malformed {
        compression: Compression::Gzip,
        reason: error.message().unwrap_or("invalid data").to_owned(),
    }
}
