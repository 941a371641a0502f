//! One 512-byte header block: v7, USTAR, PAX, STAR or GNU, told apart as Go's `archive/tar` does.

use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::number;

/// Bytes of a block, the unit of a tar.
pub(super) const BLOCK_BYTES: usize = 512;

/// One block.
pub(super) type Block = [u8; BLOCK_BYTES];

/// Where each field lies (POSIX `pax`, "ustar Interchange Format"; GNU tar's `tar.h`).
mod at {
    use std::ops::Range;

    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPEFLAG: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..263;
    pub(super) const MAGIC_AND_VERSION: Range<usize> = 257..265;
    pub(super) const DEVICE_MAJOR: Range<usize> = 329..337;
    pub(super) const DEVICE_MINOR: Range<usize> = 337..345;
    pub(super) const USTAR_PREFIX: Range<usize> = 345..500;
    pub(super) const STAR_PREFIX: Range<usize> = 345..476;
    pub(super) const STAR_TRAILER: Range<usize> = 508..512;
    pub(super) const GNU_ACCESS_TIME: Range<usize> = 345..357;
    pub(super) const GNU_CHANGE_TIME: Range<usize> = 357..369;
    pub(super) const GNU_SPARSE: Range<usize> = 386..482;
    pub(super) const GNU_IS_EXTENDED: usize = 482;
    pub(super) const GNU_REAL_SIZE: Range<usize> = 483..495;
}

/// What follows the fields that every format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    V7,
    /// USTAR, and PAX, whose headers are USTAR's.
    Ustar,
    Star,
    Gnu,
}

/// The fields of a header block that a layer needs.
#[derive(Debug)]
pub(super) struct Header<'a> {
    block: &'a Block,
    format: Format,
    pub(super) typeflag: u8,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) size: i64,
    pub(super) mtime: i64,
    pub(super) device_major: i64,
    pub(super) device_minor: i64,
}

impl<'a> Header<'a> {
    /// Reads a block that is not all zeros.
    pub(super) fn parse(block: &'a Block) -> Result<Self, TarErrorKind> {
        check_sum(block)?;
        let format = match &block[at::MAGIC] {
            b"ustar\0" if &block[at::STAR_TRAILER] == b"tar\0" => Format::Star,
            b"ustar\0" => Format::Ustar,
            _ if &block[at::MAGIC_AND_VERSION] == b"ustar  \0" => Format::Gnu,
            _ => Format::V7,
        };
        let number = |range, name| number::field(&block[range]).ok_or(TarErrorKind::Number(name));
        let (device_major, device_minor) = match format {
            Format::V7 => (0, 0),
            _ => (number(at::DEVICE_MAJOR, "devmajor")?, number(at::DEVICE_MINOR, "devminor")?),
        };
        Ok(Self {
            block,
            format,
            typeflag: block[at::TYPEFLAG],
            mode: number(at::MODE, "mode")?,
            uid: number(at::UID, "uid")?,
            gid: number(at::GID, "gid")?,
            size: number(at::SIZE, "size")?,
            mtime: number(at::MTIME, "mtime")?,
            device_major,
            device_minor,
        })
    }

    /// The name with its prefix.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.block[at::NAME]);
        match self.prefix() {
            [] => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    /// The target of a link.
    pub(super) fn link(&self) -> &'a [u8] {
        until_nul(&self.block[at::LINK])
    }

    /// The old GNU format's four first entries of a sparse map, whether a continuation block follows,
    /// and the apparent size. `None` in other formats: STAR has the typeflag with another layout.
    pub(super) fn old_sparse(&self) -> Option<(&'a [u8], bool, Option<i64>)> {
        (self.format == Format::Gnu).then(|| {
            (
                &self.block[at::GNU_SPARSE],
                self.block[at::GNU_IS_EXTENDED] != 0,
                number::field(&self.block[at::GNU_REAL_SIZE]),
            )
        })
    }

    fn prefix(&self) -> &'a [u8] {
        match self.format {
            Format::V7 => &[],
            Format::Ustar => until_nul(&self.block[at::USTAR_PREFIX]),
            Format::Star => until_nul(&self.block[at::STAR_PREFIX]),
            Format::Gnu => self.prefix_in_gnu(),
        }
    }

    /// GNU's format has times where USTAR has the prefix. Go before 1.8, and so Docker of that age,
    /// wrote a prefix there all the same; like Go today, take what cannot be a time for one.
    fn prefix_in_gnu(&self) -> &'a [u8] {
        let is_time = |range| {
            let field: &[u8] = &self.block[range];
            field[0] == 0 || number::field(field).is_some()
        };
        let prefix = until_nul(&self.block[at::USTAR_PREFIX]);
        if (is_time(at::GNU_ACCESS_TIME) && is_time(at::GNU_CHANGE_TIME)) || !prefix.is_ascii() {
            return &[];
        }
        prefix
    }
}

/// The bytes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => &bytes[..end],
        None => bytes,
    }
}

/// Accepts the sum of the bytes as POSIX has it, unsigned, and as some old programs wrote it, signed.
/// The checksum's own field counts as spaces.
fn check_sum(block: &Block) -> Result<(), TarErrorKind> {
    const SPACES: i64 = 8 * b' ' as i64;
    let sum = |bytes: &[u8]| i64::from(bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>());
    let high =
        |bytes: &[u8]| i64::from(bytes.iter().map(|&byte| u32::from(byte >> 7)).sum::<u32>());
    let field = &block[at::CHECKSUM];
    let stated = number::octal(field).ok_or(TarErrorKind::Checksum)?;
    let unsigned = sum(block) - sum(field) + SPACES;
    let signed = || unsigned - 256 * (high(block) - high(field));
    if stated != unsigned && stated != signed() {
        return Err(TarErrorKind::Checksum);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with these bytes at these places and a right checksum.
    fn block(fields: &[(usize, &[u8])]) -> Block {
        let mut block = [0; BLOCK_BYTES];
        for (start, bytes) in fields {
            block[*start..start + bytes.len()].copy_from_slice(bytes);
        }
        block[at::CHECKSUM].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[at::CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[track_caller]
    fn check_path(fields: &[(usize, &[u8])], path: &str) {
        let block = block(fields);
        let header = Header::parse(&block).unwrap();
        assert_eq!(header.path(), path.as_bytes());
    }

    #[test]
    fn the_prefix_counts_where_the_format_has_one() {
        const USTAR: (usize, &[u8]) = (257, b"ustar\x0000");
        const GNU: (usize, &[u8]) = (257, b"ustar  \0");
        check_path(&[(0, b"name"), (345, b"dir")], "name");
        check_path(&[(0, b"name"), USTAR, (345, b"dir")], "dir/name");
        check_path(&[(0, b"name"), GNU, (345, b"12345670123\0")], "name");
        check_path(&[(0, b"name"), GNU, (345, b"dir")], "dir/name");
        check_path(&[(0, b"name"), GNU, (345, b"d\xff")], "name");
        let full = [b'p'; 155];
        let star = [(0, &b"name"[..]), USTAR, (345, &full[..131]), (508, b"tar\0")];
        check_path(&star, &format!("{}/name", "p".repeat(131)));
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut block = block(&[(0, b"name")]);
        block[3] ^= 1;
        assert_eq!(Header::parse(&block).unwrap_err(), TarErrorKind::Checksum);
    }

    #[test]
    fn a_field_that_is_no_number_is_refused_by_name() {
        let block = block(&[(0, b"name"), (at::UID.start, b"12x4")]);
        assert_eq!(Header::parse(&block).unwrap_err(), TarErrorKind::Number("uid"));
    }
}
