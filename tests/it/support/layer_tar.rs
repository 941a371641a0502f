//! Writes layer tars: one [`TarEntry`] at a time, in PAX format, the same bytes on every machine.
//!
//! Whatever a plain header cannot say (long or non-ASCII names, nanoseconds, times before 1970, large
//! ids, extended attributes) goes into a PAX header, as GNU tar and Go's `archive/tar` write it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use tar::{Builder, EntryType, Header};

/// The largest name a plain header takes, and the one a PAX header's own name must fit.
const HEADER_NAME_BYTES_MAX: usize = 100;

/// The largest uid or gid that seven octal digits hold.
const HEADER_ID_MAX: u64 = 0o7_777_777;

/// The largest size or time that eleven octal digits hold.
const HEADER_NUMBER_MAX: u64 = 0o77_777_777_777;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TarKind {
    /// A regular file with this content.
    File(Vec<u8>),
    /// A regular file whose content is that of a file on this machine.
    FileAt(PathBuf),
    Directory,
    Symlink(Vec<u8>),
    /// Another name of the entry with this path.
    HardLink(Vec<u8>),
    /// A character device, major and minor.
    CharDevice(u32, u32),
    /// A block device, major and minor.
    BlockDevice(u32, u32),
    Fifo,
}

/// One entry of a layer tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TarEntry {
    /// The path without a leading slash, in bytes.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: TarKind,
    /// Permission bits, setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970 and nanoseconds after them.
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

impl TarEntry {
    /// An entry of root's, of 2023-11-14T22:13:20Z, with no attributes.
    pub(crate) fn new(path: impl Into<Vec<u8>>, kind: TarKind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: (1_700_000_000, 0),
            xattrs: BTreeMap::new(),
        }
    }

    /// The empty file that hides `path` of the layers below.
    pub(crate) fn whiteout(path: &[u8]) -> Self {
        let name_at = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
        let (parent, name) = path.split_at(name_at);
        let marker = [parent, b".wh.", name].concat();
        Self::new(marker, TarKind::File(Vec::new()), 0)
    }

    /// The empty file that hides what the layers below have in `directory`.
    pub(crate) fn opaque(directory: &[u8]) -> Self {
        let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        let marker = [directory, slash, b".wh..wh..opq"].concat();
        Self::new(marker, TarKind::File(Vec::new()), 0)
    }

    /// Appends this entry to an archive.
    pub(crate) fn append_to<W: Write>(&self, archive: &mut Builder<W>) -> io::Result<()> {
        match &self.kind {
            TarKind::File(content) => {
                self.append(archive, EntryType::Regular, content.len() as u64, &content[..])
            }
            TarKind::FileAt(path) => {
                let file = File::open(path)?;
                let size = file.metadata()?.len();
                self.append(archive, EntryType::Regular, size, file.take(size))
            }
            TarKind::Directory => self.append_empty(archive, EntryType::Directory),
            TarKind::Symlink(_) => self.append_empty(archive, EntryType::Symlink),
            TarKind::HardLink(_) => self.append_empty(archive, EntryType::Link),
            TarKind::CharDevice(..) => self.append_empty(archive, EntryType::Char),
            TarKind::BlockDevice(..) => self.append_empty(archive, EntryType::Block),
            TarKind::Fifo => self.append_empty(archive, EntryType::Fifo),
        }
    }

    fn append_empty<W: Write>(&self, archive: &mut Builder<W>, kind: EntryType) -> io::Result<()> {
        self.append(archive, kind, 0, io::empty())
    }

    fn append<W: Write>(
        &self,
        archive: &mut Builder<W>,
        kind: EntryType,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        let records = self.pax_records(size);
        if !records.is_empty() {
            archive.append_pax_extensions(
                records.iter().map(|(key, value)| (key.as_str(), &value[..])),
            )?;
        }
        let mut header = self.header(kind, size)?;
        header.set_cksum();
        archive.append(&header, content)
    }

    fn header(&self, kind: EntryType, size: u64) -> io::Result<Header> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(self.mode);
        header.set_uid(if self.uid > HEADER_ID_MAX { 0 } else { self.uid });
        header.set_gid(if self.gid > HEADER_ID_MAX { 0 } else { self.gid });
        header.set_size(if size > HEADER_NUMBER_MAX { 0 } else { size });
        header.set_mtime(header_seconds(self.mtime.0).unwrap_or(0));
        if let TarKind::CharDevice(major, minor) | TarKind::BlockDevice(major, minor) = self.kind {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        let old = header.as_old_mut();
        copy_clipped(&mut old.name, &self.path);
        copy_clipped(&mut old.linkname, self.link());
        Ok(header)
    }

    fn link(&self) -> &[u8] {
        match &self.kind {
            TarKind::Symlink(target) | TarKind::HardLink(target) => target,
            _ => &[],
        }
    }

    /// The PAX records this entry needs, sorted by key.
    fn pax_records(&self, size: u64) -> BTreeMap<String, Vec<u8>> {
        let mut records: BTreeMap<String, Vec<u8>> = self
            .xattrs
            .iter()
            .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.clone()))
            .collect();
        let mut record = |key: &str, value: Vec<u8>| records.insert(key.to_owned(), value);
        if !fits_header(&self.path) {
            record("path", self.path.clone());
        }
        if !fits_header(self.link()) {
            record("linkpath", self.link().to_vec());
        }
        if self.uid > HEADER_ID_MAX {
            record("uid", self.uid.to_string().into_bytes());
        }
        if self.gid > HEADER_ID_MAX {
            record("gid", self.gid.to_string().into_bytes());
        }
        if size > HEADER_NUMBER_MAX {
            record("size", size.to_string().into_bytes());
        }
        if self.mtime.1 != 0 || header_seconds(self.mtime.0).is_none() {
            record("mtime", pax_time(self.mtime).into_bytes());
        }
        records
    }
}

/// The whole archive of these entries, end marker included.
pub(crate) fn tar_of(entries: &[TarEntry]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for entry in entries {
        entry.append_to(&mut archive)?;
    }
    archive.into_inner()
}

fn fits_header(name: &[u8]) -> bool {
    name.len() <= HEADER_NAME_BYTES_MAX && name.is_ascii()
}

fn header_seconds(seconds: i64) -> Option<u64> {
    u64::try_from(seconds).ok().filter(|&seconds| seconds <= HEADER_NUMBER_MAX)
}

/// A time as PAX writes it: a signed decimal, so that a fraction before 1970 counts away from zero.
fn pax_time((seconds, nanoseconds): (i64, u32)) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let magnitude = total.unsigned_abs();
    let (whole, fraction) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn copy_clipped(field: &mut [u8], name: &[u8]) {
    let len = name.len().min(field.len());
    field[..len].copy_from_slice(&name[..len]);
}

#[test]
fn a_time_before_1970_counts_away_from_zero() {
    assert_eq!(pax_time((-6, 750_000_000)), "-5.25");
    assert_eq!(pax_time((-10, 0)), "-10");
    assert_eq!(pax_time((1_700_000_000, 5)), "1700000000.000000005");
}

#[test]
fn a_whiteout_stands_beside_what_it_hides() {
    assert_eq!(TarEntry::whiteout(b"usr/bin/sh").path, b"usr/bin/.wh.sh");
    assert_eq!(TarEntry::whiteout(b"sh").path, b".wh.sh");
    assert_eq!(TarEntry::opaque(b"usr/bin").path, b"usr/bin/.wh..wh..opq");
    assert_eq!(TarEntry::opaque(b"").path, b".wh..wh..opq");
}
