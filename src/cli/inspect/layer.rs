//! `inspect layer`: the entries of a layer tar, in its order.

use std::io::{self, BufReader, Read};
use std::path::Path;

use sandbox_images::layer::builder::error::ChangesetError;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::entry::{DataSink, Entry as TarEntry, EntryKind};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::name::{CleanPath, Meaning, NameError};
use sandbox_images::layer::read::{ReadError, Visitor, read_layer};
use sandbox_images::oci::digest::{DiffId, Digest, Hasher, HashingReader};
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::inspect::entry::{Bytes, Entry};
use crate::cli::inspect::{name_of, open, refused};
use crate::cli::setup::Setup;

/// Bytes of the file that are read at once.
const INPUT_BYTES: usize = 128 << 10;

pub(super) fn inspect(setup: &Setup<'_>, file: &Path) -> Result<Value, Failure> {
    let input = open(file)?;
    let inspected = read(input, &setup.config.limits());
    inspected.map_err(|error| refuse(&error).about(&name_of(file)))
}

fn read(input: impl Read, limits: &Limits) -> Result<Value, ChangesetError> {
    let mut input = BufReader::with_capacity(INPUT_BYTES, HashingReader::new(input));
    let decompressor = Decompressor::new(&mut input, limits).map_err(ReadError::Input)?;
    let compression = decompressor.compression();
    let mut tar = HashingReader::new(BufReader::with_capacity(INPUT_BYTES, decompressor));
    let mut digests = Digests::default();
    let mut listing = Listing { limits: *limits, entries: Vec::new() };
    read_layer(&mut tar, limits, &mut digests, &mut listing)?;
    let (_, diff_id, _) = tar.finish();
    let (_, digest, size) = input.into_inner().finish();
    let entries = listing.entries.iter().map(|(entry, address)| shown(entry, *address, &digests));
    let entries: Vec<Value> = entries.collect::<Result<_, _>>()?;
    Ok(json!({
        "schema": "sandbox-images/inspect-layer/1",
        "compression": compression.to_string(),
        "digest": digest,
        "size": size,
        "diff_id": DiffId(diff_id),
        "entries": entries,
    }))
}

pub(super) fn refuse(error: &ChangesetError) -> Failure {
    refused(error.code(), error, error.entry(), error.offset_bytes())
}

/// Digests of files, in place of their data.
#[derive(Debug, Default)]
pub(super) struct Digests {
    current: Hasher,
    hashed_bytes: u64,
    finished: Vec<Digest>,
}

impl Digests {
    /// The digest at `address`; of nothing, for an empty file.
    pub(super) fn of(&self, size_bytes: u64, address: u32) -> Digest {
        let digest = self.finished.get(address as usize).filter(|_| size_bytes > 0);
        digest.copied().unwrap_or_else(|| Digest::of(""))
    }

    /// Hashes the zeros of a hole that ends at `offset_bytes`.
    fn fill_to(&mut self, offset_bytes: u64) {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while self.hashed_bytes < offset_bytes {
            let count = (offset_bytes - self.hashed_bytes).min(ZEROS.len() as u64);
            self.current.update(&ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len())]);
            self.hashed_bytes += count;
        }
    }
}

impl DataSink for Digests {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.fill_to(offset_bytes);
        self.current.update(bytes);
        self.hashed_bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.fill_to(size_bytes);
        self.hashed_bytes = 0;
        let address = u32::try_from(self.finished.len()).map_err(io::Error::other)?;
        self.finished.push(std::mem::take(&mut self.current).finish());
        Ok(address)
    }
}

/// All entries, each with the address of its data.
struct Listing {
    limits: Limits,
    entries: Vec<(TarEntry, u32)>,
}

impl Visitor for Listing {
    type Error = ChangesetError;

    fn wants_data(&mut self, _: &TarEntry) -> Result<bool, ChangesetError> {
        Ok(true)
    }

    fn entry(&mut self, entry: TarEntry, address: u32) -> Result<(), ChangesetError> {
        debug_assert!((self.entries.len() as u64) <= self.limits.entries_max);
        self.entries.push((entry, address));
        Ok(())
    }
}

fn shown(entry: &TarEntry, address: u32, digests: &Digests) -> Result<Value, ChangesetError> {
    let wrong = |error: NameError| ChangesetError::Entry {
        entry: entry.path.as_slice().into(),
        offset_bytes: entry.offset_bytes,
        problem: error.into(),
    };
    let path = CleanPath::parse(&entry.path).map_err(wrong)?;
    let hidden;
    let (path, kind) = match path.meaning().map_err(wrong)? {
        Meaning::Whiteout(name) => {
            hidden = [path.parent(), &name].join(&b'/');
            (hidden.strip_prefix(b"/").unwrap_or(&hidden), "whiteout")
        }
        Meaning::Opaque => (path.parent(), "opaque"),
        Meaning::Root | Meaning::Entry | Meaning::Aufs => (path.as_bytes(), kind_of(entry.kind)),
    };
    let mut shown = Entry::new(path, kind, &entry.metadata);
    match entry.kind {
        EntryKind::File => {
            shown = shown.with_content(entry.size_bytes, digests.of(entry.size_bytes, address));
        }
        EntryKind::Symlink | EntryKind::HardLink => shown.link = Some(Bytes(&entry.link)),
        EntryKind::CharDevice | EntryKind::BlockDevice => shown = shown.with_device(entry.device),
        EntryKind::Directory | EntryKind::Fifo => {}
    }
    Ok(serde_json::to_value(shown).expect("an entry has string keys only"))
}

fn kind_of(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "dir",
        EntryKind::Symlink => "symlink",
        EntryKind::HardLink => "hardlink",
        EntryKind::CharDevice => "char",
        EntryKind::BlockDevice => "block",
        EntryKind::Fifo => "fifo",
    }
}
