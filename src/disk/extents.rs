//! The stitched disk as data: which files, one behind the other, are its sectors.
//!
//! The fsmeta comes first, then the layer images of its device table. Every form of the disk, whether a
//! descriptor for a hypervisor, one raw file or a device-mapper table, is rendered from this.

use crate::disk::erofs::format::superblock::DeviceSlot;
use crate::disk::erofs::format::{BLOCK, EROFS_NULL_ADDR};
use crate::disk::erofs::layer::LayerImage;
use crate::oci::digest::DiffId;

/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 512;

/// A file that is a part of the disk, whole and from its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent<File> {
    /// Which file.
    pub file: File,
    /// Its length in sectors of 512 bytes.
    pub sectors: u64,
}

/// Which artifact an extent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The merged metadata.
    Fsmeta,
    /// The image of this layer.
    Layer(DiffId),
}

/// The disk would be longer than EROFS can address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a disk of {blocks} blocks is longer than 4294967294 blocks of 4096 bytes")]
pub struct DiskTooLong {
    /// How long it would be.
    pub blocks: u64,
}

/// The disk of an fsmeta of `fsmeta_blocks` and of the layers in its device table, in the table's order.
pub fn stitch(
    fsmeta_blocks: u32,
    layers: impl IntoIterator<Item = LayerImage>,
) -> Result<Vec<Extent<Part>>, DiskTooLong> {
    let extent =
        |file, blocks| Extent { file, sectors: u64::from(blocks) * (BLOCK / SECTOR_BYTES) };
    let mut extents = vec![extent(Part::Fsmeta, fsmeta_blocks)];
    let mut blocks = u64::from(fsmeta_blocks);
    for layer in layers {
        blocks += u64::from(layer.blocks);
        if blocks >= u64::from(EROFS_NULL_ADDR) {
            return Err(DiskTooLong { blocks });
        }
        extents.push(extent(Part::Layer(layer.diff_id), layer.blocks));
    }
    Ok(extents)
}

impl From<&DeviceSlot> for LayerImage {
    /// The layer image that a slot of an fsmeta's device table stands for.
    fn from(slot: &DeviceSlot) -> Self {
        Self { diff_id: DiffId(slot.tag), blocks: slot.blocks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;

    #[test]
    fn the_fsmeta_comes_first_and_the_layers_follow_the_device_table() {
        let layer = |name, blocks| LayerImage { diff_id: DiffId(Digest::of(name)), blocks };
        let [a, b] = [layer("a", 3), layer("b", 5)];
        let extents = stitch(2, [b, a]).unwrap();
        let sectors: Vec<_> = extents.iter().map(|extent| extent.sectors).collect();
        assert_eq!(sectors, [16, 40, 24]);
        assert_eq!(extents[0].file, Part::Fsmeta);
        assert_eq!(extents[1].file, Part::Layer(b.diff_id));
        assert_eq!(
            stitch(1, [layer("a", u32::MAX - 2), layer("b", 2)]),
            Err(DiskTooLong { blocks: (1 << 32) })
        );
    }
}
