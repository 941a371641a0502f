//! Archives in every format, the same ones in every run.

use std::ops::Range;

/// Bytes of a block.
const BLOCK: usize = 512;

/// What a header can say in its own format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    V7,
    Ustar,
    Gnu,
    Pax,
    /// GNU's or PAX's, with sparse files.
    Sparse,
}

const FORMATS: [Format; 5] = [Format::V7, Format::Ustar, Format::Gnu, Format::Pax, Format::Sparse];

/// The bytes of a header that are changed: all up to the magic, which would be another format.
const CHANGED: Range<usize> = 0..257;

/// What they are changed to. Never NUL: see [`number_behind_nul`].
const CHANGES: &[u8] = b"01234567 89a/.-\x80\xff";

/// Kinds that an entry is changed to.
const TYPEFLAGS: &[u8] = b"\x0001234567SLKxZV";

/// Numbers that look random.
#[derive(Debug)]
pub(super) struct Generator(u64);

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// The same, as a header's number.
    fn number_below(&mut self, end: usize) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    /// `count` archives of each format.
    pub(super) fn archives(&mut self, count: usize) -> Vec<Vec<u8>> {
        let formats = FORMATS.iter().cycle().take(count * FORMATS.len());
        formats.map(|&format| self.archive(format)).collect()
    }

    fn archive(&mut self, format: Format) -> Vec<u8> {
        let mut archive = Archive::default();
        for _ in 0..=self.below(6) {
            match format {
                Format::Sparse => self.sparse(&mut archive),
                _ => self.entry(&mut archive, format),
            }
        }
        archive.end()
    }

    /// An entry of any kind, with whatever its format can say of it.
    fn entry(&mut self, archive: &mut Archive, format: Format) {
        let kinds: &[u8] = if format == Format::V7 { b"\x000125" } else { b"\x0001234567" };
        let mut header = Header::new(format, self.one_of(kinds));
        let is_file = matches!(header.typeflag, 0 | b'0' | b'7');
        let slash = if header.typeflag == b'5' { "/" } else { "" };
        header.name = [self.name(40), slash.into()].concat();
        header.link = if header.typeflag == b'0' { Vec::new() } else { self.name(60) };
        header.mode = self.below(0o10000) as u64;
        [header.uid, header.gid] = [self.number_below(0o7_777_777), self.number_below(0o7_777_777)];
        header.mtime = self.number_below(1 << 31);
        header.device = (format != Format::V7).then(|| [self.below(4096), self.below(1 << 20)]);
        let count = self.one_of(&[0, 1, 511, 512, 513, 1500]);
        let content = if is_file { self.bytes(count) } else { Vec::new() };
        header.size = content.len() as u64;
        match format {
            Format::Ustar if self.below(2) == 0 => header.prefix = self.name(155),
            Format::Gnu => self.gnu(archive, &mut header),
            Format::Pax => self.pax(archive, &mut header),
            _ => {}
        }
        archive.push(&header.block(), &content);
    }

    /// Long names, ids and times that only GNU's headers hold.
    fn gnu(&mut self, archive: &mut Archive, header: &mut Header) {
        if self.below(3) == 0 {
            let long = [self.name(900), vec![0]].concat();
            archive.push(&Header::extension(Format::Gnu, b'L', long.len()).block(), &long);
        }
        if self.below(3) == 0 && matches!(header.typeflag, b'1' | b'2') {
            let long = [self.name(900), vec![0]].concat();
            archive.push(&Header::extension(Format::Gnu, b'K', long.len()).block(), &long);
        }
        if self.below(3) == 0 {
            header.uid = i64::from(u32::MAX) - self.number_below(1000);
            header.mtime = -self.number_below(1 << 30);
        }
    }

    /// Some records, in any order; the header's own fields then do not count.
    fn pax(&mut self, archive: &mut Archive, header: &mut Header) {
        let mut records = Vec::new();
        for _ in 0..=self.below(5) {
            let (key, value) = match self.below(9) {
                0 => ("path", self.name(900)),
                1 => ("linkpath", self.name(900)),
                2 => ("uid", (u64::from(u32::MAX) - self.below(99) as u64).to_string().into()),
                3 => ("gid", self.below(1 << 31).to_string().into()),
                4 => ("mtime", self.time().into()),
                5 => ("SCHILY.xattr.user.note", self.xattr()),
                6 => ("SCHILY.xattr.security.capability", self.xattr()),
                7 => ("comment", self.name(100)),
                _ => ("size", header.size.to_string().into()),
            };
            records.extend(record(key, &value));
        }
        archive.push(&Header::extension(Format::Pax, b'x', records.len()).block(), &records);
    }

    fn time(&mut self) -> String {
        let sign = self.one_of(&["", "-"]);
        let seconds = self.below(1 << 31);
        match self.below(3) {
            0 => format!("{sign}{seconds}"),
            1 => format!("{sign}{seconds}.{}", self.below(100)),
            _ => format!("{sign}{seconds}.{:012}", self.below(1 << 31)),
        }
    }

    /// A value with line feeds and equal signs, or an empty one.
    fn xattr(&mut self) -> Vec<u8> {
        let count = self.below(40);
        (0..count).map(|_| self.one_of(b"\n=7 \x01\xff\xc3a\0")).collect()
    }

    /// A name of up to `max` bytes, not always UTF-8, that no slash ends.
    fn name(&mut self, max: usize) -> Vec<u8> {
        let count = self.below(max);
        let mut name: Vec<u8> =
            (0..count).map(|_| self.one_of(b"abc/.-\xc3\xa9\xff\x07 ")).collect();
        name.push(b'n');
        name.truncate(max);
        name
    }

    /// A sparse file in one of the four encodings.
    fn sparse(&mut self, archive: &mut Archive) {
        let mut regions = Vec::new();
        let mut end = 0;
        for _ in 0..self.one_of(&[1, 2, 4, 5, 26]) {
            let offset = end + 1 + self.below(600);
            end = offset + 1 + self.below(60);
            regions.push((offset, end - offset));
        }
        let stored = regions.iter().map(|(_, length)| length).sum();
        let file = Sparse { size: end + self.below(2000), regions, data: self.bytes(stored) };
        let name = self.name(60);
        match self.below(4) {
            0 => file.push_old(archive, name),
            1 => file.push_pax(archive, name, &file.records_00()),
            2 => file.push_pax(archive, name, &file.records_01()),
            _ => file.push_10(archive, name),
        }
    }

    /// Changes an archive somewhere, mostly so that its checksums are still right.
    pub(super) fn damage(&mut self, mut archive: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(2) {
            let blocks = archive.len() / BLOCK;
            let start = self.below(blocks) * BLOCK;
            match self.below(8) {
                0 => archive[start + self.below(BLOCK)] ^= 1 << self.below(7),
                1 => archive[start + 156] = self.one_of(TYPEFLAGS),
                2 => archive.truncate(start + BLOCK),
                3 => drop(archive.drain(start..start + BLOCK)),
                _ => {
                    let at = CHANGED.start + self.below(CHANGED.len());
                    archive[start + at] = self.one_of(CHANGES);
                }
            }
            if self.below(8) > 0 {
                seal_headers(&mut archive);
            }
            if archive.is_empty() {
                return Archive::default().end();
            }
        }
        archive
    }
}

