//! The merged tree of a stack: metadata alone, whose files lie in the layer images.
//!
//! Block addresses are unified: they count from the start of the stitched disk, which is this image and
//! behind it the layer images of the device table. The same file can be mounted with the layers as
//! further devices, or as the first part of one disk.

use std::io::{BufWriter, Write};

use crate::disk::erofs::error::Error;
use crate::disk::erofs::format::superblock::{
    DeviceSlot, EROFS_DEVT_SLOT_SIZE, EROFS_SUPER_OFFSET, SUPERBLOCK_BYTES, seal,
};
use crate::disk::erofs::format::{BLOCK_BYTES, EROFS_NULL_ADDR, blocks_of};
use crate::disk::erofs::layer::LayerImage;
use crate::disk::erofs::layout::{Forms, Layout};
use crate::disk::erofs::metadata;
use crate::layer::tree::{Content, Kind, Node, Tree};
use crate::oci::digest::DiffId;

/// Bytes of each large write.
const BUFFER_BYTES: usize = 256 << 10;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fsmeta {
    /// The layers on the disk, as indices into the stack, in the order of the device table.
    pub devices: Vec<usize>,
    /// Length of the fsmeta in blocks of 4 KiB.
    pub blocks: u32,
}

/// Writes the metadata of `tree`, merged from the stack `layers`, bottom to top. Each file's
/// [`Content::layer`] is an index into `layers`, its address a block of that layer's image.
///
/// Only layers in which a file of the tree lies become devices, each once.
pub fn write(tree: &Tree, layers: &[LayerImage], out: &mut impl Write) -> Result<Fsmeta, Error> {
    let layout = Layout::new(tree, Forms::Shortest)?;
    let table = DeviceTable::new(&layout, layers)?;
    let table_bytes = SUPERBLOCK_BYTES + EROFS_DEVT_SLOT_SIZE * table.slots.len();
    let first_blocks = blocks_of((EROFS_SUPER_OFFSET + table_bytes) as u64);
    let too_large = || Error::Blocks("the fsmeta");
    let meta_blkaddr = u32::try_from(first_blocks).map_err(|_| too_large())?;
    let blocks = meta_blkaddr.checked_add(layout.blocks).ok_or_else(too_large)?;
    let table = table.place(blocks)?;

    let diff_ids = layers.iter().map(|layer| layer.diff_id);
    let uuid = metadata::uuid("sandbox-images/fsmeta/1\0", diff_ids, "\n");
    let mut superblock = metadata::superblock(&layout, meta_blkaddr, blocks, uuid);
    superblock.extra_devices =
        u16::try_from(table.slots.len()).map_err(|_| Error::Blocks("the device table"))?;
    let mut head = vec![0; EROFS_SUPER_OFFSET];
    head.extend(superblock.encode());
    table.slots.iter().for_each(|slot| head.extend(slot.encode()));
    head.resize(meta_blkaddr as usize * BLOCK_BYTES, 0);
    if let Some(block) = head.first_chunk_mut() {
        seal(block);
    }

    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    out.write_all(&head)?;
    let first_block = |content: &Content| table.first_block(content, layers);
    metadata::write(&layout, meta_blkaddr, first_block, &mut out)?;
    out.flush()?;
    Ok(Fsmeta { devices: table.devices, blocks })
}

/// Which layers the disk holds, and where.
struct DeviceTable {
    devices: Vec<usize>,
    slots: Vec<DeviceSlot>,
    /// For each layer of the stack, its slot.
    slot_of: Vec<Option<usize>>,
}

impl DeviceTable {
    /// The layers with at least one file that is not empty. A layer that is twice in the stack has one
    /// slot.
    fn new(layout: &Layout<'_>, layers: &[LayerImage]) -> Result<Self, Error> {
        let mut table =
            Self { devices: Vec::new(), slots: Vec::new(), slot_of: vec![None; layers.len()] };
        for (index, used) in used_layers(layout, layers.len())?.into_iter().enumerate() {
            if used {
                let DiffId(tag) = layers[index].diff_id;
                let slot = table.slots.iter().position(|slot| slot.tag == tag);
                table.slot_of[index] = Some(slot.unwrap_or(table.slots.len()));
                if slot.is_none() {
                    table.devices.push(index);
                    table.slots.push(DeviceSlot { tag, blocks: layers[index].blocks, uniaddr: 0 });
                }
            }
        }
        Ok(table)
    }

    /// Puts the devices one behind the other, after an fsmeta of `fsmeta_blocks`.
    fn place(mut self, fsmeta_blocks: u32) -> Result<Self, Error> {
        let mut end = fsmeta_blocks;
        for slot in &mut self.slots {
            slot.uniaddr = end;
            end = end
                .checked_add(slot.blocks)
                .filter(|&end| end < EROFS_NULL_ADDR)
                .ok_or(Error::Blocks("the disk"))?;
        }
        Ok(self)
    }

    /// The first block of a file that is not empty, on the stitched disk.
    fn first_block(&self, content: &Content, layers: &[LayerImage]) -> Result<u32, Error> {
        let layer = usize::from(content.layer);
        let outside = || Error::Content {
            address: content.address,
            size_bytes: content.size_bytes,
            blocks: layers.get(layer).map_or(0, |layer| layer.blocks),
        };
        let slot = self
            .slot_of
            .get(layer)
            .copied()
            .flatten()
            .map(|slot| self.slots[slot])
            .ok_or_else(outside)?;
        u64::from(content.address)
            .checked_add(blocks_of(content.size_bytes))
            .filter(|&end| end <= u64::from(slot.blocks))
            .and_then(|_| slot.uniaddr.checked_add(content.address))
            .ok_or_else(outside)
    }
}

/// For each layer, whether a file that is not empty lies in it.
fn used_layers(layout: &Layout<'_>, layers: usize) -> Result<Vec<bool>, Error> {
    let mut used = vec![false; layers];
    for place in &layout.places {
        let Node::Inode(id) = place.node else {
            continue;
        };
        if let Kind::File(Content { layer, size_bytes: 1.., .. }) = layout.tree.inode(id).kind {
            *used.get_mut(usize::from(layer)).ok_or(Error::Layer { layer, layers })? = true;
        }
    }
    Ok(used)
}
