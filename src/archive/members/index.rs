//! One pass over an archive: which files it holds, and where.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::io::{self, Read};
use std::path::Path;

use crate::archive::content::{Part, Unpacked, unpack};
use crate::archive::error::Error;
use crate::archive::members::{Member, Members, Place};
use crate::layer::decompress::{Compression, DecompressError};
use crate::layer::entry::{Entry, EntryKind};
use crate::layer::limits::{Limits, PATH_BYTES_MAX};
use crate::layer::tar::{Event, TarReader};

/// Entries of one archive. An image of 500 layers has 2,000 in the oldest form.
const ENTRIES_MAX: u64 = 100_000;

/// Bytes of all names in one archive: 160 for each of the most entries.
const NAMES_BYTES_MAX: usize = 16 << 20;

/// Bytes of a file of a compressed archive that is kept in memory. Most documents are smaller.
const KEPT_BYTES_MAX: u64 = 1 << 20;

/// Bytes of all files that are kept.
const KEPT_BYTES_MAX_IN_ALL: u64 = 32 << 20;

/// Bytes that are read at once: most of what lies between two headers is passed over.
const BUFFER_BYTES: usize = 64 << 10;

/// Reads the archive to its end.
pub(super) fn entries(archive: &Members) -> Result<BTreeMap<Vec<u8>, Member>, Error> {
    let mut stream = Stream::of(archive)?;
    let mut index = Index::new(archive);
    let mut tar = TarReader::new(&limits_of_headers(&archive.limits));
    let refused = |source| Error::Tar { path: archive.path.clone(), source };
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).map_err(|error| unreadable(&archive.path, error))?;
        let mut input = &buffer[..count];
        loop {
            match tar.next(&mut input).map_err(refused)? {
                Event::NeedInput => break,
                Event::Entry(entry) => {
                    index.begin(&entry, tar.position_bytes())?;
                    if let Stream::Plain(file) = &mut stream {
                        let skipped = tar.skip_data();
                        index.passed(skipped);
                        input = pass_over(input, skipped).unwrap_or_else(|| {
                            file.seek(tar.position_bytes());
                            &[]
                        });
                    }
                }
                Event::Data { bytes, .. } => index.data(bytes),
                Event::EntryEnd => index.end()?,
                Event::EndOfArchive => {}
            }
        }
        if count == 0 {
            tar.finish().map_err(refused)?;
            return Ok(index.entries);
        }
    }
}

/// Of a layer's `limits` those that bound single headers. The others are too small for a whole archive: the
/// index counts entries itself, a plain file has an end, and a compressed one is bounded where it is inflated.
const fn limits_of_headers(limits: &Limits) -> Limits {
    Limits {
        entries_max: u64::MAX,
        unpacked_bytes_max: u64::MAX,
        apparent_bytes_max: u64::MAX,
        ..*limits
    }
}

/// What of `input` is left behind its first `count` bytes; `None` if it ends before.
fn pass_over(input: &[u8], count: u64) -> Option<&[u8]> {
    input.get(usize::try_from(count).ok()?..)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let path = path.to_owned();
    match error.downcast::<DecompressError>() {
        Ok(source) => Error::Unpack { path, source },
        Err(source) => Error::Io { path, source },
    }
}

/// The unpacked archive.
enum Stream {
    /// As it is in the file, so that data can be passed over.
    Plain(Part),
    /// As it is inflated.
    Packed(Box<Unpacked>),
}

impl Stream {
    fn of(archive: &Members) -> Result<Self, Error> {
        if archive.packing == Compression::None {
            return Ok(Self::Plain(archive.whole()));
        }
        let stream = unpack(archive.whole(), &archive.limits);
        stream
            .map(|stream| Self::Packed(Box::new(stream)))
            .map_err(|error| unreadable(&archive.path, error))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed(stream) => stream.read(buffer),
        }
    }
}

/// What was found so far.
struct Index<'a> {
    archive: &'a Members,
    entries: BTreeMap<Vec<u8>, Member>,
    count: u64,
    names_bytes: usize,
    kept_bytes: u64,
    /// The file whose data passes.
    current: Option<Current>,
}

/// A file whose data passes.
struct Current {
    name: Vec<u8>,
    place: Place,
    /// Bytes of data that passed; less than the size in a sparse file.
    passed: u64,
    /// The data, as far as it is kept: all of it, or enough to know its compression.
    start: Vec<u8>,
    kept_bytes_max: u64,
}

