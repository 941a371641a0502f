//! A bundle read in one pass, from a file or from a pipe.
//!
//! What comes must be what `bundle.json` lists, entry by entry: name, size and digest. Who has read a member
//! to its end has read verified bytes, and who has read the last one knows that nothing is missing.

use std::io::{self, BufReader, Read};
use std::mem;

use crate::archive::bundle::contents::{CONTENTS, CONTENTS_BYTES_MAX, Contents, Member};
use crate::archive::bundle::error::BundleError;
use crate::layer::decompress::Decompressor;
use crate::layer::entry::{Entry, EntryKind};
use crate::layer::limits::Limits;
use crate::layer::tar::{Event, TarReader};
use crate::oci::digest::Hasher;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The unpacked bytes of a bundle.
type Input<R> = Decompressor<BufReader<R>>;

/// Reads a bundle.
pub struct BundleReader<R> {
    origin: String,
    entries: Entries<Input<R>>,
    contents: Contents,
    /// How many members have begun.
    begun: usize,
    current: Option<Current>,
    /// The first thing that was wrong.
    error: Option<BundleError>,
}

/// A member that is being read.
struct Current {
    member: Member,
    hasher: Hasher,
    left_bytes: u64,
}

impl<R> std::fmt::Debug for BundleReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BundleReader").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl<R: Read> BundleReader<R> {
    /// Reads the list at the beginning of `input`, which messages call `origin`. `limits` bounds headers and
    /// compression.
    pub fn open(input: R, origin: &str, limits: &Limits) -> Result<Self, BundleError> {
        let io_error = |source| BundleError::Io { origin: origin.to_owned(), source };
        // A bundle is as large as it likes: what is unpacked is bounded by its list.
        let limits = Limits {
            entries_max: u64::MAX,
            unpacked_bytes_max: u64::MAX,
            apparent_bytes_max: u64::MAX,
            ratio_max: None,
            ..*limits
        };
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        let input = Decompressor::new(input, &limits).map_err(io_error)?;
        let mut entries = Entries::new(input, &limits);
        let contents = read_contents(&mut entries, origin)?;
        let origin = origin.to_owned();
        Ok(Self { origin, entries, contents, begun: 0, current: None, error: None })
    }

    /// What the bundle holds.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What messages call it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Begins the next member of the list, whose bytes are read from this reader; `None` behind the last. The
    /// member before must have been read to its end.
    pub fn next_member(&mut self) -> Result<Option<Member>, BundleError> {
        let Some(&member) = self.contents.members.get(self.begun) else {
            return self.end().map(|()| None);
        };
        let expected = member.kind.name();
        let origin = self.origin.clone();
        match self.entries.next_entry().map_err(|wrong| wrong.named(&origin, &expected))? {
            None => return Err(BundleError::Cut { origin, expected }),
            Some(entry) if !is_file(&entry, &expected, member.size_bytes) => {
                let (size_bytes, found) = (member.size_bytes, entry.path.into());
                return Err(BundleError::Entry { origin, expected, size_bytes, found });
            }
            Some(_) => {}
        }
        self.begun += 1;
        let left_bytes = member.size_bytes;
        self.current = Some(Current { member, hasher: Hasher::new(), left_bytes });
        Ok(Some(member))
    }

    /// The bytes of the current member, of which there may be `limit`.
    pub fn read_member(&mut self, limit: u64) -> Result<Vec<u8>, BundleError> {
        if let Some(Current { member, .. }) = &self.current
            && member.size_bytes > limit
        {
            let (origin, name) = (self.origin.clone(), member.kind.name());
            let size_bytes = member.size_bytes;
            return Err(BundleError::TooLarge { origin, name, size_bytes, limit });
        }
        let mut bytes = Vec::new();
        let read = self.read_to_end(&mut bytes);
        read.map_err(|error| self.error_of(error))?;
        Ok(bytes)
    }

    /// Reads what is left of the current member, and keeps nothing of it.
    pub fn skip_member(&mut self) -> Result<(), BundleError> {
        let read = io::copy(self, &mut io::sink());
        read.map(drop).map_err(|error| self.error_of(error))
    }

    /// What `error`, which came of reading, is about.
    pub fn error_of(&mut self, error: io::Error) -> BundleError {
        let origin = self.origin.clone();
        self.error.take().unwrap_or(BundleError::Io { origin, source: error })
    }

    /// What was wrong with the bundle, if that was why somebody who read from it failed.
    pub const fn take_error(&mut self) -> Option<BundleError> {
        self.error.take()
    }

    fn end(&mut self) -> Result<(), BundleError> {
        let origin = self.origin.clone();
        match self.entries.next_entry().map_err(|wrong| wrong.named(&origin, "its end"))? {
            None => Ok(()),
            Some(entry) => Err(BundleError::Unlisted { origin, found: entry.path.into() }),
        }
    }

    fn read_current(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let Some(current) = &mut self.current else { return Ok(0) };
        let name = current.member.kind.name();
        let count = self.entries.read(buffer).map_err(|wrong| wrong.named(&self.origin, &name))?;
        if count > 0 {
            current.hasher.update(&buffer[..count]);
            current.left_bytes = current.left_bytes.saturating_sub(count as u64);
            return Ok(count);
        }
        let Some(Current { member, hasher, left_bytes }) = self.current.take() else {
            return Ok(0);
        };
        let (origin, expected, actual) = (self.origin.clone(), member.digest, hasher.finish());
        match (left_bytes, actual) {
            // A sparse entry, which no export writes, has fewer data than its size says.
            (1.., _) => Err(BundleError::Cut { origin, expected: name }),
            (0, actual) if actual != expected => {
                Err(BundleError::Digest { origin, name, expected, actual })
            }
            _ => Ok(0),
        }
    }
}

