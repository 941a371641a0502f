//! Drives a [`TarReader`] over a stream: entries go to a [`Visitor`], the data of files to a
//! [`DataSink`], without a buffer between.

use std::io::{self, BufRead};

use crate::layer::decompress::DecompressError;
use crate::layer::entry::{DataSink, Entry, EntryKind};
use crate::layer::limits::Limits;
use crate::layer::tar::error::TarError;
use crate::layer::tar::{Event, TarReader};

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The compressed stream is damaged or too large.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The tar is malformed, ambiguous or too large.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The stream could not be read.
    #[error("cannot read the layer")]
    Input(#[source] io::Error),
    /// The sink could not take a file's data.
    #[error("cannot write the layer's data")]
    Sink(#[source] io::Error),
}

impl ReadError {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decompress(error) => error.code(),
            Self::Tar(error) => error.code(),
            Self::Input(_) => "layer-input",
            Self::Sink(_) => "layer-output",
        }
    }

    /// The entry that is refused, where it is known.
    pub fn entry(&self) -> Option<&[u8]> {
        match self {
            Self::Tar(error) => error.entry(),
            _ => None,
        }
    }

    /// Where in the uncompressed tar, where the error has a place in it.
    pub fn offset_bytes(&self) -> Option<u64> {
        match self {
            Self::Tar(error) => Some(error.offset_bytes()),
            _ => None,
        }
    }

    /// An error of the stream, which is a [`DecompressError`] if that is what it carries.
    fn of_input(error: io::Error) -> Self {
        error.downcast::<DecompressError>().map_or_else(Self::Input, Self::Decompress)
    }
}

/// Receives the entries of one layer, in their order.
pub trait Visitor {
    /// Why it refuses an entry, or why reading failed.
    type Error: From<ReadError>;

    /// Judges a regular file that is not empty before its data passes, and says whether the sink shall
    /// get the data. It should not for a file that only marks something, such as a whiteout.
    fn wants_data(&mut self, entry: &Entry) -> Result<bool, Self::Error>;

    /// Takes an entry, when all of its data has passed. `address` is what the sink's
    /// [`finish`](DataSink::finish) answered, and 0 where the sink got nothing.
    fn entry(&mut self, entry: Entry, address: u32) -> Result<(), Self::Error>;
}

/// Reads an uncompressed layer tar to the very end of `reader`, what lies behind the end-of-archive marker
/// included, so that a reader that hashes has seen every byte.
pub fn read_layer<R: BufRead, S: DataSink, V: Visitor>(
    mut reader: R,
    limits: &Limits,
    sink: &mut S,
    visitor: &mut V,
) -> Result<(), V::Error> {
    let mut tar = TarReader::new(limits);
    let mut current = None;
    loop {
        let mut input = fill(&mut reader).map_err(ReadError::of_input)?;
        let count = input.len();
        loop {
            match tar.next(&mut input).map_err(ReadError::Tar)? {
                Event::NeedInput => break,
                Event::Entry(entry) => current = Some(Current::begin(entry, visitor)?),
                Event::Data { offset_bytes, bytes } => {
                    if current.as_ref().is_some_and(|current| current.wants_data) {
                        sink.write(offset_bytes, bytes).map_err(ReadError::Sink)?;
                    }
                }
                Event::EntryEnd => {
                    if let Some(current) = current.take() {
                        current.end(sink, visitor)?;
                    }
                }
                Event::EndOfArchive => {}
            }
        }
        if count == 0 {
            return Ok(tar.finish().map_err(ReadError::Tar)?);
        }
        reader.consume(count);
    }
}

/// The entry whose data passes.
struct Current {
    entry: Entry,
    wants_data: bool,
}

impl Current {
    fn begin<V: Visitor>(entry: Entry, visitor: &mut V) -> Result<Self, V::Error> {
        let has_data = entry.kind == EntryKind::File && entry.size_bytes > 0;
        let wants_data = has_data && visitor.wants_data(&entry)?;
        Ok(Self { entry, wants_data })
    }

    fn end<S: DataSink, V: Visitor>(self, sink: &mut S, visitor: &mut V) -> Result<(), V::Error> {
        let address = if self.wants_data {
            sink.finish(self.entry.size_bytes).map_err(ReadError::Sink)?
        } else {
            0
        };
        visitor.entry(self.entry, address)
    }
}

/// What the reader has, nothing only at the end of the stream.
fn fill(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}

#[cfg(test)]
mod tests;
