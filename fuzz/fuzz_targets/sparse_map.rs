//! Any sparse map, in all four encodings.
//!
//! * A map in order, within the file and as long as what is stored is accepted, with exactly its bytes at
//!   exactly its offsets; any other is refused. All four encodings of one map have the same outcome.
//! * Any bytes in place of a map are refused or are one: data stays within the file, holes cost nothing.
//! * All that `layer_tar` promises.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_images::layer::limits::Limits;
use sandbox_images_fuzz::archive::{Archive, Format, Header, record, seal};
use sandbox_images_fuzz::events::{Cuts, Outcome, read, seed_of, small_limits};
use sandbox_images_fuzz::sparse::{ENCODINGS, Encoding, SparseFile};

fuzz_target!(|input: &[u8]| {
    match input {
        [] => {}
        [mode, map @ ..] if *mode < 0x80 => check_encodings(&SparseFile::of(map)),
        [mode, text @ ..] => {
            let encoding = ENCODINGS[usize::from(*mode) % ENCODINGS.len()];
            let tar = raw(encoding, text);
            read_twice(&tar, &Limits::default());
            read_twice(&tar, &small_limits());
        }
    }
});

fn check_encodings(file: &SparseFile) {
    let runs = file.runs();
    for encoding in ENCODINGS {
        let tar = file.add_to(Archive::default(), encoding, b"f").entry(b'0', b"next", b"1").end();
        let outcome = read_twice(&tar, &Limits::default());
        let Some(runs) = &runs else {
            assert_eq!(outcome.result.map_err(|error| error.code()), Err("tar-sparse"));
            continue;
        };
        assert_eq!(outcome.result, Ok(()), "{encoding:?}");
        let [found, next] = &outcome.found[..] else { panic!("two entries") };
        assert_eq!((found.entry.size_bytes, &found.runs), (file.size, runs), "{encoding:?}");
        assert_eq!(next.entry.path, b"next");
    }
}

fn read_twice(tar: &[u8], limits: &Limits) -> Outcome {
    let whole = read(tar, limits, Cuts::new(0));
    assert_eq!(read(tar, limits, Cuts::new(seed_of(tar) | 1)), whole);
    whole
}

/// A file whose map is `text`, as each encoding has one.
fn raw(encoding: Encoding, text: &[u8]) -> Vec<u8> {
    let archive = Archive::default();
    match encoding {
        Encoding::OldGnu => {
            let (fields, rest) = text.split_at(text.len().min(109));
            let size = rest.len() as u64;
            let header = Header { format: Format::Gnu, size, ..Header::new(b'S', b"f") };
            let mut block = header.block();
            block[386..386 + fields.len()].copy_from_slice(fields);
            seal(&mut block);
            archive.bytes(&block).bytes(rest)
        }
        Encoding::Pax00 => {
            let records = text.split(|&byte| byte == b'\n').map(|line| match line {
                [b'o', value @ ..] => record(b"GNU.sparse.offset", value),
                [b'b', value @ ..] => record(b"GNU.sparse.numblocks", value),
                value => record(b"GNU.sparse.numbytes", value),
            });
            let body: Vec<u8> = records.flatten().collect();
            archive.entry(b'x', b"pax", &body).entry(b'0', b"f", b"data")
        }
        Encoding::Pax01 => {
            let blocks = text.first().map_or(0, |byte| byte % 8).to_string();
            archive
                .pax(&[
                    (b"GNU.sparse.map", text.get(1..).unwrap_or_default()),
                    (b"GNU.sparse.numblocks", blocks.as_bytes()),
                    (b"GNU.sparse.size", b"100"),
                ])
                .entry(b'0', b"f", b"data")
        }
        Encoding::Pax10 => archive
            .pax(&[
                (b"GNU.sparse.major", b"1"),
                (b"GNU.sparse.minor", b"0"),
                (b"GNU.sparse.realsize", b"1000"),
            ])
            .entry(b'0', b"f", text),
    }
    .end()
}
