//! The layer tars of `tests/data/layers`, and broken ones made of them, through decompression and the
//! tar reader. What the merged tree must be is tested elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use proptest::prelude::*;
use sandbox_images::layer::decompress::{Compression, Decompressor};
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
    end_bytes: u64,
}

/// Bytes of one file that are kept; hostile ones claim to be larger.
const KEPT_BYTES_MAX: u64 = 1 << 20;

impl Contents {
    /// Appends zeros up to `offset_bytes`.
    fn skip_to(&mut self, offset_bytes: u64) {
        assert!(offset_bytes >= self.end_bytes, "offsets only grow");
        let kept = usize::try_from(offset_bytes.min(KEPT_BYTES_MAX)).unwrap();
        self.current.resize(kept.max(self.current.len()), 0);
        self.end_bytes = offset_bytes;
    }
}

impl DataSink for Contents {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(!bytes.is_empty());
        self.skip_to(offset_bytes);
        self.current.extend_from_slice(bytes);
        self.end_bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.skip_to(size_bytes);
        self.done.push(std::mem::take(&mut self.current));
        self.end_bytes = 0;
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
    let pieces = Pieces { layer, lengths: pieces, next: 0 };
    let unpacked = Decompressor::new(BufReader::with_capacity(512, pieces), limits);
    let unpacked = unpacked.map_err(ReadError::Input)?;
    let (mut contents, mut recorder) = (Contents::default(), Recorder::default());
    read_layer(BufReader::new(unpacked), limits, &mut contents, &mut recorder)?;
    let content = |address: u32| match address {
        0 => Vec::new(),
        address => contents.done[address as usize - 1].clone(),
    };
    let entries = recorder.entries.into_iter();
    let entries = entries.map(|(entry, address)| (entry, content(address)));
    Ok(Seen { entries: entries.collect() })
}

/// A reader that cuts its bytes into pieces.
struct Pieces<'a> {
    layer: &'a [u8],
    lengths: &'a [usize],
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.lengths[self.next % self.lengths.len()];
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
    read(name).unwrap_or_else(|error| panic!("{name}: {error}")).entries
}

/// The names in a layer.
fn names(name: &str) -> Vec<String> {
    let entries = entries(name).into_iter();
    entries.map(|(entry, _)| String::from_utf8(entry.path).unwrap()).collect()
}

/// All layers of all cases.
fn layer_files() -> Vec<String> {
    let cases: serde_json::Value = serde_json::from_slice(&data("cases.json")).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    let layers = cases.iter().flat_map(|case| case["layers"].as_array().unwrap());
    layers.map(|layer| layer["file"].as_str().unwrap().to_owned()).collect()
}

