//! The files of a tar archive, each found by its name.
//!
//! The archive is read once, from header to header, and of each file only the place of its data is kept:
//! entries may stand in any order, and nothing is unpacked to disk. An archive that is compressed as a whole
//! is inflated once for this; its small files, which are the documents, are kept in memory, and each larger
//! one is inflated again when it is read. So a compressed archive costs time for every layer, and no space.
//!
//! An archive may come from anywhere. Names that lead out of it, files of one name, sparse files, links in
//! circles and more entries than any real one has are refused.

mod index;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::content::{Content, Inflated, Part, unpack};
use crate::archive::error::Error;
use crate::layer::decompress::Compression;
use crate::layer::limits::{Limits, SYMLINKS_FOLLOWED_MAX};
use crate::oci::digest::{Digest, HashingReader};

/// The files of a tar archive.
#[derive(Debug)]
pub struct Members {
    path: PathBuf,
    file: Arc<File>,
    file_bytes: u64,
    /// How the archive is compressed as a whole.
    packing: Compression,
    limits: Limits,
    entries: BTreeMap<Vec<u8>, Member>,
}

/// What a name stands for.
#[derive(Debug)]
enum Member {
    /// A regular file.
    File(Place),
    /// Another name, from the archive's root.
    Link(Vec<u8>),
}

/// Where a file's data is.
#[derive(Debug)]
struct Place {
    /// The first byte in the unpacked archive.
    offset: u64,
    size: u64,
    /// The file's own compression, where it was seen.
    packing: Option<Compression>,
    /// The data itself, where that is small and would have to be inflated again.
    kept: Option<Arc<[u8]>>,
}

impl Members {
    /// Reads which files the archive at `path` holds. `limits` bounds its headers and its compression.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let io_error = |source| Error::Io { path: path.to_owned(), source };
        // Asked before it is opened: to open a pipe is to wait for who writes to it.
        if !fs::metadata(path).map_err(io_error)?.is_file() {
            return Err(Error::NotAFile { path: path.to_owned() });
        }
        let file = Arc::new(File::open(path).map_err(io_error)?);
        let file_bytes = file.metadata().map_err(io_error)?.len();
        let packing = packing_of(Part::new(Arc::clone(&file), 0, file_bytes)).map_err(io_error)?;
        let (path, limits, entries) = (path.to_owned(), *limits, BTreeMap::new());
        let mut members = Self { path, file, file_bytes, packing, limits, entries };
        members.entries = index::entries(&members)?;
        Ok(members)
    }

    /// The archive's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What bounds it, and the layers in it.
    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether there is something of this name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name.as_bytes())
    }

    /// The bytes of the file `name` and their number.
    pub fn open_file(&self, name: &str) -> Result<(Content, u64), Error> {
        let place = self.place(name)?;
        Ok((self.content(place).map_err(|source| self.unreadable(name, source))?, place.size))
    }

    /// How the file `name` is compressed, by its first bytes.
    pub fn compression_of(&self, name: &str) -> Result<Compression, Error> {
        let place = self.place(name)?;
        let looked = || packing_of(self.content(place)?);
        place.packing.map_or_else(looked, Ok).map_err(|source| self.unreadable(name, source))
    }

    /// The digest of the file `name`, all of which is read.
    pub fn digest_of(&self, name: &str) -> Result<Digest, Error> {
        let (content, _) = self.open_file(name)?;
        let mut content = HashingReader::new(content);
        io::copy(&mut content, &mut io::sink()).map_err(|source| self.unreadable(name, source))?;
        let (_, digest, _) = content.finish();
        Ok(digest)
    }

    /// Where the data of `name` is, behind links if there are any.
    fn place(&self, name: &str) -> Result<&Place, Error> {
        let mut found = name.as_bytes();
        for _ in 0..=SYMLINKS_FOLLOWED_MAX {
            match self.entries.get(found) {
                Some(Member::File(place)) => return Ok(place),
                Some(Member::Link(target)) => found = target,
                None => return Err(self.unreadable(name, io::ErrorKind::NotFound.into())),
            }
        }
        Err(Error::Entry {
            path: self.path.clone(),
            entry: name.as_bytes().into(),
            reason: "stands behind more links than Linux follows",
        })
    }

    fn content(&self, place: &Place) -> io::Result<Content> {
        if let Some(kept) = &place.kept {
            return Ok(Content::new(Cursor::new(Arc::clone(kept))));
        }
        if self.packing == Compression::None {
            let file = Arc::clone(&self.file);
            return Ok(Content::new(Part::new(file, place.offset, place.size)));
        }
        let stream = unpack(self.whole(), &self.limits)?;
        Ok(Content::new(Inflated::new(stream, place.offset, place.size)))
    }

    /// The whole file of the archive.
    fn whole(&self) -> Part {
        Part::new(Arc::clone(&self.file), 0, self.file_bytes)
    }

    fn unreadable(&self, name: &str, source: io::Error) -> Error {
        Error::Io { path: self.path.join(name), source }
    }
}

/// The compression of a stream by its first bytes.
fn packing_of(stream: impl io::Read) -> io::Result<Compression> {
    let mut start = Vec::new();
    stream.take(Compression::MAGIC_BYTES as u64).read_to_end(&mut start)?;
    Ok(Compression::of(&start))
}

#[cfg(test)]
mod tests;
