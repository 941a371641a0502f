use std::fmt::Write as _;

use super::*;
use crate::layer::entry::EntryKind;
use crate::layer::tree::Timestamp;

/// A tar that is written header by header.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// Adds a USTAR header that says `size`, and `body` padded to a whole block.
    fn raw(mut self, typeflag: u8, name: &str, link: &str, size: &str, body: &[u8]) -> Self {
        let mut block = [0; BLOCK_BYTES];
        let mut put = |start: usize, bytes: &[u8]| {
            block[start..start + bytes.len()].copy_from_slice(bytes);
        };
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(124, size.as_bytes());
        put(148, b"        ");
        put(156, &[typeflag]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(BLOCK_BYTES), 0);
        self
    }

    fn entry(self, typeflag: u8, name: &str, body: &[u8]) -> Self {
        let size = format!("{:o}", body.len());
        self.raw(typeflag, name, "", &size, body)
    }

    fn file(self, name: &str, body: &str) -> Self {
        self.entry(b'0', name, body.as_bytes())
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (key, value) in records {
            let length = key.len() + value.len() + 3;
            let length = length + (length + 2).to_string().len();
            writeln!(body, "{length} {key}={value}").unwrap();
        }
        self.entry(b'x', "PaxHeaders/0", body.as_bytes())
    }

    fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    fn end(self) -> Self {
        self.zeros(2 * BLOCK_BYTES)
    }

    fn read(&self) -> Result<Vec<Found>, TarError> {
        self.read_with(&Limits::default())
    }

    fn read_with(&self, limits: &Limits) -> Result<Vec<Found>, TarError> {
        let mut reader = TarReader::new(limits);
        let mut input = &self.0[..];
        let mut found: Vec<Found> = Vec::new();
        loop {
            match reader.next(&mut input)? {
                Event::Entry(entry) => found.push((entry, Vec::new())),
                Event::Data { offset_bytes, bytes } => {
                    found.last_mut().unwrap().1.push((offset_bytes, bytes.to_vec()));
                }
                Event::EntryEnd | Event::EndOfArchive => {}
                Event::NeedInput => break,
            }
        }
        assert!(input.is_empty());
        reader.finish().map(|()| found)
    }

    #[track_caller]
    fn check_refused(&self, kind: &TarErrorKind, offset_bytes: u64, entry: Option<&str>) {
        let refused = self.read().unwrap_err();
        let entry = entry.map(str::as_bytes);
        assert_eq!(
            (&refused.kind, refused.offset_bytes(), refused.entry()),
            (kind, offset_bytes, entry)
        );
    }
}

/// An entry and its data.
type Found = (Entry, Vec<(u64, Vec<u8>)>);

fn tar() -> Tar {
    Tar::default()
}

fn paths(found: &[Found]) -> Vec<&str> {
    found.iter().map(|(entry, _)| std::str::from_utf8(&entry.path).unwrap()).collect()
}

#[test]
fn entries_come_with_their_data_and_places() {
    let found = tar()
        .file("a", "one")
        .pax(&[("mtime", "-5.25"), ("uid", "4294967295")])
        .raw(b'2', "b", "target", "0", b"")
        .end()
        .read()
        .unwrap();
    assert_eq!(paths(&found), ["a", "b"]);
    let [(a, data), (b, no_data)] = &found[..] else {
        panic!("two entries");
    };
    assert_eq!((a.kind, a.size_bytes, a.offset_bytes), (EntryKind::File, 3, 0));
    assert_eq!(a.metadata.mode, 0o644);
    assert_eq!(data[..], [(0, b"one".to_vec())]);
    assert_eq!((b.kind, &b.link[..]), (EntryKind::Symlink, &b"target"[..]));
    assert_eq!((b.offset_bytes, b.metadata.uid), (1024, u32::MAX));
    let time = Timestamp { seconds: -6, nanoseconds: 750_000_000 };
    assert_eq!(b.metadata.mtime, time);
    assert!(no_data.is_empty());
}

#[test]
fn the_end_may_be_marked_badly_but_not_twice() {
    let one = || tar().file("a", "1");
    for accepted in [tar(), tar().zeros(512), tar().end(), one(), one().zeros(512)] {
        assert!(accepted.read().is_ok());
    }
    let mut no_padding = one();
    no_padding.0.truncate(513);
    assert_eq!(no_padding.read().unwrap()[0].1[..], [(0, b"1".to_vec())]);
    let resumed = one().zeros(512).file("b", "2");
    resumed.check_refused(&TarErrorKind::LoneZeroBlock, 1024, None);
}