/// What the reader itself refuses, and why. All other layers it reads; the changeset judges their names.
const REFUSED: &[(&str, &str)] = &[
    ("bad-checksum.0.tar", "tar-checksum"),
    ("dev-huge.0.tar", "tar-device"),
    ("dir-with-size.0.tar", "tar-checksum"),
    ("gnu-longname-1g.0.tar", "layer-limit"),
    ("gz-bad-crc.0.tar.gz", "compression-malformed"),
    ("gz-bad-isize.0.tar.gz", "compression-malformed"),
    ("gz-nested.0.tar.gz", "tar-truncated"),
    ("gz-trailing-garbage.0.tar.gz", "compression-trailing"),
    ("gz-truncated-in-trailer.0.tar.gz", "compression-truncated"),
    ("gz-truncated.0.tar.gz", "compression-truncated"),
    ("hardlink-with-body.0.tar", "tar-checksum"),
    ("mtime-huge.0.tar", "tar-pax"),
    ("pax-bad-length.0.tar", "tar-pax"),
    ("pax-dangling.0.tar", "tar-extension"),
    ("pax-header-4g.0.tar", "layer-limit"),
    ("pax-huge-size.0.tar", "tar-pax"),
    ("pax-negative-size.0.tar", "tar-number"),
    ("pax-no-newline.0.tar", "tar-pax"),
    ("pax-nul-in-path.0.tar", "tar-name"),
    ("pax-path-and-gnu-L.0.tar", "tar-extension"),
    ("pax-size-64g-no-body.0.tar", "layer-limit"),
    ("pax-two-x.0.tar", "tar-extension"),
    ("single-zero-block-then-entry.0.tar", "tar-zero-block"),
    ("size-base256-huge.0.tar", "tar-number"),
    ("size-base256-negative.0.tar", "tar-number"),
    ("size-octal-garbage.0.tar", "tar-number"),
    ("trunc-body.0.tar", "tar-truncated"),
    ("trunc-header.0.tar", "tar-truncated"),
    ("typeflag-gnu-V-M-D.0.tar", "tar-typeflag"),
    ("typeflag-solaris-X.0.tar", "tar-typeflag"),
    ("typeflag-unknown-Z.0.tar", "tar-typeflag"),
    ("uid-negative.0.tar", "tar-owner"),
    ("uid-too-big.0.tar", "tar-owner"),
    ("xattr-64k-value.0.tar", "layer-limit"),
    ("xattr-long-name.0.tar", "layer-limit"),
    ("zst-bad-checksum.0.tar.zst", "compression-malformed"),
    ("zst-dict-id.0.tar.zst", "compression-malformed"),
    ("zst-huge-window.0.tar.zst", "compression-malformed"),
    ("zst-trailing-garbage.0.tar.zst", "compression-malformed"),
    ("zst-truncated.0.tar.zst", "compression-truncated"),
];

#[test]
fn each_layer_is_read_or_refused_as_the_table_says() {
    let refused: BTreeMap<String, &str> = layer_files()
        .into_iter()
        .filter_map(|name| read(&name).err().map(|error| (name, error.code())))
        .collect();
    let expected: BTreeMap<String, &str> =
        REFUSED.iter().map(|(name, code)| ((*name).to_owned(), *code)).collect();
    assert_eq!(refused, expected);
}

#[test]
fn a_line_feed_in_a_value_forges_nothing() {
    assert_eq!(names("pax-newline-forged-path.0.tar"), ["good"]);
    let hidden = entries("pax-newline-xattr-hides-size.0.tar");
    let sizes = hidden.iter().map(|(entry, content)| (entry.size_bytes, content.len()));
    assert_eq!(sizes.collect::<Vec<_>>(), [(1024, 1024), (2, 2)]);
    let [(entry, _)] = &entries("pax-cap-newline.0.tar")[..] else {
        panic!("one entry");
    };
    let capability = &entry.metadata.xattrs[&b"security.capability"[..]];
    assert!(capability.contains(&b'\n') && capability.len() == 20);
}

#[test]
fn four_sparse_encodings_hold_one_content() {
    let entries = entries("sparse-gnu-old.0.tar");
    let (end, sparse) = entries.split_last().unwrap();
    assert_eq!((&end.0.path[..], end.1.len()), (&b"end"[..], 4));
    assert_eq!(sparse.len(), 4);
    for (entry, content) in sparse {
        assert!(entry.path.starts_with(b"sparse-"));
        assert_eq!((entry.size_bytes, content.len()), (200, 200));
        assert_eq!(content, &sparse[0].1);
        let stored = content.iter().filter(|&&byte| byte != 0);
        assert_eq!(stored.count(), 95);
    }
}

#[test]
fn numbers_keep_their_whole_range() {
    let owner = |name: &str| {
        let metadata = &entries(name)[0].0.metadata;
        (metadata.uid, metadata.gid)
    };
    assert_eq!(owner("uid-base256.0.tar"), (2_097_157, 4_294_967_294));
    assert_eq!(owner("uid-pax.0.tar").0, u32::MAX);
    assert_eq!(owner("pax-global-path-uid.0.tar").0, 0);

    let time = |name: &str| entries(name)[0].0.metadata.mtime;
    let timestamp = |seconds, nanoseconds| Timestamp { seconds, nanoseconds };
    assert_eq!(time("mtime-negative-base256.0.tar"), timestamp(-5, 0));
    assert_eq!(time("mtime-negative-pax.0.tar"), timestamp(-6, 750_000_000));
    assert_eq!(time("mtime-ns.0.tar").nanoseconds % 10, 9);
}

