//! Archives, written header by header in every format.

use std::ops::Range;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// What a header can say in its own format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Gnu,
    Pax,
    /// GNU's or PAX's, with sparse files.
    Sparse,
}

/// A sparse file: its size, offsets and lengths of what is stored, and that.
#[derive(Debug)]
pub(super) struct Sparse {
    pub(super) size: usize,
    pub(super) regions: Vec<(usize, usize)>,
    pub(super) data: Vec<u8>,
}

impl Sparse {
    pub(super) fn push_old(&self, archive: &mut Archive, name: Vec<u8>) {
        let (first, more) = self.regions.split_at(self.regions.len().min(4));
        let mut header = Header::new(Format::Gnu, b'S');
        header.name = name;
        header.size = self.data.len() as u64;
        let mut block = header.block();
        put_regions(&mut block[386..482], first);
        block[482] = u8::from(!more.is_empty());
        block[483..495].copy_from_slice(format!("{:011o}\0", self.size).as_bytes());
        seal(&mut block);
        archive.0.extend(block);
        for (chunk, left) in more.chunks(21).zip((0..more.len().div_ceil(21)).rev()) {
            let mut block = [0; BLOCK];
            put_regions(&mut block, chunk);
            block[504] = u8::from(left > 0);
            archive.0.extend(block);
        }
        archive.pad(&self.data);
    }

    pub(super) fn push_pax(&self, archive: &mut Archive, name: Vec<u8>, records: &[u8]) {
        archive.push(&Header::extension(Format::Pax, b'x', records.len()).block(), records);
        let mut header = Header::new(Format::Pax, b'0');
        header.name = name;
        header.size = self.data.len() as u64;
        archive.push(&header.block(), &self.data);
    }

    pub(super) fn push_10(&self, archive: &mut Archive, name: Vec<u8>) {
        let mut records = record("GNU.sparse.major", b"1");
        records.extend(record("GNU.sparse.minor", b"0"));
        records.extend(record("GNU.sparse.realsize", self.size.to_string().as_bytes()));
        records.extend(record("GNU.sparse.name", b"its/own/name"));
        archive.push(&Header::extension(Format::Pax, b'x', records.len()).block(), &records);
        let numbers = self.regions.iter().flat_map(|&(offset, length)| [offset, length]);
        let numbers = [self.regions.len()].into_iter().chain(numbers);
        let map: Vec<String> = numbers.map(|number| format!("{number}\n")).collect();
        let mut stored = map.concat().into_bytes();
        stored.resize(stored.len().next_multiple_of(BLOCK), 0);
        stored.extend(&self.data);
        let mut header = Header::new(Format::Pax, b'0');
        header.name = name;
        header.size = stored.len() as u64;
        archive.push(&header.block(), &stored);
    }

    pub(super) fn records_00(&self) -> Vec<u8> {
        let mut records = record("GNU.sparse.size", self.size.to_string().as_bytes());
        records.extend(record("GNU.sparse.numblocks", self.regions.len().to_string().as_bytes()));
        for (offset, length) in &self.regions {
            records.extend(record("GNU.sparse.offset", offset.to_string().as_bytes()));
            records.extend(record("GNU.sparse.numbytes", length.to_string().as_bytes()));
        }
        records
    }

    pub(super) fn records_01(&self) -> Vec<u8> {
        let numbers = self.regions.iter().flat_map(|(offset, length)| [offset, length]);
        let map: Vec<String> = numbers.map(ToString::to_string).collect();
        let mut records = record("GNU.sparse.size", self.size.to_string().as_bytes());
        records.extend(record("GNU.sparse.numblocks", self.regions.len().to_string().as_bytes()));
        records.extend(record("GNU.sparse.map", map.join(",").as_bytes()));
        records
    }
}

pub(super) fn put_regions(bytes: &mut [u8], regions: &[(usize, usize)]) {
    for (entry, (offset, length)) in bytes.chunks_exact_mut(24).zip(regions) {
        entry.copy_from_slice(format!("{offset:011o}\0{length:011o}\0").as_bytes());
    }
}

/// A header before it is written. Names are cut where their fields end.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) typeflag: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) prefix: Vec<u8>,
    pub(super) mode: u64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) device: Option<[usize; 2]>,
}

impl Header {
    pub(super) fn new(format: Format, typeflag: u8) -> Self {
        Self {
            format,
            typeflag,
            name: b"name".to_vec(),
            link: Vec::new(),
            prefix: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            device: None,
        }
    }

    /// The header of an extension whose body has this many bytes.
    pub(super) fn extension(format: Format, typeflag: u8, size: usize) -> Self {
        Self { size: size as u64, ..Self::new(format, typeflag) }
    }

    pub(super) fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |range: Range<usize>, bytes: &[u8]| {
            let count = bytes.len().min(range.len());
            block[range][..count].copy_from_slice(&bytes[..count]);
        };
        put(0..100, &self.name);
        put(100..108, format!("{:07o}\0", self.mode).as_bytes());
        put(108..116, &number::<8>(self.uid));
        put(116..124, &number::<8>(self.gid));
        put(124..136, format!("{:011o}\0", self.size).as_bytes());
        put(136..148, &number::<12>(self.mtime));
        put(156..157, &[self.typeflag]);
        put(157..257, &self.link);
        match self.format {
            Format::V7 => {}
            Format::Gnu => put(257..265, b"ustar  \0"),
            _ => put(257..265, b"ustar\x0000"),
        }
        if let Some([major, minor]) = self.device {
            put(329..337, format!("{major:07o}\0").as_bytes());
            put(337..345, format!("{minor:07o}\0").as_bytes());
        }
        put(345..500, &self.prefix);
        seal(&mut block);
        block
    }
}

/// Octal where it fits, else base-256.
pub(super) fn number<const N: usize>(value: i64) -> [u8; N] {
    let mut field = [0; N];
    if (0..1 << (3 * (N - 1))).contains(&value) {
        field.copy_from_slice(format!("{value:0width$o}\0", width = N - 1).as_bytes());
    } else {
        let wide = i128::from(value).to_be_bytes();
        field.copy_from_slice(&wide[16 - N..]);
        field[0] = if value < 0 { 0xff } else { 0x80 };
    }
    field
}

pub(super) fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Seals all blocks that look like a header.
pub(super) fn seal_headers(archive: &mut [u8]) {
    for block in archive.as_chunks_mut::<BLOCK>().0 {
        if block[154..156] == *b"\0 " {
            seal(block);
        }
    }
}

pub(super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let digits = (1..9).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap();
    [(rest.len() + digits).to_string().as_bytes(), &rest].concat()
}

#[derive(Debug, Default)]
pub(super) struct Archive(pub(super) Vec<u8>);

impl Archive {
    pub(super) fn push(&mut self, header: &[u8; BLOCK], body: &[u8]) {
        self.0.extend(header);
        self.pad(body);
    }

    pub(super) fn pad(&mut self, body: &[u8]) {
        self.0.extend(body);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}
