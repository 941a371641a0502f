//! The layer tars of `tests/data/layers`, and broken ones made of them, through decompression and the
//! tar reader. What the merged tree must be is tested elsewhere.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use proptest::prelude::*;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::entry::{DataSink, Entry, EntryKind};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::read::{ReadError, Visitor, read_layer};
use sandbox_images::layer::tree::{Device, Timestamp};

/// Everything that was read from a layer: each entry with its content, holes filled with zeros.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    entries: Vec<(Entry, Vec<u8>)>,
}

/// Takes contents; an address is one more than the index of the content.
#[derive(Debug, Default)]
struct Contents {
    done: Vec<Vec<u8>>,
    current: Vec<u8>,
}

/// Files above this size are hostile ones and are not kept.
const KEPT_BYTES_MAX: u64 = 1 << 20;

impl DataSink for Contents {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset_bytes).unwrap();
        assert!(offset >= self.current.len(), "offsets only grow");
        assert!(!bytes.is_empty());
        self.current.resize(offset, 0);
        self.current.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        assert!(size_bytes >= self.current.len() as u64);
        let size = usize::try_from(size_bytes.min(KEPT_BYTES_MAX)).unwrap();
        self.current.resize(size, 0);
        self.done.push(std::mem::take(&mut self.current));
        Ok(u32::try_from(self.done.len()).unwrap())
    }
}

#[derive(Debug, Default)]
struct Recorder {
    entries: Vec<(Entry, u32)>,
}

impl Visitor for Recorder {
    type Error = ReadError;

    fn wants_data(&mut self, entry: &Entry) -> Result<bool, ReadError> {
        assert!(entry.kind == EntryKind::File && entry.size_bytes > 0);
        Ok(!entry.path.starts_with(b".wh."))
    }

    fn entry(&mut self, entry: Entry, address: u32) -> Result<(), ReadError> {
        self.entries.push((entry, address));
        Ok(())
    }
}

/// Reads a layer that arrives in pieces of these many bytes, again and again.
fn read_in(layer: &[u8], pieces: &[usize], limits: &Limits) -> Result<Seen, ReadError> {
    let pieces = Pieces {
        layer,
        pieces,
        next: 0,
    };
    let unpacked = Decompressor::new(BufReader::with_capacity(512, pieces), limits);
    let unpacked = unpacked.map_err(ReadError::Input)?;
    let (mut contents, mut recorder) = (Contents::default(), Recorder::default());
    read_layer(unpacked, limits, &mut contents, &mut recorder)?;
    let content = |address: u32| match address {
        0 => Vec::new(),
        address => contents.done[address as usize - 1].clone(),
    };
    let entries = recorder.entries.into_iter();
    let entries = entries.map(|(entry, address)| (entry, content(address)));
    Ok(Seen {
        entries: entries.collect(),
    })
}

/// A reader that cuts its bytes into pieces.
struct Pieces<'a> {
    layer: &'a [u8],
    pieces: &'a [usize],
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.pieces[self.next % self.pieces.len()];
        self.next += 1;
        let length = piece.clamp(1, buffer.len());
        (&mut self.layer).take(length as u64).read(buffer)
    }
}

fn data(name: &str) -> Vec<u8> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/layers");
    std::fs::read(directory.join(name)).unwrap()
}

fn read(name: &str) -> Result<Seen, ReadError> {
    read_in(&data(name), &[4096], &Limits::default())
}

fn entries(name: &str) -> Vec<(Entry, Vec<u8>)> {
    read(name)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .entries
}

/// Names and sizes of what a layer holds.
fn names(name: &str) -> Vec<(String, u64)> {
    let entries = entries(name).into_iter();
    entries
        .map(|(entry, _)| (String::from_utf8(entry.path).unwrap(), entry.size_bytes))
        .collect()
}

/// All layers of all cases.
fn layer_files() -> Vec<String> {
    let cases: serde_json::Value = serde_json::from_slice(&data("cases.json")).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    let layers = cases
        .iter()
        .flat_map(|case| case["layers"].as_array().unwrap());
    layers
        .map(|layer| layer["file"].as_str().unwrap().to_owned())
        .collect()
}

/// What the reader itself refuses, and why. All other layers it reads; the changeset judges their names.
const REFUSED: &[(&str, &str)] = &[
    ("bad-checksum.0.tar", "tar-checksum"),
    ("dev-huge.0.tar", "tar-device"),
];

#[test]
fn each_layer_is_read_or_refused_as_the_table_says() {
    let refused: BTreeMap<String, &str> = layer_files()
        .into_iter()
        .filter_map(|name| read(&name).err().map(|error| (name, error.code())))
        .collect();
    let expected: BTreeMap<String, &str> = REFUSED
        .iter()
        .map(|(name, code)| ((*name).to_owned(), *code))
        .collect();
    assert_eq!(refused, expected);
}
