//! Reads the images written here, and believes nothing in them.
//!
//! Whatever an image holds, the answer is a tree or a [`ReadError`], in time and memory that its own
//! length bounds: structures may not share bytes, each directory has one name, names ascend, link counts
//! and the number of inodes are right. So a tree that was read is one that could have been written.

pub mod error;

mod structures;

mod directory;

mod walk;

pub mod content;

pub(super) use self::directory::entries;
use self::error::ReadError;
pub(super) use self::structures::Structures;
use crate::disk::erofs::format::superblock::{
    DEVICE_TABLE_SLOT, DeviceSlot, EROFS_DEVT_SLOT_SIZE, EROFS_SUPER_OFFSET, SUPERBLOCK_BYTES,
    Superblock, superblock_checksum_ok,
};
use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES, EROFS_NULL_ADDR};
use crate::disk::file::ReadAt;
use crate::layer::tree::Tree;

/// An image whose superblock and device table are right.
#[derive(Debug)]
pub struct Image<R> {
    file: R,
    superblock: Superblock,
    devices: Vec<DeviceSlot>,
}

impl<R: ReadAt> Image<R> {
    /// Reads and checks the superblock and the device table. `file` may go on behind the image, as a
    /// stitched disk does.
    pub fn open(file: R) -> Result<Self, ReadError> {
        let size_bytes = file.size_bytes()?;
        let mut block = [0; BLOCK_BYTES];
        if size_bytes < BLOCK {
            return Err(ReadError::Short { size_bytes, needed_bytes: BLOCK });
        }
        file.read_at(0, &mut block)?;
        if !superblock_checksum_ok(&block) {
            return Err(ReadError::Checksum);
        }
        let superblock = block[EROFS_SUPER_OFFSET..]
            .first_chunk::<SUPERBLOCK_BYTES>()
            .and_then(Superblock::decode)
            .ok_or(ReadError::Unsupported("superblock"))?;
        let needed_bytes = u64::from(superblock.blocks) * BLOCK;
        if size_bytes < needed_bytes {
            return Err(ReadError::Short { size_bytes, needed_bytes });
        }
        let devices = read_devices(&file, &superblock)?;
        Ok(Self { file, superblock, devices })
    }

    /// The superblock.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The device table: whose blocks follow this image on the disk, in this order. Empty for a layer.
    pub fn devices(&self) -> &[DeviceSlot] {
        &self.devices
    }

    /// Blocks of the disk that this image begins: its own, and behind them those of its devices.
    pub fn disk_blocks(&self) -> u32 {
        let last = self.devices.last();
        last.map_or(self.superblock.blocks, |last| last.uniaddr + last.blocks)
    }

    /// Whether the file goes on with the blocks of all devices, as a stitched disk does. An image without
    /// devices has its data itself.
    pub fn is_whole_disk(&self) -> Result<bool, ReadError> {
        Ok(self.file.size_bytes()? >= u64::from(self.disk_blocks()) * BLOCK)
    }

    /// Reads the whole tree. Of a layer image, files get `layer` as their layer and their first block as
    /// their address; of an fsmeta, the index of their device, and the block on it.
    pub fn tree(&self, layer: u16) -> Result<Tree, ReadError> {
        walk::read(self, layer)
    }

    /// The structures of the metadata, to be read one by one, up to `budget_bytes` of them.
    pub(super) fn structures(&self, budget_bytes: u64) -> Structures<'_, R> {
        Structures::new(&self.file, self.superblock, budget_bytes)
    }
}

/// Reads the device table, whose devices stand on the disk one behind the other.
fn read_devices(file: &impl ReadAt, superblock: &Superblock) -> Result<Vec<DeviceSlot>, ReadError> {
    let count = u64::from(superblock.extra_devices);
    let table = u64::from(DEVICE_TABLE_SLOT) * EROFS_DEVT_SLOT_SIZE as u64;
    let table_end = table + count * EROFS_DEVT_SLOT_SIZE as u64;
    if table_end > u64::from(superblock.meta_blkaddr.min(superblock.blocks)) * BLOCK {
        return Err(ReadError::Unsupported("device table"));
    }
    let mut devices = Vec::new();
    let mut end = superblock.blocks;
    for offset in (table..table_end).step_by(EROFS_DEVT_SLOT_SIZE) {
        let mut bytes = [0; EROFS_DEVT_SLOT_SIZE];
        file.read_at(offset, &mut bytes)?;
        let slot = DeviceSlot::decode(&bytes)
            .filter(|slot| slot.uniaddr == end)
            .ok_or(ReadError::Unsupported("device table"))?;
        end = end
            .checked_add(slot.blocks)
            .filter(|&end| end < EROFS_NULL_ADDR)
            .ok_or(ReadError::Unsupported("device table"))?;
        devices.push(slot);
    }
    Ok(devices)
}
