//! Sparse maps: which parts of a file the tar holds, in four encodings.
//!
//! Old GNU has them in the header and in continuation blocks; PAX 0.0 and 0.1 in
//! records; PAX 1.0 as text before the data. Whatever the encoding, the result is a list of
//! [`Region`]s that [`check`] has judged before any data passes.

use crate::layer::limits::LimitExceeded;
use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::header::{BLOCK_BYTES, Block};
use crate::layer::tar::number;

/// Bytes of one entry of an old GNU map: two numbers of 12 bytes.
const OLD_ENTRY_BYTES: usize = 24;

/// Where a continuation block says whether another follows.
const OLD_IS_EXTENDED: usize = 504;

/// Digits of the largest number in a PAX 1.0 map, 2⁶³ − 1.
const MAP_DIGITS_MAX: u8 = 19;

/// A part of a file that the tar holds. What lies between the regions is a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Adds a region, as long as there are not too many.
pub(super) fn push(
    regions: &mut Vec<Region>,
    region: Region,
    max: usize,
) -> Result<(), TarErrorKind> {
    check_count(regions.len() as u64 + 1, max)?;
    regions.push(region);
    Ok(())
}

fn check_count(count: u64, max: usize) -> Result<(), LimitExceeded> {
    let what = "entries in one sparse map";
    LimitExceeded::check(count, max as u64, what, "sparse-entries-max")
}

/// Refuses regions that overlap, go backwards or leave the file, and stored bytes that are not exactly
/// what the regions need.
pub(super) fn check(regions: &[Region], size: u64, stored: u64) -> Result<(), TarErrorKind> {
    let mut end = 0;
    let mut needed = 0;
    for region in regions {
        if region.offset < end {
            return Err(TarErrorKind::SparseMap("overlaps itself or is not in order"));
        }
        end = region
            .offset
            .checked_add(region.length)
            .filter(|&end| end <= size)
            .ok_or(TarErrorKind::SparseMap("goes beyond the file's size"))?;
        // Regions do not overlap, so their sum is at most `end`.
        needed += region.length;
    }
    if needed != stored {
        return Err(TarErrorKind::SparseMap("does not fit the bytes that are stored"));
    }
    Ok(())
}

/// Reads the entries of an old GNU map in `bytes`; like GNU and BSD tar, up to one without an offset.
pub(super) fn push_old(
    regions: &mut Vec<Region>,
    bytes: &[u8],
    max: usize,
) -> Result<(), TarErrorKind> {
    let number = |bytes: &[u8]| {
        number::field(bytes)
            .and_then(|value| u64::try_from(value).ok())
            .ok_or(TarErrorKind::SparseMap("has a malformed number"))
    };
    for entry in bytes.chunks_exact(OLD_ENTRY_BYTES) {
        if entry[0] == 0 {
            break;
        }
        let (offset, length) = entry.split_at(OLD_ENTRY_BYTES / 2);
        let region = Region { offset: number(offset)?, length: number(length)? };
        push(regions, region, max)?;
    }
    Ok(())
}

/// Reads a continuation block of an old GNU map, and says whether another follows.
pub(super) fn push_old_block(
    regions: &mut Vec<Region>,
    block: &Block,
    max: usize,
) -> Result<bool, TarErrorKind> {
    push_old(regions, &block[..OLD_IS_EXTENDED], max)?;
    Ok(block[OLD_IS_EXTENDED] != 0)
}

/// Decimal digits without a sign.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let unsigned = text.first().is_some_and(u8::is_ascii_digit);
    u64::try_from(number::decimal(text).filter(|_| unsigned)?).ok()
}

/// Reads a PAX 1.0 map, byte by byte as they arrive: the number of entries, then each one's offset and
/// length, each with a line feed behind it, padded to a whole block.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    bytes: u64,
    value: u64,
    digits: u8,
    /// Numbers still to come; `None` before the first, which says how many there are.
    numbers_left: Option<u64>,
    offset: Option<u64>,
}