#[test]
fn what_follows_the_end_is_not_read_but_limited() {
    let smuggled = tar().file("a", "1").end().file("b", "2");
    assert_eq!(paths(&smuggled.read().unwrap()), ["a"]);
    let limits = Limits { trailer_bytes_max: 1024, ..Limits::default() };
    assert!(smuggled.read_with(&limits).is_ok());
    let refused = smuggled.zeros(1).read_with(&limits).unwrap_err();
    assert_eq!(refused.code(), "layer-limit");
}

#[test]
fn a_cut_tar_is_refused_wherever_it_is_cut() {
    let whole = tar().pax(&[("path", "long")]).file("a", "content").end();
    let data_ends = 3 * 512 + 7;
    for end in 1..data_ends {
        let cut = Tar(whole.0[..end].to_vec());
        assert!(cut.read().is_err(), "{end}");
    }
    for end in data_ends..=4 * 512 {
        let cut = Tar(whole.0[..end].to_vec());
        assert!(cut.read().is_ok(), "{end}");
    }
    Tar(whole.0[..515].to_vec()).check_refused(
        &TarErrorKind::Truncated("an extension header"),
        0,
        None,
    );
}

#[test]
fn types_are_told_by_their_flag_alone_but_for_old_tars() {
    let kinds = |typeflag, name| tar().raw(typeflag, name, "", "0", b"").read().unwrap()[0].0.kind;
    assert_eq!(kinds(0, "a"), EntryKind::File);
    assert_eq!(kinds(0, "a/"), EntryKind::Directory);
    assert_eq!(kinds(b'0', "a/"), EntryKind::File);
    assert_eq!(kinds(b'7', "a"), EntryKind::File);
    assert_eq!(kinds(b'1', "a"), EntryKind::HardLink);
    assert_eq!(kinds(b'5', "a"), EntryKind::Directory);
    assert_eq!(kinds(b'6', "a"), EntryKind::Fifo);
    for typeflag in *b"ZVMDANIX" {
        let unknown = tar().file("first", "").entry(typeflag, "a", b"");
        unknown.check_refused(&TarErrorKind::Typeflag(typeflag), 512, Some("a"));
    }
}

#[test]
fn the_size_of_what_has_no_data_is_ignored() {
    for typeflag in *b"123456" {
        let sized = tar().raw(typeflag, "a", "b", "1000", b"").file("c", "1");
        let found = sized.read().unwrap();
        assert_eq!(paths(&found), ["a", "c"]);
        assert_eq!(found[0].0.size_bytes, 0);
    }
}

#[test]
fn gnu_headers_give_long_names() {
    let long = "n".repeat(300);
    let found = tar()
        .entry(b'L', "././@LongLink", format!("{long}\0").as_bytes())
        .entry(b'K', "././@LongLink", b"to\0ignored")
        .raw(b'1', "short", "short", "0", b"")
        .file("next", "")
        .read()
        .unwrap();
    assert_eq!(paths(&found), [&long, "next"]);
    assert_eq!((&found[0].0.link[..], found[0].0.offset_bytes), (&b"to"[..], 0));
}

#[test]
fn an_empty_name_takes_the_record_back() {
    let found = tar()
        .pax(&[("path", "a"), ("path", ""), ("linkpath", "")])
        .raw(b'2', "own", "target", "0", b"")
        .read()
        .unwrap();
    assert_eq!((paths(&found), &found[0].0.link[..]), (vec!["own"], &b"target"[..]));
}

#[test]
fn records_that_no_layer_needs_are_ignored_whatever_they_say() {
    let records = [("atime", "x"), ("ctime", "1e9"), ("comment", "\0"), ("hdrcharset", "BINARY")];
    let found = tar().pax(&records).file("a", "1").read().unwrap();
    assert_eq!(paths(&found), ["a"]);
    assert_eq!(found[0].0.metadata, tar().file("a", "1").read().unwrap()[0].0.metadata);
}

#[test]
fn combinations_that_programs_read_differently_are_refused() {
    let path = || tar().pax(&[("path", "a")]);
    let twice = TarErrorKind::ExtensionTwice;
    path().pax(&[]).check_refused(&twice("PAX"), 1024, None);
    let long = || tar().entry(b'L', "", b"long");
    long().entry(b'L', "", b"b").check_refused(&twice("GNU long name"), 1024, None);
    let both = path().entry(b'L', "", b"long").file("a", "");
    both.check_refused(&TarErrorKind::ExtensionsDisagree("name"), 2048, None);
    let both = tar().pax(&[("linkpath", "a")]).entry(b'K', "", b"b").file("a", "");
    both.check_refused(&TarErrorKind::ExtensionsDisagree("link target"), 2048, None);
    path().entry(b'g', "", b"").check_refused(&TarErrorKind::GlobalBetween, 1024, None);
    path().end().check_refused(&TarErrorKind::ExtensionWithoutEntry, 1024, None);
    long().check_refused(&TarErrorKind::ExtensionWithoutEntry, 0, None);
}

