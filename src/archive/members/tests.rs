//! Archives as they should not be, and in forms that are unusual.

use std::io::{Write as _, read_to_string};

use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;

/// A file of an archive: its name and what it holds.
fn file(builder: &mut Builder<Vec<u8>>, name: &str, text: &str) {
    entry(builder, name, EntryType::Regular, "", text);
}

/// Any entry. Its name goes into the header as it is, since the crate would refuse some.
fn entry(builder: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, link: &str, text: &str) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, text.as_bytes()).unwrap();
}

fn archive(entries: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    entries(&mut builder);
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn open(bytes: &[u8]) -> Result<Members, Error> {
    open_with(bytes, &Limits::default())
}

fn open_with(bytes: &[u8], limits: &Limits) -> Result<Members, Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Members::open(file.path(), limits)
}

/// What the archive is refused for, packed or not.
#[track_caller]
fn refused(bytes: &[u8], reason: &str) {
    for bytes in [bytes, &gzip(bytes)] {
        let error = open(bytes).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
}

#[test]
fn a_file_is_found_packed_or_not_and_large_or_small() {
    let large = "0123456789abcdef".repeat(100_000);
    let bytes = archive(|tar| {
        file(tar, "./dir/small", "small");
        file(tar, "large", &large);
        file(tar, "behind", "behind");
    });
    for bytes in [&bytes, &gzip(&bytes), &zstd::encode_all(&bytes[..], 3).unwrap()] {
        let members = open(bytes).unwrap();
        for (name, text) in [("behind", "behind"), ("dir/small", "small"), ("large", &large)] {
            let (content, size) = members.open_file(name).unwrap();
            assert_eq!(size, text.len() as u64);
            assert_eq!(read_to_string(content).unwrap(), text);
            assert_eq!(members.digest_of(name).unwrap(), Digest::of(text));
            assert_eq!(members.compression_of(name).unwrap(), Compression::None);
        }
        assert!(!members.has("dir"));
        let missing = members.open_file("missing").unwrap_err();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
    }
}

#[test]
fn a_compressed_file_in_an_archive_is_known_by_its_first_bytes() {
    let packed = gzip(b"layer");
    let bytes = archive(|tar| {
        let mut header = Header::new_gnu();
        header.set_size(packed.len() as u64);
        tar.append_data(&mut header, "layer", &packed[..]).unwrap();
    });
    for bytes in [&bytes, &gzip(&bytes)] {
        let members = open(bytes).unwrap();
        assert_eq!(members.compression_of("layer").unwrap(), Compression::Gzip);
        assert_eq!(members.digest_of("layer").unwrap(), Digest::of(&packed));
    }
}

#[test]
fn links_lead_to_files_of_the_same_archive() {
    let members = open(&archive(|tar| {
        entry(tar, "b/layer.tar", EntryType::Symlink, "../a/layer.tar", "");
        file(tar, "a/layer.tar", "layer");
        entry(tar, "c/layer.tar", EntryType::Link, "b/layer.tar", "");
        entry(tar, "x", EntryType::Symlink, "y", "");
        entry(tar, "y", EntryType::Symlink, "x", "");
    }))
    .unwrap();
    for name in ["a/layer.tar", "b/layer.tar", "c/layer.tar"] {
        assert_eq!(read_to_string(members.open_file(name).unwrap().0).unwrap(), "layer");
    }
    let error = members.open_file("x").unwrap_err().to_string();
    assert!(error.ends_with("stands behind more links than Linux follows"), "{error}");
}

#[test]
fn names_that_lead_out_are_refused() {
    refused(&archive(|tar| file(tar, "../x", "")), "leads out of the archive");
    refused(&archive(|tar| file(tar, "/etc/passwd", "")), "has an absolute name");
    let link = |target| archive(|tar| entry(tar, "a/x", EntryType::Symlink, target, ""));
    refused(&link("../../x"), "leads out of the archive");
    refused(&link("/etc/passwd"), "is a link out of the archive");
    let hard = archive(|tar| entry(tar, "a/x", EntryType::Link, "../x", ""));
    refused(&hard, "leads out of the archive");
}

#[test]
fn two_files_of_one_name_are_refused() {
    let twice = archive(|tar| {
        file(tar, "manifest.json", "[]");
        file(tar, "./manifest.json", "{}");
    });
    refused(&twice, "is there twice");
}

#[test]
fn an_archive_that_was_cut_or_is_none_is_refused() {
    let whole = archive(|tar| file(tar, "a", &"x".repeat(4000)));
    refused_plain(&whole[..700], "is cut short by the end of the archive");
    refused_plain(&whole[..100], "cannot be read as a tar archive");
    refused_plain(b"no tar at all".repeat(100).as_slice(), "cannot be read as a tar archive");
    let packed = gzip(&whole);
    refused_plain(&packed[..packed.len() / 2], "cannot be unpacked");
    let members = open(b"").unwrap();
    assert!(!members.has("manifest.json"), "an empty file is an empty archive");
}

#[track_caller]
fn refused_plain(bytes: &[u8], reason: &str) {
    let error = open(bytes).unwrap_err().to_string();
    assert!(error.ends_with(reason), "{error}");
}

#[test]
fn more_entries_than_any_image_has_are_refused() {
    let many = archive(|tar| {
        for number in 0..=100_000 {
            file(tar, &number.to_string(), "");
        }
    });
    refused(&many, "has more than 100000 entries");
}

#[test]
fn a_compressed_archive_unpacks_to_no_more_than_is_allowed() {
    let bytes = archive(|tar| file(tar, "a", &"x".repeat(100_000)));
    let limits = Limits { unpacked_bytes_max: 50_000, ..Limits::default() };
    assert!(open_with(&bytes, &limits).is_ok(), "what is not compressed is as long as its file");
    let error = open_with(&gzip(&bytes), &limits).unwrap_err();
    let Error::Unpack { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.code(), "layer-limit");
}

#[test]
fn a_directory_is_no_archive() {
    let directory = tempfile::tempdir().unwrap();
    let error = Members::open(directory.path(), &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }));
}
