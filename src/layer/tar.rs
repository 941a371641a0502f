//! The reader of layer tars: bounded, without I/O of its own, with all extension headers applied.
//!
//! [`TarReader`] is handed the uncompressed tar in pieces of any size and answers with [`Event`]s; which
//! events there are does not depend on where the pieces were cut. Data is borrowed from the input, never
//! copied; what is kept in memory is one header, its extensions and one sparse map, all under
//! [`Limits`]. Nothing is allocated from a declared size.
//!
//! The rules are those of Go's `archive/tar`, which Docker and containerd unpack with, and stricter where
//! programs disagree about what an archive means. Names are not judged here.

pub mod error;

mod number;

mod header;

mod sparse;

mod pax;

mod extensions;

mod fields;

mod input;

mod body;

mod begin;

#[cfg(test)]
mod tests;

use crate::layer::entry::Entry;
use crate::layer::limits::{LimitExceeded, Limits};
use body::{Body, MapStep};
use error::{TarError, TarErrorKind};
use extensions::{Extension, Extensions};
use fields::natural;
use header::{BLOCK_BYTES, Block, Header};
use input::BlockReader;

/// What marks the end of an archive, twice.
const ZERO_BLOCK: Block = [0; BLOCK_BYTES];

/// What a [`TarReader`] finds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// All input has been used: come again with more, or call [`TarReader::finish`].
    NeedInput,
    /// An entry. Its data, if any, and an [`Event::EntryEnd`] follow.
    Entry(Entry),
    /// Bytes of the current regular file. Offsets only grow; what is skipped is a hole.
    Data {
        /// Where in the file they belong.
        offset_bytes: u64,
        /// At least one byte.
        bytes: &'a [u8],
    },
    /// The current entry is complete.
    EntryEnd,
    /// The end-of-archive marker. What follows is counted, but not read.
    EndOfArchive,
}

/// What the reader expects next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    /// The second zero block.
    ZeroBlock,
    /// The body of an extension header.
    Extension(Extension),
    /// A continuation block of an old GNU sparse map.
    OldSparseMap,
    /// The map before the data of a PAX 1.0 sparse file.
    SparseMap,
    Data,
    Padding,
    Trailer,
}

/// An event, or none when only the state has changed.
type Step<'a> = Result<Option<Event<'a>>, TarErrorKind>;

/// Reads one uncompressed layer tar.
///
/// After an error the reader is of no further use.
#[derive(Debug)]
pub struct TarReader {
    limits: Limits,
    state: State,
    /// Bytes of the tar that were used.
    position: u64,
    /// Where the last header block started.
    header_offset: u64,
    blocks: BlockReader,
    extensions: Extensions,
    /// The text of an extension header, as far as it was read.
    extension_text: Vec<u8>,
    /// The current entry's name, for messages; empty if it is not known.
    name: Vec<u8>,
    body: Body,
    entries: u64,
    apparent_bytes: u64,
    trailer_bytes: u64,
}