#[test]
fn a_global_header_is_ignored_but_must_be_well_formed() {
    let global = |body: &[u8]| tar().entry(b'g', "", body).file("a", "");
    assert_eq!(paths(&global(b"13 path=evil\n").read().unwrap()), ["a"]);
    global(b"rubbish").check_refused(&TarErrorKind::PaxRecord(0), 0, None);
}

#[test]
fn a_sparse_file_has_holes_and_its_own_name() {
    let found = tar()
        .pax(&[
            ("path", "GNUSparseFile.0/a"),
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "a"),
            ("GNU.sparse.realsize", "100"),
        ])
        .entry(b'0', "made-up", &[&b"2\n5\n2\n50\n3\n"[..], &[0; 501], b"abcde"].concat())
        .file("b", "1")
        .read()
        .unwrap();
    assert_eq!(paths(&found), ["a", "b"]);
    assert_eq!(found[0].0.size_bytes, 100);
    assert_eq!(found[0].1[..], [(5, b"ab".to_vec()), (50, b"cde".to_vec())]);
}

#[test]
fn a_sparse_map_must_fit() {
    let sparse = |map: &str, typeflag: u8| {
        let records = [("GNU.sparse.numblocks", "1"), ("GNU.sparse.map", map)];
        let records = [&records[..], &[("GNU.sparse.size", "10")]].concat();
        tar().pax(&records).entry(typeflag, "a", b"abc").read()
    };
    assert!(sparse("7,3", b'0').is_ok());
    for (map, typeflag) in
        [("8,3", b'0'), ("0,2", b'0'), ("0,4", b'0'), ("7,3", b'5'), ("7,3", b'S')]
    {
        let refused = sparse(map, typeflag).unwrap_err();
        assert_eq!(refused.code(), "tar-sparse", "{map} {}", typeflag as char);
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_read() {
    let limits = Limits {
        entries_max: 2,
        apparent_bytes_max: 1000,
        extension_bytes_max: 600,
        unpacked_bytes_max: 3000,
        ..Limits::default()
    };
    let check = |tar: Tar, message: &str| {
        let refused = tar.read_with(&limits).unwrap_err();
        assert_eq!(refused.to_string(), message);
    };
    check(
        tar().file("a", "").file("b", "").file("c", ""),
        "entry `c` at byte 1024 of the tar: more than 2 entries in one layer \
         (`limits.entries-max` in the user's `config.toml` raises this)",
    );
    check(
        tar().entry(b'0', "a", &[0; 600]).entry(b'0', "b", &[0; 401]),
        "entry `b` at byte 1536 of the tar: more than 1000 bytes in the files of one layer, holes included \
         (`limits.apparent-bytes-max` in the user's `config.toml` raises this)",
    );
    check(
        tar().raw(b'L', "a", "", "10000000000", b""),
        "header at byte 0 of the tar: more than 600 bytes in one extension header \
         (`limits.extension-bytes-max` in the user's `config.toml` raises this)",
    );
    check(
        tar().raw(b'0', "a", "", "77777777777", b""),
        "entry `a` at byte 0 of the tar: more than 3000 bytes in one unpacked layer \
         (`limits.unpacked-bytes-max` in the user's `config.toml` raises this)",
    );
}

#[test]
fn data_that_is_passed_over_ends_where_it_would_have() {
    let tar = Tar::default().file("a", "12345").file("empty", "").file("b", "6").end();
    let mut reader = TarReader::new(&Limits::default());
    let mut input = &tar.0[..];
    let mut places = Vec::new();
    loop {
        match reader.next(&mut input).unwrap() {
            Event::Entry(entry) => {
                let start = reader.position_bytes();
                let skipped = reader.skip_data();
                input = &input[usize::try_from(skipped).unwrap()..];
                places.push((String::from_utf8(entry.path).unwrap(), start, skipped));
            }
            Event::Data { .. } => panic!("it was passed over"),
            Event::EntryEnd | Event::EndOfArchive => {}
            Event::NeedInput => break,
        }
    }
    reader.finish().unwrap();
    let place = |name: &str, start, size| (name.to_owned(), start, size);
    assert_eq!(places, [place("a", 512, 5), place("empty", 1536, 0), place("b", 2048, 1)]);
}
