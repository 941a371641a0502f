//! What follows a header: stored bytes, where they belong in the file, and padding to a whole block.

use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::header::{BLOCK_BYTES, Block};
use crate::layer::tar::input::take;
use crate::layer::tar::sparse::{self, MapReader, Region};

/// The body of the current header.
///
/// A file that is not sparse is a file with one region, so that data passes in one way only.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Bytes that are still to come before the data: an extension's text or a sparse map.
    stored_left: u64,
    padding_left: u64,
    /// The file's apparent size.
    size: u64,
    /// The parts of the file that the tar holds.
    regions: Vec<Region>,
    /// Which of them is current, and how much of it has passed.
    region: usize,
    region_passed: u64,
    map_reader: MapReader,
}

/// What [`Body::take_map`] wants next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MapStep {
    NeedInput,
    Done,
}

impl Body {
    /// Begins a body of `stored` bytes in the tar, for a file of `size` bytes, with no regions yet.
    pub(super) fn begin(&mut self, stored: u64, size: u64) {
        let block = BLOCK_BYTES as u64;
        self.stored_left = stored;
        self.padding_left = (block - stored % block) % block;
        self.size = size;
        self.regions.clear();
        self.region = 0;
        self.region_passed = 0;
    }

    /// All of the file is stored, in one piece.
    pub(super) fn set_whole(&mut self) {
        self.regions.push(Region { offset: 0, length: self.stored_left });
    }

    /// The file is sparse with this map.
    pub(super) fn set_regions(&mut self, regions: Vec<Region>) -> Result<(), TarErrorKind> {
        self.regions = regions;
        self.check_regions()
    }

    /// The file is sparse in the old GNU format, and these are the header's own entries of its map.
    pub(super) fn push_old_regions(
        &mut self,
        bytes: &[u8],
        max: usize,
    ) -> Result<(), TarErrorKind> {
        sparse::push_old(&mut self.regions, bytes, max)
    }

    /// Adds a continuation block of an old GNU map, and says whether another follows.
    pub(super) fn push_old_block(
        &mut self,
        block: &Block,
        max: usize,
    ) -> Result<bool, TarErrorKind> {
        sparse::push_old_block(&mut self.regions, block, max)
    }

    /// Judges the map, once it is complete.
    pub(super) fn check_regions(&self) -> Result<(), TarErrorKind> {
        sparse::check(&self.regions, self.size, self.stored_left)
    }

    /// A sparse map comes before the data.
    pub(super) fn expect_map(&mut self) {
        self.map_reader = MapReader::default();
    }

    /// Reads the map before the data.
    pub(super) fn take_map(
        &mut self,
        input: &mut &[u8],
        max: usize,
    ) -> Result<MapStep, TarErrorKind> {
        let mut available = *input;
        let available = take(&mut available, self.stored_left);
        let count = self.map_reader.read(available, &mut self.regions, max)?;
        *input = &input[count..];
        self.stored_left -= count as u64;
        if self.map_reader.is_done() {
            self.check_regions()?;
            return Ok(MapStep::Done);
        }
        if self.stored_left == 0 {
            return Err(TarErrorKind::SparseMap("is longer than the bytes that are stored"));
        }
        Ok(MapStep::NeedInput)
    }

    /// Adds what there is of an extension's text to `text`, and says whether that was all.
    pub(super) fn take_text(&mut self, input: &mut &[u8], text: &mut Vec<u8>) -> bool {
        let part = take(input, self.stored_left);
        text.extend_from_slice(part);
        self.stored_left -= part.len() as u64;
        self.stored_left == 0
    }

    /// Whether all data has passed.
    pub(super) fn data_is_done(&mut self) -> bool {
        while let Some(region) = self.regions.get(self.region) {
            if self.region_passed < region.length {
                return false;
            }
            self.region += 1;
            self.region_passed = 0;
        }
        true
    }

    /// The next data and its offset in the file; at most one region's.
    pub(super) fn take_data<'a>(&mut self, input: &mut &'a [u8]) -> (u64, &'a [u8]) {
        let Some(region) = self.regions.get(self.region) else {
            return (self.size, &[]);
        };
        let offset = region.offset + self.region_passed;
        let bytes = take(input, region.length - self.region_passed);
        self.region_passed += bytes.len() as u64;
        (offset, bytes)
    }

    /// Passes over all data that is left, and answers how much that is.
    pub(super) fn skip_data(&mut self) -> u64 {
        let left = self.regions.iter().skip(self.region).map(|region| region.length);
        let skipped = left.fold(0, u64::saturating_add).saturating_sub(self.region_passed);
        self.region = self.regions.len();
        self.region_passed = 0;
        skipped
    }

    /// Skips what there is of the padding, and says whether that was all.
    pub(super) fn take_padding(&mut self, input: &mut &[u8]) -> bool {
        self.padding_left -= take(input, self.padding_left).len() as u64;
        self.padding_left == 0
    }
}