impl MapReader {
    /// Reads from `input` what belongs to the map, and says how many bytes that were.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        regions: &mut Vec<Region>,
        max: usize,
    ) -> Result<usize, TarErrorKind> {
        for (index, &byte) in input.iter().enumerate() {
            if self.is_done() {
                return Ok(index);
            }
            self.bytes += 1;
            if self.numbers_left != Some(0) {
                self.byte(byte, regions, max)?;
            }
        }
        Ok(input.len())
    }

    /// Whether the map and its padding have been read.
    pub(super) fn is_done(&self) -> bool {
        self.numbers_left == Some(0) && self.bytes.is_multiple_of(BLOCK_BYTES as u64)
    }

    fn byte(
        &mut self,
        byte: u8,
        regions: &mut Vec<Region>,
        max: usize,
    ) -> Result<(), TarErrorKind> {
        match byte {
            b'0'..=b'9' if self.digits < MAP_DIGITS_MAX => {
                // 19 digits always fit 64 bits.
                self.value = self.value * 10 + u64::from(byte - b'0');
                self.digits += 1;
                Ok(())
            }
            b'\n' if self.digits > 0 => {
                self.digits = 0;
                let value = std::mem::take(&mut self.value);
                self.number(value, regions, max)
            }
            _ => Err(TarErrorKind::SparseMap("has a malformed number")),
        }
    }

    fn number(
        &mut self,
        value: u64,
        regions: &mut Vec<Region>,
        max: usize,
    ) -> Result<(), TarErrorKind> {
        let Some(left) = self.numbers_left else {
            check_count(value, max)?;
            self.numbers_left = Some(value.saturating_mul(2));
            return Ok(());
        };
        self.numbers_left = Some(left - 1);
        match self.offset.take() {
            None => self.offset = Some(value),
            Some(offset) => push(regions, Region { offset, length: value }, max)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 4;

    fn region((offset, length): (u64, u64)) -> Region {
        Region { offset, length }
    }

    #[track_caller]
    fn check_map(regions: &[(u64, u64)], size: u64, stored: u64, accepted: bool) {
        let regions: Vec<Region> = regions.iter().copied().map(region).collect();
        assert_eq!(check(&regions, size, stored).is_ok(), accepted);
    }

    #[test]
    fn regions_are_in_order_inside_of_the_file_and_stored() {
        check_map(&[], 10, 0, true);
        check_map(&[(0, 4), (4, 2), (10, 0)], 10, 6, true);
        check_map(&[(0, 4), (3, 2)], 10, 6, false);
        check_map(&[(5, 1), (0, 1)], 10, 2, false);
        check_map(&[(8, 3)], 10, 3, false);
        check_map(&[(u64::MAX, 1)], 10, 1, false);
        check_map(&[(0, 4)], 10, 5, false);
        check_map(&[(0, 4)], 10, 3, false);
    }

    /// Reads `text` padded to a block in pieces of `piece` bytes.
    fn read_map(text: &str, piece: usize) -> Result<Vec<Region>, TarErrorKind> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(text.len().next_multiple_of(BLOCK_BYTES) + 7, 0);
        let (mut reader, mut regions, mut taken) = (MapReader::default(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            taken += reader.read(piece, &mut regions, MAX)?;
        }
        assert!(reader.is_done());
        assert_eq!(taken, bytes.len() - 7);
        Ok(regions)
    }

    #[test]
    fn a_map_before_the_data_is_read_in_any_pieces() {
        for piece in [1, 3, 511, 512, 4096] {
            let regions = read_map("2\n0\n5\n10\n7\n", piece).unwrap();
            assert_eq!(regions, [(0, 5), (10, 7)].map(region));
            assert_eq!(read_map("0\n", piece), Ok(vec![]));
        }
    }

    #[test]
    fn a_malformed_map_before_the_data_is_refused() {
        for text in ["\n", "x\n", "-1\n", "1\n0\n\n", "5\n", "1\n0 5\n", "99999999999999999999\n"] {
            assert!(read_map(text, 512).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_old_map_ends_where_an_entry_has_no_offset() {
        let mut bytes = [0; 96];
        bytes[..24].copy_from_slice(b"00000001000 00000000005\0");
        let mut regions = Vec::new();
        push_old(&mut regions, &bytes, MAX).unwrap();
        assert_eq!(regions, [region((0o1000, 5))]);
    }

    #[test]
    fn a_map_has_a_limited_number_of_entries() {
        let entry = b"00000001000 00000000005\0".repeat(5);
        assert!(matches!(push_old(&mut Vec::new(), &entry, MAX), Err(TarErrorKind::Limit(_))));
    }
}