impl TarReader {
    /// A reader at the start of a tar.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            state: State::Header,
            position: 0,
            header_offset: 0,
            blocks: BlockReader::new(),
            extensions: Extensions::default(),
            extension_text: Vec::new(),
            name: Vec::new(),
            body: Body::default(),
            entries: 0,
            apparent_bytes: 0,
            trailer_bytes: 0,
        }
    }

    /// Uses the front of `input` up to the next event, and leaves the rest in it.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Event<'a>, TarError> {
        loop {
            let available = input.len();
            let step = self.step(input).map_err(|kind| self.error(kind))?;
            self.position += (available - input.len()) as u64;
            if let Some(event) = step {
                return Ok(event);
            }
        }
    }

    /// Bytes of the tar that were used: right after an [`Event::Entry`], where the entry's data starts.
    pub const fn position_bytes(&self) -> u64 {
        self.position
    }

    /// Passes over what is left of the current file's data, and answers how many bytes of the tar that is:
    /// the next input starts behind them. For who finds the data later by its position. A sparse map before
    /// the data is not passed over.
    pub fn skip_data(&mut self) -> u64 {
        if self.state != State::Data {
            return 0;
        }
        let skipped = self.body.skip_data();
        self.position += skipped;
        skipped
    }

    /// Judges the end of the input, after [`Event::NeedInput`]. A missing end-of-archive marker is
    /// accepted, as is missing padding behind the last entry, and a tar of no bytes at all.
    pub fn finish(&self) -> Result<(), TarError> {
        let truncated = match self.state {
            State::Header | State::ZeroBlock if self.blocks.pending_bytes() > 0 => {
                return Err(TarError {
                    kind: TarErrorKind::Truncated("a header"),
                    offset_bytes: self.block_offset(),
                    entry: None,
                });
            }
            State::Header | State::ZeroBlock | State::Padding | State::Trailer => {
                let complete = self.extensions.check_none_waits();
                return complete.map_err(|kind| self.error(kind));
            }
            State::Extension(_) => "an extension header",
            State::OldSparseMap | State::SparseMap => "a sparse map",
            State::Data => "an entry's data",
        };
        Err(self.error(TarErrorKind::Truncated(truncated)))
    }

    fn error(&self, kind: TarErrorKind) -> TarError {
        TarError {
            kind,
            offset_bytes: self.header_offset,
            entry: (!self.name.is_empty()).then(|| self.name.as_slice().into()),
        }
    }

    /// Where the block starts that is read next.
    fn block_offset(&self) -> u64 {
        self.position - self.blocks.pending_bytes()
    }

    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        match self.state {
            State::Header => self.at_header(input),
            State::ZeroBlock => self.at_zero_block(input),
            State::Extension(kind) => self.at_extension(kind, input),
            State::OldSparseMap => self.at_old_sparse_map(input),
            State::SparseMap => self.at_sparse_map(input),
            State::Data => Ok(Some(self.at_data(input))),
            State::Padding => Ok(self.at_padding(input)),
            State::Trailer => self.at_trailer(input),
        }
    }

    fn at_header<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        let offset = self.block_offset();
        let Some(block) = self.blocks.take(input) else {
            return Ok(Some(Event::NeedInput));
        };
        self.header_offset = offset;
        self.name.clear();
        if block == ZERO_BLOCK {
            self.extensions.check_none_waits()?;
            self.state = State::ZeroBlock;
            return Ok(None);
        }
        let header = Header::parse(&block)?;
        match Extension::of(header.typeflag) {
            Some(kind) => self.begin_extension(kind, header.size).map(|()| None),
            None => self.begin_entry(&header).map(Event::Entry).map(Some),
        }
    }

    fn at_zero_block<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        match self.blocks.take(input) {
            None => Ok(Some(Event::NeedInput)),
            Some(ZERO_BLOCK) => {
                self.state = State::Trailer;
                Ok(Some(Event::EndOfArchive))
            }
            Some(_) => Err(TarErrorKind::LoneZeroBlock),
        }
    }

    fn begin_extension(&mut self, kind: Extension, size: i64) -> Result<(), TarErrorKind> {
        let size = natural(size)?;
        LimitExceeded::check(
            size,
            self.limits.extension_bytes_max,
            "bytes in one extension header",
            "extension-bytes-max",
        )?;
        self.extensions.announce(kind, self.header_offset)?;
        self.body.begin(size, size);
        self.extension_text.clear();
        self.state = State::Extension(kind);
        Ok(())
    }

    fn at_extension<'a>(&mut self, kind: Extension, input: &mut &'a [u8]) -> Step<'a> {
        if !self.body.take_text(input, &mut self.extension_text) {
            return Ok(Some(Event::NeedInput));
        }
        self.extensions.take(kind, &self.extension_text, &self.limits)?;
        self.state = State::Padding;
        Ok(None)
    }

    fn at_old_sparse_map<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        let Some(block) = self.blocks.take(input) else {
            return Ok(Some(Event::NeedInput));
        };
        let max = self.limits.sparse_entries_max;
        if !self.body.push_old_block(&block, max)? {
            self.body.check_regions()?;
            self.state = State::Data;
        }
        Ok(None)
    }

    fn at_sparse_map<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        let max = self.limits.sparse_entries_max;
        match self.body.take_map(input, max)? {
            MapStep::NeedInput => Ok(Some(Event::NeedInput)),
            MapStep::Done => {
                self.state = State::Data;
                Ok(None)
            }
        }
    }

    fn at_data<'a>(&mut self, input: &mut &'a [u8]) -> Event<'a> {
        if self.body.data_is_done() {
            self.state = State::Padding;
            return Event::EntryEnd;
        }
        if input.is_empty() {
            return Event::NeedInput;
        }
        let (offset_bytes, bytes) = self.body.take_data(input);
        Event::Data { offset_bytes, bytes }
    }

    fn at_padding<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        if !self.body.take_padding(input) {
            return Some(Event::NeedInput);
        }
        self.state = State::Header;
        None
    }

    fn at_trailer<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        self.trailer_bytes += std::mem::take(input).len() as u64;
        LimitExceeded::check(
            self.trailer_bytes,
            self.limits.trailer_bytes_max,
            "bytes behind the end-of-archive marker",
            "trailer-bytes-max",
        )?;
        Ok(Some(Event::NeedInput))
    }
}
