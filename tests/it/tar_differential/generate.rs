//! Archives that look random, the same ones in every run.

use std::ops::Range;

use super::archive::{Archive, BLOCK, Format, Header, Sparse, record, seal_headers};

const FORMATS: [Format; 5] = [Format::V7, Format::Ustar, Format::Gnu, Format::Pax, Format::Sparse];

/// The bytes of a header that are changed: all up to the magic, which would be another format.
const CHANGED: Range<usize> = 0..257;

/// What they are changed to. Never NUL: see `examples::number_behind_nul`.
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

    /// A number below `end`, for a field that may also be negative.
    fn number(&mut self, end: usize) -> i64 {
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
        [header.uid, header.gid] = [self.number(0o7_777_777), self.number(0o7_777_777)];
        header.mtime = self.number(1 << 31);
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
            header.uid = i64::from(u32::MAX) - self.number(1000);
            header.mtime = -self.number(1 << 30);
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
