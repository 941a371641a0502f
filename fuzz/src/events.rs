//! Reading a tar event by event, with what must hold of every event whatever the bytes are.

use sandbox_images::layer::entry::{Entry, EntryKind};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::tar::error::TarError;
use sandbox_images::layer::tar::{Event, TarReader};

use crate::archive::BLOCK_BYTES;

/// An entry and its data, as runs of bytes that do not touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// Where each run starts, and its bytes.
    pub runs: Vec<(u64, Vec<u8>)>,
    /// Whether all of it has passed.
    pub is_complete: bool,
}

impl Found {
    fn push(&mut self, offset: u64, bytes: &[u8]) {
        assert_eq!(self.entry.kind, EntryKind::File, "only files have data");
        assert!(!bytes.is_empty(), "data is never empty");
        let end = self.end();
        assert!(offset >= end, "offsets grow");
        assert!(offset + bytes.len() as u64 <= self.entry.size_bytes, "data is within the file");
        match self.runs.last_mut() {
            Some((_, run)) if offset == end => run.extend_from_slice(bytes),
            _ => self.runs.push((offset, bytes.to_vec())),
        }
    }

    /// Where the data so far ends.
    fn end(&self) -> u64 {
        self.runs.last().map_or(0, |(start, run)| start + run.len() as u64)
    }
}

/// All that a tar says, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The entries, the last one perhaps in part.
    pub found: Vec<Found>,
    /// Whether the end was marked.
    pub is_ended: bool,
    /// Whether all was well.
    pub result: Result<(), TarError>,
}

/// Cuts bytes into pieces that depend on a number alone.
#[derive(Debug, Clone, Copy)]
pub struct Cuts(u64);

impl Cuts {
    /// Other pieces for each `seed`; 0 does not cut.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self, left: usize) -> usize {
        if self.0 == 0 {
            return left;
        }
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (self.0 >> 33) as usize;
        // Often around one block, sometimes a few bytes.
        let length = if bits & 1 == 0 { bits >> 1 & 0x3ff } else { bits >> 1 & 0xf };
        length.min(left)
    }
}

/// Reads all of `tar` in pieces, and panics where the reader breaks its word.
pub fn read(tar: &[u8], limits: &Limits, mut cuts: Cuts) -> Outcome {
    let mut reader = TarReader::new(limits);
    let mut outcome = Outcome { found: Vec::new(), is_ended: false, result: Ok(()) };
    let mut rest = tar;
    while !rest.is_empty() && outcome.result.is_ok() {
        let (mut piece, later) = rest.split_at(cuts.next(rest.len()));
        rest = later;
        outcome.result = outcome.read_piece(&mut reader, &mut piece);
        assert!(
            outcome.result.is_err() || piece.is_empty(),
            "all input is used before more is wanted"
        );
    }
    outcome.result = outcome.result.and_then(|()| reader.finish());
    outcome.check(tar, limits);
    outcome
}

impl Outcome {
    fn read_piece(&mut self, reader: &mut TarReader, piece: &mut &[u8]) -> Result<(), TarError> {
        let mut stalled = false;
        loop {
            let before = piece.len();
            let event = reader.next(piece)?;
            let used = before - piece.len();
            match event {
                Event::NeedInput => return Ok(()),
                Event::Entry(entry) => {
                    assert!(self.found.last().is_none_or(|last| last.is_complete), "one by one");
                    self.found.push(Found { entry, runs: Vec::new(), is_complete: false });
                }
                Event::Data { offset_bytes, bytes } => {
                    assert!(used >= bytes.len(), "data is taken from the input");
                    self.found.last_mut().expect("data has an entry").push(offset_bytes, bytes);
                }
                Event::EntryEnd => {
                    let last = self.found.last_mut().expect("an end has an entry");
                    assert!(!last.is_complete, "an entry ends once");
                    last.is_complete = true;
                }
                Event::EndOfArchive => {
                    assert!(!self.is_ended, "an archive ends once");
                    self.is_ended = true;
                }
            }
            // The map of a sparse file may have ended the last piece.
            assert!(used > 0 || !stalled, "no two events without a byte between them");
            stalled = used == 0;
        }
    }

    fn check(&self, tar: &[u8], limits: &Limits) {
        let offsets = self.found.iter().map(|it| it.entry.offset_bytes);
        assert!(offsets.clone().is_sorted_by(|a, b| a < b), "entries follow each other");
        assert!(offsets.clone().all(|it| it % BLOCK_BYTES as u64 == 0 && it < tar.len() as u64));
        assert!(self.found.len() as u64 <= limits.entries_max);
        let apparent: u64 = self.found.iter().map(|it| it.entry.size_bytes).sum();
        assert!(apparent <= limits.apparent_bytes_max);
        let runs = self.found.iter().flat_map(|it| &it.runs);
        let data: usize = runs.map(|(_, run)| run.len()).sum();
        let headers = self.found.len() * BLOCK_BYTES;
        assert!(data + headers <= tar.len(), "data comes from the input");
        let Err(error) = &self.result else {
            assert!(self.found.iter().all(|it| it.is_complete), "nothing is left half read");
            return;
        };
        assert!(error.offset_bytes() <= tar.len() as u64);
        assert!(error.code().starts_with("tar-") || error.code() == "layer-limit");
        assert!(!error.to_string().contains(|it: char| it.is_control()), "one safe line");
    }
}

/// A number that depends on all of `bytes`.
pub fn seed_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Limits that a few kilobytes can hit.
pub fn small_limits() -> Limits {
    Limits {
        entries_max: 16,
        layers_max: 4,
        unpacked_bytes_max: 1 << 20,
        ratio_free_bytes: 1 << 16,
        ratio_max: Some(20),
        apparent_bytes_max: 1 << 20,
        trailer_bytes_max: 2048,
        extension_bytes_max: 4096,
        pax_records_max: 16,
        sparse_entries_max: 64,
        xattr_name_bytes_max: 255,
        xattr_value_bytes_max: 1024,
        xattr_inode_bytes_max: 2048,
    }
}
