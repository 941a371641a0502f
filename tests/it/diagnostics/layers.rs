//! Layers that no image is made of: the archive, its compression, its entries.

use tar::{Builder, EntryType, Header};

use super::scene::{hostile, locked, plain, shows};
use crate::support::image::{Compression, Layer};
use crate::support::layer_tar::{TarEntry, TarKind, tar_of};

/// What `sync` is told: one platform, whatever this machine's own is.
const SYNC: [&str; 3] = ["sync", "--platform", "linux/amd64"];

/// A layer of one entry.
fn of(entry: TarEntry) -> Layer {
    Layer::packed(&tar_of(&[entry]).unwrap(), Compression::Plain)
}

/// A file in GNU's sparse format 1.0 whose content does not begin with a map.
fn sparse_without_map() -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"disk.img"),
        ("GNU.sparse.realsize", b"4096"),
    ];
    archive.append_pax_extensions(records).unwrap();
    let mut header = Header::new_ustar();
    header.set_path("GNUSparseFile.0/disk.img").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(512);
    header.set_cksum();
    archive.append(&header, &[b'z'; 512][..]).unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn a_compressed_stream_that_is_none() {
    let (_registry, project) = locked(&[&hostile("gz-bad-crc.0.tar.gz")]);
    insta::assert_snapshot!(shows(&project, &["compression-malformed"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[compression-malformed]: app: layer `sha256:DIGEST` cannot be built: the gzip stream is malformed: incorrect data check
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn something_behind_a_compressed_stream() {
    let (_registry, project) = locked(&[&hostile("gz-trailing-garbage.0.tar.gz")]);
    insta::assert_snapshot!(shows(&project, &["compression-trailing"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[compression-trailing]: app: layer `sha256:DIGEST` cannot be built: the gzip stream has trailing bytes at its byte 114
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn half_a_compressed_stream() {
    let (_registry, project) = locked(&[&hostile("zst-truncated.0.tar.zst")]);
    insta::assert_snapshot!(shows(&project, &["compression-truncated"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[compression-truncated]: app: layer `sha256:DIGEST` cannot be built: the zstd stream ends too early
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_header_with_a_wrong_checksum() {
    let (_registry, project) = locked(&[&hostile("bad-checksum.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-checksum"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-checksum]: app: layer `sha256:DIGEST` cannot be built: header at byte 1024 of the tar: the header's checksum is wrong, so this is damaged or not a tar
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_device_with_a_number_that_cannot_be() {
    let (_registry, project) = locked(&[&hostile("dev-huge.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-device"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-device]: app: layer `sha256:DIGEST` cannot be built: entry `c` at byte 0 of the tar: the device number 1048576:2097152 does not fit Linux's 12 and 20 bits
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn an_extension_of_nothing() {
    let (_registry, project) = locked(&[&hostile("pax-dangling.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-extension"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-extension]: app: layer `sha256:DIGEST` cannot be built: header at byte 2048 of the tar: an extension header has no entry
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_name_with_a_zero_byte() {
    let (_registry, project) = locked(&[&hostile("pax-nul-in-path.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-name"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-name]: app: layer `sha256:DIGEST` cannot be built: header at byte 0 of the tar: the PAX record `path` holds a NUL
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_size_that_is_no_number() {
    let (_registry, project) = locked(&[&hostile("size-octal-garbage.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-number"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-number]: app: layer `sha256:DIGEST` cannot be built: header at byte 0 of the tar: the header's field `size` is not a number that fits
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn an_owner_beyond_32_bits() {
    let (_registry, project) = locked(&[&hostile("uid-too-big.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-owner"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-owner]: app: layer `sha256:DIGEST` cannot be built: entry `a` at byte 1024 of the tar: the uid 4294967296 is not between 0 and 4294967295
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_record_of_a_wrong_length() {
    let (_registry, project) = locked(&[&hostile("pax-bad-length.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-pax"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-pax]: app: layer `sha256:DIGEST` cannot be built: header at byte 0 of the tar: the PAX header has a malformed record at its byte 0
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_map_of_holes_that_is_none() {
    let (_registry, project) = locked(&[&Layer::packed(&sparse_without_map(), Compression::Plain)]);
    insta::assert_snapshot!(shows(&project, &["tar-sparse"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-sparse]: app: layer `sha256:DIGEST` cannot be built: entry `disk.img` at byte 1024 of the tar: the sparse map has a malformed number
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn half_an_archive() {
    let (_registry, project) = locked(&[&hostile("trunc-body.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-truncated"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-truncated]: app: layer `sha256:DIGEST` cannot be built: entry `a` at byte 0 of the tar: the tar ends within an entry's data
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn an_entry_of_an_unknown_kind() {
    let (_registry, project) = locked(&[&hostile("typeflag-unknown-Z.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-typeflag"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-typeflag]: app: layer `sha256:DIGEST` cannot be built: entry `a` at byte 0 of the tar: the typeflag `Z` is unknown
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn an_archive_that_goes_on_behind_its_end() {
    let (_registry, project) = locked(&[&hostile("single-zero-block-then-entry.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["tar-zero-block"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[tar-zero-block]: app: layer `sha256:DIGEST` cannot be built: header at byte 1024 of the tar: one zero block stands between entries where an archive's end has two
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_record_as_large_as_memory() {
    let (_registry, project) = locked(&[&hostile("pax-header-4g.0.tar")]);
    insta::assert_snapshot!(shows(&project, &["layer-limit"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[layer-limit]: app: layer `sha256:DIGEST` cannot be built: header at byte 0 of the tar: more than 1048576 bytes in one extension header (`limits.extension-bytes-max` in the user's `config.toml` raises this)
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_name_that_leads_out() {
    let (_registry, project) = locked(&[&plain("/../etc/passwd 0644 x")]);
    insta::assert_snapshot!(shows(&project, &["entry-name"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-name]: app: layer `sha256:DIGEST` cannot be built: entry `../etc/passwd` at byte 0 is refused: the name leads out of the root
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_parent_that_is_a_file() {
    let (_registry, project) = locked(&[&plain("/a 0644 a\n/a/b 0644 b")]);
    insta::assert_snapshot!(shows(&project, &["entry-parent"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-parent]: app: layer `sha256:DIGEST` cannot be built: entry `a/b` at byte 1024 is refused: its parent is not a directory
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_root_that_is_a_file() {
    let (_registry, project) =
        locked(&[&of(TarEntry::new("./", TarKind::File(b"x".to_vec()), 0o644))]);
    insta::assert_snapshot!(shows(&project, &["entry-root"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-root]: app: layer `sha256:DIGEST` cannot be built: entry `./` at byte 0 is refused: the root of a layer is not a directory
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_symlink_to_nothing() {
    let (_registry, project) =
        locked(&[&of(TarEntry::new("a", TarKind::Symlink(Vec::new()), 0o777))]);
    insta::assert_snapshot!(shows(&project, &["entry-symlink"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-symlink]: app: layer `sha256:DIGEST` cannot be built: entry `a` at byte 0 is refused: the symlink has no target
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_hard_link_to_a_directory() {
    let (_registry, project) = locked(&[&plain("/a/ 0755\n/b => /a")]);
    insta::assert_snapshot!(shows(&project, &["entry-hard-link"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-hard-link]: app: layer `sha256:DIGEST` cannot be built: entry `b` at byte 512 is refused: the hard link's target is a directory
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_whiteout_of_an_overlay() {
    let (_registry, project) = locked(&[&plain("/a char 0:0 0000")]);
    insta::assert_snapshot!(shows(&project, &["entry-whiteout-device"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-whiteout-device]: app: layer `sha256:DIGEST` cannot be built: entry `a` at byte 0 is refused: a character device 0:0 would be taken for a whiteout
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn an_attribute_without_a_name() {
    let (_registry, project) = locked(&[&plain("/a 0644 xattr:user.=1 a")]);
    insta::assert_snapshot!(shows(&project, &["entry-xattr"], &SYNC), @r###"
    exit 1
    --- stdout
    --- stderr
    error[entry-xattr]: app: layer `sha256:DIGEST` cannot be built: entry `a` at byte 0 is refused: an extended attribute has no name behind its namespace
    note: not synced: app (linux/amd64)
    "###);
}