impl<'a> Index<'a> {
    fn new(archive: &'a Members) -> Self {
        let (entries, current) = (BTreeMap::new(), None);
        Self { archive, entries, count: 0, names_bytes: 0, kept_bytes: 0, current }
    }

    /// Takes an entry whose data starts at `offset`.
    fn begin(&mut self, entry: &Entry, offset: u64) -> Result<(), Error> {
        self.count += 1;
        self.names_bytes += entry.path.len() + entry.link.len();
        self.check_limits()?;
        let name = resolved(b"", &entry.path).map_err(|reason| self.refused(entry, reason))?;
        let parent = name.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let target = match entry.kind {
            EntryKind::File => return self.begin_file(name, entry, offset),
            EntryKind::Symlink if entry.link.starts_with(b"/") => {
                Err("is a link out of the archive")
            }
            EntryKind::Symlink => resolved(&name[..parent], &entry.link),
            EntryKind::HardLink => resolved(b"", &entry.link),
            // Nothing that is looked for is a directory or a device.
            _ => return Ok(()),
        };
        let target = target.map_err(|reason| self.refused(entry, reason))?;
        self.insert(name, Member::Link(target))
    }

    fn begin_file(&mut self, name: Vec<u8>, entry: &Entry, offset: u64) -> Result<(), Error> {
        let size = entry.size_bytes;
        let end = offset.saturating_add(size);
        if self.archive.packing == Compression::None && end > self.archive.file_bytes {
            return Err(self.refused(entry, "is cut short by the end of the archive"));
        }
        let is_kept =
            size <= KEPT_BYTES_MAX.min(KEPT_BYTES_MAX_IN_ALL.saturating_sub(self.kept_bytes));
        let kept_bytes_max = if is_kept { size } else { Compression::MAGIC_BYTES as u64 };
        let place = Place { offset, size, packing: None, kept: None };
        self.current = Some(Current { name, place, passed: 0, start: Vec::new(), kept_bytes_max });
        Ok(())
    }

    /// Notes that so much data was passed over.
    fn passed(&mut self, bytes: u64) {
        if let Some(current) = &mut self.current {
            current.passed += bytes;
        }
    }

    /// Takes data of a compressed archive.
    fn data(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else { return };
        current.passed += bytes.len() as u64;
        let room = current.kept_bytes_max.saturating_sub(current.start.len() as u64);
        let room = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        current.start.extend_from_slice(&bytes[..room]);
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(Current { name, mut place, passed, start, .. }) = self.current.take() else {
            return Ok(());
        };
        if passed != place.size {
            return Err(self.entry_error(&name, "is a sparse file"));
        }
        if self.archive.packing != Compression::None {
            place.packing = Some(Compression::of(&start));
            if start.len() as u64 == place.size {
                self.kept_bytes += place.size;
                place.kept = Some(start.into());
            }
        }
        self.insert(name, Member::File(place))
    }

    fn insert(&mut self, name: Vec<u8>, member: Member) -> Result<(), Error> {
        match self.entries.entry(name) {
            Slot::Vacant(slot) => {
                slot.insert(member);
                Ok(())
            }
            Slot::Occupied(slot) => {
                let name = slot.key().clone();
                Err(self.entry_error(&name, "is there twice"))
            }
        }
    }

    fn check_limits(&self) -> Result<(), Error> {
        let limit = |what, max| Error::Limit { path: self.archive.path.clone(), what, max };
        if self.count > ENTRIES_MAX {
            return Err(limit("entries", ENTRIES_MAX));
        }
        if self.names_bytes > NAMES_BYTES_MAX {
            return Err(limit("bytes of names", NAMES_BYTES_MAX as u64));
        }
        Ok(())
    }

    fn refused(&self, entry: &Entry, reason: &'static str) -> Error {
        self.entry_error(&entry.path, reason)
    }

    fn entry_error(&self, name: &[u8], reason: &'static str) -> Error {
        Error::Entry { path: self.archive.path.clone(), entry: name.into(), reason }
    }
}

/// The name that `path` is from the archive's root, if it is read in the folder `parent`. A folder that is
/// left again must be one: links in the middle of a name lead nowhere here.
fn resolved(parent: &[u8], path: &[u8]) -> Result<Vec<u8>, &'static str> {
    if path.len() > PATH_BYTES_MAX {
        return Err("has a longer name than Linux allows");
    }
    if path.starts_with(b"/") {
        return Err("has an absolute name");
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in parent.split(|&byte| byte == b'/').chain(path.split(|&byte| byte == b'/')) {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop().ok_or("leads out of the archive")?;
            }
            name => names.push(name),
        }
    }
    Ok(names.join(&b'/'))
}
