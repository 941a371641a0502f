//! Tars written header by header, as wrong as a seed wants them.

use std::ops::Range;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 512;

/// Where a header holds its checksum.
const CHECKSUM: Range<usize> = 148..156;

/// A magic and version, which tell the format of a header.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// No magic.
    V7,
    /// POSIX, and the headers of PAX.
    Ustar,
    /// GNU tar's own.
    Gnu,
}

/// The header of one entry, before it is written.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// Which magic it has.
    pub format: Format,
    /// What it says it is.
    pub typeflag: u8,
    /// Cut at 100 bytes.
    pub name: &'a [u8],
    /// Cut at 100 bytes.
    pub link: &'a [u8],
    /// The permissions.
    pub mode: u32,
    /// The size that it states.
    pub size: u64,
}

impl<'a> Header<'a> {
    /// A USTAR header of mode 0644 without data.
    pub fn new(typeflag: u8, name: &'a [u8]) -> Self {
        Self { format: Format::Ustar, typeflag, name, link: b"", mode: 0o644, size: 0 }
    }

    /// The block, with the right checksum.
    pub fn block(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        let mut put = |start: usize, bytes: &[u8], max: usize| {
            let bytes = &bytes[..bytes.len().min(max)];
            block[start..start + bytes.len()].copy_from_slice(bytes);
        };
        put(0, self.name, 100);
        put(100, format!("{:07o}\0", self.mode).as_bytes(), 8);
        put(108, b"0000000\0", 8);
        put(116, b"0000000\0", 8);
        put(124, format!("{:011o}\0", self.size).as_bytes(), 12);
        put(136, b"14524770400\0", 12);
        put(156, &[self.typeflag], 1);
        put(157, self.link, 100);
        match self.format {
            Format::V7 => {}
            Format::Ustar => put(257, b"ustar\x0000", 8),
            Format::Gnu => put(257, b"ustar  \0", 8),
        }
        seal(&mut block);
        block
    }
}

/// Writes the right checksum into a header.
pub fn seal(block: &mut [u8; BLOCK_BYTES]) {
    block[CHECKSUM].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Seals again what looks like a header, so that a mutation of one is read and not just refused.
pub fn seal_headers(tar: &mut [u8]) {
    let (blocks, _) = tar.as_chunks_mut::<BLOCK_BYTES>();
    for block in blocks {
        let digits = &block[CHECKSUM][..6];
        if digits.iter().all(|digit| matches!(digit, b'0'..=b'7')) {
            seal(block);
        }
    }
}

/// A tar in the making.
#[derive(Debug, Clone, Default)]
pub struct Archive(pub Vec<u8>);

impl Archive {
    /// Adds a header as it is, and `body` padded to a whole block.
    #[must_use]
    pub fn raw(mut self, header: &Header<'_>, body: &[u8]) -> Self {
        self.0.extend_from_slice(&header.block());
        self.bytes(body)
    }

    /// Adds an entry whose header states the length of `body`.
    #[must_use]
    pub fn entry(self, typeflag: u8, name: &[u8], body: &[u8]) -> Self {
        let size = body.len() as u64;
        self.raw(&Header { size, ..Header::new(typeflag, name) }, body)
    }

    /// Adds a PAX header of these records, rightly framed.
    #[must_use]
    pub fn pax(self, records: &[(&[u8], &[u8])]) -> Self {
        let body: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.entry(b'x', b"PaxHeaders/0", &body)
    }

    /// Adds `bytes`, padded to a whole block.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(BLOCK_BYTES), 0);
        self
    }

    /// Ends the archive.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK_BYTES, 0);
        self.0
    }
}

/// One PAX record: its length, which counts itself, the key and the value.
pub fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key, b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}