impl<R: Read> Read for BundleReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_current(buffer).map_err(|error| {
            let told = io::Error::other(error.to_string());
            self.error.get_or_insert(error);
            told
        })
    }
}

fn is_file(entry: &Entry, name: &str, size_bytes: u64) -> bool {
    entry.kind == EntryKind::File && entry.path == name.as_bytes() && entry.size_bytes == size_bytes
}

fn read_contents(entries: &mut Entries<impl Read>, origin: &str) -> Result<Contents, BundleError> {
    let owned = || origin.to_owned();
    let first = match entries.next_entry() {
        Ok(first) => first,
        Err(Wrong::Io(source)) if !is_content(&source) => {
            return Err(BundleError::Io { origin: owned(), source });
        }
        Err(Wrong::Io(_) | Wrong::Tar(_)) => {
            return Err(BundleError::NotABundle { origin: owned() });
        }
    };
    let first =
        first.filter(|entry| entry.kind == EntryKind::File && entry.path == CONTENTS.as_bytes());
    let size_bytes = first.ok_or_else(|| BundleError::NotABundle { origin: owned() })?.size_bytes;
    if size_bytes > CONTENTS_BYTES_MAX {
        let (name, limit) = (CONTENTS.to_owned(), CONTENTS_BYTES_MAX);
        return Err(BundleError::TooLarge { origin: owned(), name, size_bytes, limit });
    }
    let mut bytes = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match entries.read(&mut buffer).map_err(|wrong| wrong.named(origin, CONTENTS))? {
            0 => break,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    Contents::parse(&bytes).map_err(|source| BundleError::Contents { origin: owned(), source })
}

/// Why the next bytes of a tar cannot be had.
enum Wrong {
    Io(io::Error),
    Tar(crate::layer::tar::error::TarError),
}

impl Wrong {
    /// As an error of the bundle, which came when `expected` should have.
    fn named(self, origin: &str, expected: &str) -> BundleError {
        let origin = origin.to_owned();
        match self {
            Self::Tar(source) => BundleError::Tar { origin, source },
            Self::Io(error) if is_content(&error) => {
                BundleError::Cut { origin, expected: expected.to_owned() }
            }
            Self::Io(source) => BundleError::Io { origin, source },
        }
    }
}

/// Whether the bytes are to blame, and not who reads them.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// The entries of a tar, one after the other.
struct Entries<R> {
    input: R,
    tar: TarReader,
    buffer: Vec<u8>,
    /// What of the buffer was used, and how much it holds.
    used: usize,
    filled: usize,
    /// Data of the current entry that was not read yet.
    data: Vec<u8>,
    data_used: usize,
    /// Whether data of an entry may follow.
    is_inside: bool,
    /// Whether the end-of-archive marker has come.
    is_ended: bool,
    is_over: bool,
}

/// What the tar says next.
enum Step {
    Entry(Entry),
    Data,
    End,
    Other,
    Over,
}

impl<R: Read> Entries<R> {
    fn new(input: R, limits: &Limits) -> Self {
        Self {
            input,
            tar: TarReader::new(limits),
            buffer: vec![0; BUFFER_BYTES],
            used: 0,
            filled: 0,
            data: Vec::new(),
            data_used: 0,
            is_inside: false,
            is_ended: false,
            is_over: false,
        }
    }

    /// The next entry, whose data is to be read before the one behind it.
    fn next_entry(&mut self) -> Result<Option<Entry>, Wrong> {
        loop {
            match self.step()? {
                Step::Entry(entry) => {
                    self.is_inside = true;
                    return Ok(Some(entry));
                }
                Step::Over => return Ok(None),
                Step::Data | Step::End | Step::Other => {}
            }
        }
    }

    /// Data of the current entry; nothing at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Wrong> {
        while self.data_used == self.data.len() {
            if !self.is_inside {
                return Ok(0);
            }
            match self.step()? {
                Step::End | Step::Over => self.is_inside = false,
                Step::Entry(_) | Step::Data | Step::Other => {}
            }
        }
        let rest = &self.data[self.data_used..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.data_used += count;
        Ok(count)
    }

    fn step(&mut self) -> Result<Step, Wrong> {
        if self.is_over {
            return Ok(Step::Over);
        }
        if self.used == self.filled {
            self.refill()?;
        }
        let mut input = &self.buffer[self.used..self.filled];
        let is_end = input.is_empty();
        let step = match self.tar.next(&mut input).map_err(Wrong::Tar)? {
            Event::NeedInput if is_end => Step::Over,
            Event::NeedInput => Step::Other,
            Event::EndOfArchive => {
                self.is_ended = true;
                Step::Other
            }
            Event::Entry(entry) => Step::Entry(entry),
            Event::EntryEnd => Step::End,
            Event::Data { bytes, .. } => {
                let mut data = mem::take(&mut self.data);
                data.clear();
                data.extend_from_slice(bytes);
                (self.data, self.data_used) = (data, 0);
                Step::Data
            }
        };
        self.used = self.filled - input.len();
        if matches!(step, Step::Over) {
            self.tar.finish().map_err(Wrong::Tar)?;
            // Without the marker nobody can tell whether something is missing behind.
            if !self.is_ended {
                return Err(Wrong::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            self.is_over = true;
        }
        Ok(step)
    }

    fn refill(&mut self) -> Result<(), Wrong> {
        (self.used, self.filled) = (0, 0);
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(count) => {
                    self.filled = count;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Wrong::Io(error)),
            }
        }
    }
}