/// A sparse file: its size, offsets and lengths of what is stored, and that.
#[derive(Debug)]
struct Sparse {
    size: usize,
    regions: Vec<(usize, usize)>,
    data: Vec<u8>,
}

impl Sparse {
    fn push_old(&self, archive: &mut Archive, name: Vec<u8>) {
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

    fn push_pax(&self, archive: &mut Archive, name: Vec<u8>, records: &[u8]) {
        archive.push(&Header::extension(Format::Pax, b'x', records.len()).block(), records);
        let mut header = Header::new(Format::Pax, b'0');
        header.name = name;
        header.size = self.data.len() as u64;
        archive.push(&header.block(), &self.data);
    }

    fn push_10(&self, archive: &mut Archive, name: Vec<u8>) {
        let mut records = record("GNU.sparse.major", b"1");
        records.extend(record("GNU.sparse.minor", b"0"));
        records.extend(record("GNU.sparse.realsize", self.size.to_string().as_bytes()));
        records.extend(record("GNU.sparse.name", b"its/own/name"));
        archive.push(&Header::extension(Format::Pax, b'x', records.len()).block(), &records);
        let numbers = self.regions.iter().flat_map(|&(offset, length)| [offset, length]);
        let map: String =
            [self.regions.len()].into_iter().chain(numbers).map(|it| format!("{it}\n")).collect();
        let mut stored = map.into_bytes();
        stored.resize(stored.len().next_multiple_of(BLOCK), 0);
        stored.extend(&self.data);
        let mut header = Header::new(Format::Pax, b'0');
        header.name = name;
        header.size = stored.len() as u64;
        archive.push(&header.block(), &stored);
    }

    fn records_00(&self) -> Vec<u8> {
        let mut records = record("GNU.sparse.size", self.size.to_string().as_bytes());
        records.extend(record("GNU.sparse.numblocks", self.regions.len().to_string().as_bytes()));
        for (offset, length) in &self.regions {
            records.extend(record("GNU.sparse.offset", offset.to_string().as_bytes()));
            records.extend(record("GNU.sparse.numbytes", length.to_string().as_bytes()));
        }
        records
    }

    fn records_01(&self) -> Vec<u8> {
        let numbers = self.regions.iter().flat_map(|(offset, length)| [offset, length]);
        let map: Vec<String> = numbers.map(ToString::to_string).collect();
        let mut records = record("GNU.sparse.size", self.size.to_string().as_bytes());
        records.extend(record("GNU.sparse.numblocks", self.regions.len().to_string().as_bytes()));
        records.extend(record("GNU.sparse.map", map.join(",").as_bytes()));
        records
    }
}

fn put_regions(bytes: &mut [u8], regions: &[(usize, usize)]) {
    for (entry, (offset, length)) in bytes.chunks_exact_mut(24).zip(regions) {
        entry.copy_from_slice(format!("{offset:011o}\0{length:011o}\0").as_bytes());
    }
}

/// A header before it is written. Names are cut where their fields end.
#[derive(Debug)]
struct Header {
    format: Format,
    typeflag: u8,
    name: Vec<u8>,
    link: Vec<u8>,
    prefix: Vec<u8>,
    mode: u64,
    uid: i64,
    gid: i64,
    size: u64,
    mtime: i64,
    device: Option<[usize; 2]>,
}

impl Header {
    fn new(format: Format, typeflag: u8) -> Self {
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
    fn extension(format: Format, typeflag: u8, size: usize) -> Self {
        Self { size: size as u64, ..Self::new(format, typeflag) }
    }

    fn block(&self) -> [u8; BLOCK] {
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
fn number<const N: usize>(value: i64) -> [u8; N] {
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

fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Seals all blocks that look like a header.
fn seal_headers(archive: &mut [u8]) {
    for block in archive.as_chunks_mut::<BLOCK>().0 {
        if block[154..156] == *b"\0 " {
            seal(block);
        }
    }
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let digits = (1..9).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap();
    [(rest.len() + digits).to_string().as_bytes(), &rest].concat()
}

#[derive(Debug, Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn push(&mut self, header: &[u8; BLOCK], body: &[u8]) {
        self.0.extend(header);
        self.pad(body);
    }

    fn pad(&mut self, body: &[u8]) {
        self.0.extend(body);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

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
