use std::io::{BufReader, Write as _};

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::*;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(content, 3).unwrap()
}

/// A frame that decoders skip; its magic ends in 0 to 15.
fn skippable(magic: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x50 + magic, 0x2a, 0x4d, 0x18], &length[..], content].concat()
}

/// Decompresses in pieces of `piece` compressed bytes.
fn unpack_in(packed: &[u8], piece: usize, limits: &Limits) -> io::Result<Vec<u8>> {
    let input = BufReader::with_capacity(piece, packed);
    let mut unpacked = Vec::new();
    Decompressor::new(input, limits)?.read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

#[track_caller]
fn unpack(packed: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let results = [1, 7, 1 << 16].map(|piece| {
        let result = unpack_in(packed, piece, &Limits::default());
        result.map_err(|error| error.downcast::<DecompressError>().unwrap())
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
    results.into_iter().next().unwrap()
}

#[track_caller]
fn check(packed: &[u8], content: &[u8]) {
    assert_eq!(unpack(packed).as_deref(), Ok(content));
}

#[track_caller]
fn check_refused(packed: &[u8], code: &str) {
    assert_eq!(unpack(packed).unwrap_err().code(), code);
}

#[test]
fn the_first_bytes_tell_the_compression() {
    for (packed, compression) in [
        (gzip(b"a"), Compression::Gzip),
        (zstd(b"a"), Compression::Zstd),
        (skippable(0, b"x"), Compression::Zstd),
        (skippable(15, b""), Compression::Zstd),
        (b"etc/passwd\0".to_vec(), Compression::None),
        (b"\x1f".to_vec(), Compression::None),
        (vec![], Compression::None),
    ] {
        let reader = Decompressor::new(&packed[..], &Limits::default()).unwrap();
        assert_eq!(reader.compression(), compression, "{packed:02x?}");
    }
    assert_eq!(Compression::Gzip.to_string(), "gzip");
}

#[test]
fn what_is_not_compressed_passes_as_it_is() {
    check(b"", b"");
    check(b"abc", b"abc");
    check(b"abcdefgh", b"abcdefgh");
}

#[test]
fn all_gzip_members_are_read() {
    check(&gzip(b""), b"");
    let members = [gzip(b"ab"), gzip(b""), gzip(b"cd"), gzip(b"")];
    check(&members.concat(), b"abcd");
}

#[test]
fn only_zeros_may_stand_behind_the_last_gzip_member() {
    let packed = gzip(b"ab");
    check(&[&packed[..], &[0; 600]].concat(), b"ab");
    let mixed = [&packed[..], &[0; 3], b"x"].concat();
    let offset_bytes = packed.len() as u64 + 3;
    assert_eq!(unpack(&mixed), Err(DecompressError::TrailingBytes { offset_bytes }));
    check_refused(&[&packed[..], &[0; 3], &packed].concat(), "compression-trailing");
    check_refused(&[&packed[..], b"x"].concat(), "compression-trailing");
}

#[test]
fn gzip_is_checked_to_its_last_byte() {
    let packed = gzip(b"some content");
    for end in 2..packed.len() {
        check_refused(&packed[..end], "compression-truncated");
    }
    for from_end in [1, 5] {
        let mut damaged = packed.clone();
        let place = damaged.len() - from_end;
        damaged[place] ^= 1;
        check_refused(&damaged, "compression-malformed");
    }
    check_refused(&[&packed[..], b"\x1f\x8b\x07\0\0\0\0\0\0\0"].concat(), "compression-malformed");
}

#[test]
fn all_zstd_frames_are_read_and_skippable_ones_are_skipped() {
    let frames = [
        skippable(0, b"first"),
        zstd(b"ab"),
        skippable(7, b""),
        zstd(b""),
        zstd(b"cd"),
        skippable(15, &[0; 1000]),
    ];
    check(&frames.concat(), b"abcd");
    check(&skippable(3, b"x"), b"");
}

#[test]
fn zstd_is_checked_to_its_last_byte() {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(b"some content").unwrap();
    let packed = encoder.finish().unwrap();
    for end in 4..packed.len() {
        check_refused(&packed[..end], "compression-truncated");
    }
    let mut damaged = packed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    check_refused(&damaged, "compression-malformed");
    check_refused(&[&packed[..], b"rubbish!"].concat(), "compression-malformed");
    check_refused(&[&packed[..], b"xy"].concat(), "compression-malformed");
    check_refused(&skippable(0, b"cut")[..9], "compression-truncated");
}

#[test]
fn a_zstd_frame_holds_what_its_header_says_however_it_arrives() {
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    // One segment of 8 bytes, in a last block without content.
    let empty = [&magic[..], &[0x20, 8, 1, 0, 0]].concat();
    check_refused(&empty, "compression-malformed");
    check_refused(&[zstd(b"a"), empty.clone()].concat(), "compression-malformed");
    check_refused(&[skippable(3, b"skip"), empty].concat(), "compression-malformed");
    let right = [&magic[..], &[0x20, 0, 1, 0, 0]].concat();
    check(&[right, skippable(3, b"skip"), zstd(b"a")].concat(), b"a");
}

#[test]
fn a_window_above_128_mib_is_refused() {
    // A frame header without a content size, whose window is 2^log bytes, and an empty last block.
    let frame = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0];
    check(&frame(27), b"");
    check_refused(&frame(28), "compression-malformed");
}

#[test]
fn unpacked_bytes_are_limited() {
    let limits = Limits { unpacked_bytes_max: 1000, ..Limits::default() };
    for pack in [gzip, zstd, <[u8]>::to_vec] {
        assert!(unpack_in(&pack(&[7; 1000]), 64, &limits).is_ok());
        let refused = unpack_in(&pack(&[7; 1001]), 64, &limits).unwrap_err();
        let refused = refused.downcast::<DecompressError>().unwrap();
        assert_eq!(
            refused.to_string(),
            "more than 1000 bytes in one unpacked layer \
             (`limits.unpacked-bytes-max` in the user's `config.toml` raises this)"
        );
    }
}

#[test]
fn the_ratio_is_limited_beyond_a_free_amount() {
    let limits = Limits { ratio_free_bytes: 100_000, ratio_max: Some(100), ..Limits::default() };
    for pack in [gzip, zstd] {
        assert!(unpack_in(&pack(&vec![0; 100_000]), 64, &limits).is_ok());
        let bomb = pack(&vec![0; 1_000_000]);
        let refused = unpack_in(&bomb, 64, &limits).map(drop).unwrap_err();
        let refused = refused.downcast::<DecompressError>().unwrap();
        assert_eq!(refused.code(), "layer-limit");
        let allowed = Limits { ratio_max: None, ..limits };
        assert_eq!(unpack_in(&bomb, 64, &allowed).unwrap().len(), 1_000_000);
    }
}

/// A source that fails once, and then has nothing.
struct Failing(Option<io::ErrorKind>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), |kind| Err(kind.into()))
    }
}

#[test]
fn an_error_of_the_source_comes_through_and_an_interruption_does_no_harm() {
    for pack in [gzip, zstd, <[u8]>::to_vec] {
        let packed = pack(b"some content");
        let read = |kind| {
            let (start, end) = packed.split_at(9);
            let input = BufReader::new(start.chain(Failing(Some(kind))).chain(end));
            let mut unpacked = Vec::new();
            Decompressor::new(input, &Limits::default())?.read_to_end(&mut unpacked)?;
            io::Result::Ok(unpacked)
        };
        let error = read(io::ErrorKind::ConnectionReset).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(read(io::ErrorKind::Interrupted).unwrap(), b"some content");
    }
}
