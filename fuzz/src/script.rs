//! Layer tars from bytes that choose: nearly every input is a stack of layers, and small changes of it are
//! small changes of the stack.

use crate::archive::{Archive, Header};
use crate::sparse::{ENCODINGS, SparseFile};

/// Names that meet each other often.
const NAMES: [&str; 12] =
    ["a", "b", "c", "d", "lib", "usr", "a.b", "..", ".", "", "\u{1}\u{ff}", ".wh.a"];

/// Where symlinks lead.
const TARGETS: [&str; 10] =
    ["a", "b", "usr/lib", "/usr", "..", "../..", "../b/c", "/", "./a//b/", "lib"];

/// Attributes of all namespaces, and of none.
const XATTRS: [&str; 9] = [
    "user.a",
    "user.b",
    "security.capability",
    "trusted.x",
    "system.posix_acl_access",
    "trusted.overlay.opaque",
    "trusted.sandbox-images.link",
    "user.overlay.whiteout",
    "other.x",
];

/// Layers of one stack.
pub const LAYERS_MAX: usize = 4;

/// The tars that a script says, bottom first.
pub fn layers(script: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = Bytes(script);
    let mut layers = Vec::new();
    let mut archive = Archive::default();
    while let Some(operation) = bytes.next() {
        if operation % 16 == 0 {
            layers.push(std::mem::take(&mut archive).end());
            if layers.len() == LAYERS_MAX {
                return layers;
            }
        } else {
            archive = bytes.entry(archive, operation);
        }
    }
    layers.push(archive.end());
    layers
}

/// What is left of a script; zeros behind its end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    fn one_of<'n>(&mut self, of: &[&'n str]) -> &'n str {
        of[usize::from(self.byte()) % of.len()]
    }

    fn path(&mut self) -> String {
        let depth = self.byte() % 4;
        let names: Vec<&str> = (0..=depth).map(|_| self.one_of(&NAMES)).collect();
        names.join("/")
    }

    /// Up to 20 KiB: some blocks of zeros, then some bytes that are all the same.
    fn content(&mut self) -> Vec<u8> {
        let (zeros, count, value) = (self.byte() % 4, self.byte(), self.byte());
        let mut content = vec![0; usize::from(zeros) * 4096];
        content.resize(content.len() + usize::from(count) * 32, value);
        content
    }

    fn entry(&mut self, archive: Archive, operation: u8) -> Archive {
        let (archive, path) = (self.pax(archive, operation), self.path());
        let path = path.as_bytes();
        let header =
            |typeflag| Header { mode: u32::from(operation) << 4, ..Header::new(typeflag, path) };
        match operation % 16 {
            1..=3 => {
                let content = self.content();
                archive.raw(&Header { size: content.len() as u64, ..header(b'0') }, &content)
            }
            4 => archive.raw(&header(b'0'), b""),
            5..=7 => archive.raw(&header(b'5'), b""),
            8 | 9 => {
                archive.raw(&Header { link: self.one_of(&TARGETS).as_bytes(), ..header(b'2') }, b"")
            }
            10 | 11 => archive.raw(&Header { link: self.path().as_bytes(), ..header(b'1') }, b""),
            12 => archive.raw(&Header::new(b'0', &marker(path, b".wh.")), b""),
            13 => archive.raw(&Header::new(b'0', &[path, b"/.wh..wh..opq"].concat()), b""),
            14 => {
                let encoding = ENCODINGS[usize::from(self.byte()) % ENCODINGS.len()];
                let (count, bytes) = (usize::from(self.byte() % 5), self.0);
                let (map, rest) = bytes.split_at((4 + 3 * count).min(bytes.len()));
                self.0 = rest;
                SparseFile::of(map).add_to(archive, encoding, path)
            }
            _ => archive.raw(&header([b'3', b'4', b'6'][usize::from(self.byte() % 3)]), b""),
        }
    }

    /// A PAX header before an entry, for half of the operations.
    fn pax(&mut self, archive: Archive, operation: u8) -> Archive {
        if operation < 0x80 || operation % 16 == 14 {
            return archive;
        }
        let xattr = format!("SCHILY.xattr.{}", self.one_of(&XATTRS));
        let value = vec![self.byte(); usize::from(self.byte())];
        let time = format!("-{}.{}", self.byte(), self.byte());
        let mut records: Vec<(&[u8], &[u8])> = vec![(xattr.as_bytes(), &value)];
        match self.byte() % 4 {
            0 => records.push((b"mtime", time.as_bytes())),
            1 => records.push((b"uid", b"4294967295")),
            2 => records.push((b"SCHILY.xattr.user.same", b"shared")),
            _ => {}
        }
        archive.pax(&records)
    }
}

/// The path with something in front of its last name.
fn marker(path: &[u8], prefix: &[u8]) -> Vec<u8> {
    let at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    [&path[..at], prefix, &path[at..]].concat()
}
