//! Archives that Python and we read differently, one of each kind.

use super::archive::{Archive, BLOCK, Format, Header, record, seal};

/// A file `name` behind extensions: typeflag and body.
fn behind(extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut archive = Archive::default();
    for (typeflag, body) in extensions {
        archive.push(&Header::extension(Format::Gnu, *typeflag, body.len()).block(), body);
    }
    archive.push(&Header::new(Format::Ustar, b'0').block(), b"");
    archive.end()
}

/// One file whose header was changed.
fn changed(format: Format, change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut block = Header::new(format, b'0').block();
    change(&mut block);
    seal(&mut block);
    let mut archive = Archive::default();
    archive.push(&block, b"");
    archive.end()
}

pub(super) fn global_header() -> Vec<u8> {
    behind(&[(b'g', &record("path", b"global"))])
}

pub(super) fn empty_value() -> Vec<u8> {
    behind(&[(b'x', &record("path", b""))])
}

pub(super) fn no_padding() -> Vec<u8> {
    let mut archive = Archive::default();
    archive.push(&Header::extension(Format::Ustar, b'0', 3).block(), b"abc");
    archive.0.truncate(BLOCK + 3);
    archive.0
}

pub(super) fn prefix_in_v7() -> Vec<u8> {
    changed(Format::V7, |block| block[345..348].copy_from_slice(b"dir"))
}

pub(super) fn number_behind_nul() -> Vec<u8> {
    changed(Format::Ustar, |block| block[108..116].copy_from_slice(b"\x00000644\0"))
}

pub(super) fn empty_long_name() -> Vec<u8> {
    behind(&[(b'L', b"\0")])
}

pub(super) fn old_directory() -> Vec<u8> {
    let mut archive = Archive::default();
    archive.push(&Header::extension(Format::Gnu, b'L', 6).block(), b"long/\0");
    archive.push(&Header::new(Format::Gnu, 0).block(), b"");
    archive.end()
}

pub(super) fn short_sparse_map() -> Vec<u8> {
    changed(Format::Gnu, |block| {
        block[156] = b'S';
        // The length of an entry that has no offset.
        block[386 + 12] = b'x';
    })
}

pub(super) fn two_names() -> Vec<u8> {
    behind(&[(b'L', b"long\0"), (b'x', &record("path", b"other"))])
}

pub(super) fn two_extensions() -> Vec<u8> {
    behind(&[(b'L', b"one\0"), (b'L', b"two\0")])
}

pub(super) fn lone_zero_block() -> Vec<u8> {
    let mut archive = Archive::default();
    archive.pad(&[0; BLOCK]);
    archive.push(&Header::new(Format::Ustar, b'0').block(), b"");
    archive.end()
}

pub(super) fn unknown_typeflag() -> Vec<u8> {
    changed(Format::Ustar, |block| block[156] = b'Z')
}

pub(super) fn large_owner() -> Vec<u8> {
    behind(&[(b'x', &record("uid", b"4294967296"))])
}
