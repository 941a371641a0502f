//! Sparse files in the four encodings that tars have for them.

use crate::archive::{Archive, BLOCK_BYTES, Format, Header, record, seal};

/// How a map is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// In the header, and in blocks behind it.
    OldGnu,
    /// As records that repeat.
    Pax00,
    /// As one record.
    Pax01,
    /// As text before the data.
    Pax10,
}

/// All of them.
pub const ENCODINGS: [Encoding; 4] =
    [Encoding::OldGnu, Encoding::Pax00, Encoding::Pax01, Encoding::Pax10];

/// A sparse file, perhaps an impossible one.
#[derive(Debug, Clone)]
pub struct SparseFile {
    /// Its apparent size.
    pub size: u64,
    /// Offset and length of what is stored.
    pub regions: Vec<(u64, u64)>,
    /// What is stored.
    pub data: Vec<u8>,
}

impl SparseFile {
    /// From an input: two bytes of size, one of how much is stored, one of scale, then regions of two bytes
    /// of offset and one of length.
    pub fn of(input: &[u8]) -> Self {
        let (head, rest) = input.split_at(input.len().min(4));
        let byte = |index: usize| head.get(index).copied().unwrap_or_default();
        let scale = u32::from(byte(3) % 25);
        let scaled = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low])) << scale;
        let (regions, _) = rest.as_chunks::<3>();
        let regions: Vec<(u64, u64)> =
            regions.iter().map(|it| (scaled(it[0], it[1]), u64::from(it[2]))).collect();
        let needed = regions.iter().map(|(_, length)| length).sum();
        let stored = if byte(2) % 2 == 0 { needed } else { u64::from(byte(2)) };
        let data = (0..stored).map(|index| (index * 31 + 1).to_le_bytes()[0]).collect();
        Self { size: scaled(byte(0), byte(1)), regions, data }
    }

    /// The runs of bytes that a reader must find; `None` if the map is not one.
    pub fn runs(&self) -> Option<Vec<(u64, Vec<u8>)>> {
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut end, mut data) = (0, self.data.as_slice());
        for &(offset, length) in &self.regions {
            if offset < end || offset + length > self.size {
                return None;
            }
            let bytes = data.split_off(..usize::try_from(length).ok()?)?;
            match runs.last_mut() {
                _ if bytes.is_empty() => {}
                Some((start, run)) if *start + run.len() as u64 == offset => run.extend(bytes),
                _ => runs.push((offset, bytes.to_vec())),
            }
            end = offset + length;
        }
        data.is_empty().then_some(runs)
    }

    /// Adds the file to an archive.
    #[must_use]
    pub fn add_to(&self, archive: Archive, encoding: Encoding, name: &[u8]) -> Archive {
        match encoding {
            Encoding::OldGnu => self.add_old(archive, name),
            Encoding::Pax00 => {
                archive.entry(b'x', b"pax", &self.pax_00()).entry(b'0', name, &self.data)
            }
            Encoding::Pax01 => {
                archive.entry(b'x', b"pax", &self.pax_01()).entry(b'0', name, &self.data)
            }
            Encoding::Pax10 => {
                let header = self.pax_head(b"1", b"0", b"GNU.sparse.realsize");
                let stored = [self.map_10(), self.data.clone()].concat();
                archive.entry(b'x', b"pax", &header).entry(b'0', name, &stored)
            }
        }
    }

    fn pax_head(&self, major: &[u8], minor: &[u8], size_key: &[u8]) -> Vec<u8> {
        [
            record(b"GNU.sparse.major", major),
            record(b"GNU.sparse.minor", minor),
            record(size_key, self.size.to_string().as_bytes()),
        ]
        .concat()
    }

    fn pax_00(&self) -> Vec<u8> {
        let mut body = self.pax_head(b"0", b"0", b"GNU.sparse.size");
        body.extend(record(b"GNU.sparse.numblocks", self.regions.len().to_string().as_bytes()));
        for (offset, length) in &self.regions {
            body.extend(record(b"GNU.sparse.offset", offset.to_string().as_bytes()));
            body.extend(record(b"GNU.sparse.numbytes", length.to_string().as_bytes()));
        }
        body
    }

    fn pax_01(&self) -> Vec<u8> {
        let mut body = self.pax_head(b"0", b"1", b"GNU.sparse.size");
        body.extend(record(b"GNU.sparse.numblocks", self.regions.len().to_string().as_bytes()));
        let numbers = self.regions.iter().flat_map(|(offset, length)| [offset, length]);
        let map: Vec<String> = numbers.map(u64::to_string).collect();
        body.extend(record(b"GNU.sparse.map", map.join(",").as_bytes()));
        body
    }

    fn map_10(&self) -> Vec<u8> {
        let mut text = format!("{}\n", self.regions.len());
        for (offset, length) in &self.regions {
            text += &format!("{offset}\n{length}\n");
        }
        let mut map = text.into_bytes();
        map.resize(map.len().next_multiple_of(BLOCK_BYTES), 0);
        map
    }

    fn add_old(&self, archive: Archive, name: &[u8]) -> Archive {
        let (first, more) = self.regions.split_at(self.regions.len().min(4));
        let size = self.data.len() as u64;
        let header = Header { format: Format::Gnu, size, ..Header::new(b'S', name) };
        let mut block = header.block();
        put_regions(&mut block[386..482], first);
        block[482] = u8::from(!more.is_empty());
        block[483..495].copy_from_slice(&number(self.size));
        seal(&mut block);
        let mut archive = archive.bytes(&block);
        let mut chunks = more.chunks(21).peekable();
        while let Some(chunk) = chunks.next() {
            let mut block = [0; BLOCK_BYTES];
            put_regions(&mut block[..504], chunk);
            block[504] = u8::from(chunks.peek().is_some());
            archive = archive.bytes(&block);
        }
        archive.bytes(&self.data)
    }
}

fn put_regions(bytes: &mut [u8], regions: &[(u64, u64)]) {
    for (entry, (offset, length)) in bytes.chunks_exact_mut(24).zip(regions) {
        entry[..12].copy_from_slice(&number(*offset));
        entry[12..].copy_from_slice(&number(*length));
    }
}

/// Octal if it fits, base-256 if not.
fn number(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if value < 1 << 33 {
        field.copy_from_slice(format!("{value:011o}\0").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    }
    field
}