#[test]
fn devices_and_modes_are_read() {
    let devices = entries("dev-nodes.0.tar").into_iter();
    let devices: Vec<_> = devices.map(|(entry, _)| (entry.kind, entry.device)).collect();
    let device = |major, minor| Device { major, minor };
    assert_eq!(
        devices,
        [
            (EntryKind::CharDevice, device(1, 3)),
            (EntryKind::BlockDevice, device(259, 70_000)),
            (EntryKind::Fifo, device(0, 0)),
        ]
    );
    let modes = |name: &str| -> Vec<u16> {
        let entries = entries(name).into_iter();
        entries.map(|(entry, _)| entry.metadata.mode).collect()
    };
    assert_eq!(modes("mode-setuid.0.tar"), [0o4755, 0o2755, 0o1777]);
    assert_eq!(modes("mode-with-type-bits.0.tar"), [0o755]);
}

#[test]
fn names_stay_as_they_are() {
    assert_eq!(names("name-leading-dot-slash.0.tar"), ["./", "./etc/", "./etc/a"]);
    assert_eq!(names("name-trailing-slash-file.0.tar"), ["a/b/"]);
    assert_eq!(names("name-nul-padded-junk.0.tar"), ["abc"]);
    assert_eq!(names("pax-dup-path.0.tar"), ["last"]);
    assert_eq!(names("second-archive-after-eof.0.tar"), ["a"]);
    assert_eq!(names("pax-then-gnu-L.0.tar").len(), 1);
}

/// What a reading comes to, in a form that can be compared. How much of a broken compressed stream comes
/// out before its error shows does depend on how it is cut, so that there only refusal counts.
fn outcome(layer: &[u8], pieces: &[usize]) -> Result<Seen, String> {
    read_in(layer, pieces, &Limits::default()).map_err(|error| match Compression::of(layer) {
        Compression::None => error.to_string(),
        _ => "refused".to_owned(),
    })
}

#[test]
fn cutting_the_stream_changes_nothing() {
    for name in layer_files() {
        let layer = data(&name);
        let whole = outcome(&layer, &[usize::MAX]);
        for pieces in [&[1][..], &[511, 2], &[512], &[513, 100, 7]] {
            assert_eq!(outcome(&layer, pieces), whole, "{name} in {pieces:?}");
        }
    }
}

/// Makes the checksum of the header at `block` right again.
fn fix_checksum(tar: &mut [u8], block: usize) {
    let Some(header) = tar.get_mut(block * 512..(block + 1) * 512) else {
        return;
    };
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A broken layer is read or refused, in the same way however it is cut, and within its bytes.
    #[test]
    fn a_broken_layer_never_panics(
        index in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
        fixes in any::<bool>(),
        pieces in prop::collection::vec(1_usize..2000, 1..5),
    ) {
        let files = layer_files();
        let mut layer = data(index.get(files.as_slice()).as_str());
        layer.truncate(8192);
        for (place, byte) in flips {
            if !layer.is_empty() {
                let place = place.index(layer.len());
                layer[place] = byte;
                if fixes {
                    fix_checksum(&mut layer, place / 512);
                }
            }
        }
        if cuts && !layer.is_empty() {
            layer.truncate(end.index(layer.len()));
        }
        prop_assert_eq!(outcome(&layer, &pieces), outcome(&layer, &[usize::MAX]));
        if let Err(error) = read_in(&layer, &[4096], &Limits::default()) {
            prop_assert!(error.offset_bytes().is_none_or(|offset| offset <= 1 << 20));
            prop_assert!(!error.code().is_empty());
        }
    }
}
