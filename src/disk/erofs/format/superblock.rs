//! `struct erofs_super_block` at byte 1024 of block 0, `struct erofs_deviceslot` behind it, and the
//! checksum over both.

use std::fmt;

use crate::disk::erofs::format::{BLOCK_BITS, BLOCK_BYTES, field, put, u16_at, u32_at, u64_at};
use crate::layer::tree::Timestamp;
use crate::oci::digest::Digest;

/// `EROFS_SUPER_MAGIC_V1`.
pub const EROFS_SUPER_MAGIC_V1: u32 = 0xE0F5_E1E2;
/// `EROFS_SUPER_OFFSET`: where the superblock starts in the image.
pub const EROFS_SUPER_OFFSET: usize = 1024;
/// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: the checksum field counts.
pub const EROFS_FEATURE_COMPAT_SB_CHKSUM: u32 = 0x1;
/// `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE`: data lies on further devices.
pub const EROFS_FEATURE_INCOMPAT_DEVICE_TABLE: u32 = 0x8;
/// Bytes of the superblock.
pub const SUPERBLOCK_BYTES: usize = 128;
/// Bytes of a device slot, which is also the unit of `devt_slotoff` (`EROFS_DEVT_SLOT_SIZE`).
pub const EROFS_DEVT_SLOT_SIZE: usize = 128;
/// `devt_slotoff` of the images written here: right behind the superblock.
pub const DEVICE_TABLE_SLOT: u16 = 9;

/// The superblock's fields that are not always the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Number of inodes.
    pub inos: u64,
    /// `epoch` and `fixed_nsec`: the time of every compact inode.
    pub epoch: Timestamp,
    /// Length of the image in blocks, further devices not counted.
    pub blocks: u32,
    /// Block from which inode numbers count.
    pub meta_blkaddr: u32,
    /// `root_nid`: the root's place from there, in slots of 32 bytes.
    pub root_nid: u16,
    /// Identity of the content, for overlayfs and `blkid`.
    pub uuid: [u8; 16],
    /// Number of slots in the device table; 0 means that there is none.
    pub extra_devices: u16,
}

impl Superblock {
    /// The 128 bytes, with a checksum of 0.
    pub fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        put(&mut bytes, 0, EROFS_SUPER_MAGIC_V1.to_le_bytes());
        put(&mut bytes, 8, EROFS_FEATURE_COMPAT_SB_CHKSUM.to_le_bytes());
        put(&mut bytes, 12, [BLOCK_BITS]);
        put(&mut bytes, 14, self.root_nid.to_le_bytes());
        put(&mut bytes, 16, self.inos.to_le_bytes());
        put(&mut bytes, 24, self.epoch.seconds.to_le_bytes());
        put(&mut bytes, 32, self.epoch.nanoseconds.to_le_bytes());
        put(&mut bytes, 36, self.blocks.to_le_bytes());
        put(&mut bytes, 40, self.meta_blkaddr.to_le_bytes());
        put(&mut bytes, 48, self.uuid);
        if self.extra_devices > 0 {
            put(&mut bytes, 80, EROFS_FEATURE_INCOMPAT_DEVICE_TABLE.to_le_bytes());
            put(&mut bytes, 86, self.extra_devices.to_le_bytes());
            put(&mut bytes, 88, DEVICE_TABLE_SLOT.to_le_bytes());
        }
        bytes
    }

    /// Reads the superblock of an image like those written here; any other is `None`. The checksum is
    /// not looked at: see [`superblock_checksum_ok`].
    pub fn decode(bytes: &[u8; SUPERBLOCK_BYTES]) -> Option<Self> {
        let superblock = Self {
            inos: u64_at(bytes, 16),
            epoch: Timestamp {
                seconds: i64::from_le_bytes(field(bytes, 24)),
                nanoseconds: u32_at(bytes, 32),
            },
            blocks: u32_at(bytes, 36),
            meta_blkaddr: u32_at(bytes, 40),
            root_nid: u16_at(bytes, 14),
            uuid: field(bytes, 48),
            extra_devices: u16_at(bytes, 86),
        };
        let mut without_checksum = *bytes;
        put(&mut without_checksum, 4, [0; 4]);
        (superblock.encode() == without_checksum
            && superblock.epoch.nanoseconds < 1_000_000_000
            && superblock.uuid != [0; 16])
            .then_some(superblock)
    }
}

impl fmt::Debug for Superblock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timestamp { seconds, nanoseconds } = self.epoch;
        let uuid = u128::from_be_bytes(self.uuid);
        f.debug_struct("Superblock")
            .field("inos", &self.inos)
            .field("epoch", &format_args!("{seconds}.{nanoseconds:09}"))
            .field("blocks", &self.blocks)
            .field("meta_blkaddr", &self.meta_blkaddr)
            .field("root_nid", &self.root_nid)
            .field("uuid", &format_args!("{uuid:032x}"))
            .field("extra_devices", &self.extra_devices)
            .finish()
    }
}

/// One further device, which holds the data blocks of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSlot {
    /// `tag`: whose blocks they are, as 64 hex digits on the disk.
    pub tag: Digest,
    /// Length of the device in blocks.
    pub blocks: u32,
    /// `uniaddr`: its first block on the stitched disk.
    pub uniaddr: u32,
}

impl DeviceSlot {
    /// The 128 bytes.
    pub fn encode(&self) -> [u8; EROFS_DEVT_SLOT_SIZE] {
        let mut bytes = [0; EROFS_DEVT_SLOT_SIZE];
        bytes[..64].copy_from_slice(self.tag.hex().as_bytes());
        put(&mut bytes, 64, self.blocks.to_le_bytes());
        put(&mut bytes, 68, self.uniaddr.to_le_bytes());
        bytes
    }

    /// Reads a slot like those written here; any other is `None`.
    pub fn decode(bytes: &[u8; EROFS_DEVT_SLOT_SIZE]) -> Option<Self> {
        let slot = Self {
            tag: Digest::from_hex(str::from_utf8(&bytes[..64]).ok()?).ok()?,
            blocks: u32_at(bytes, 64),
            uniaddr: u32_at(bytes, 68),
        };
        (slot.encode() == *bytes).then_some(slot)
    }
}

/// Stores the checksum of a finished block 0.
pub fn seal(block: &mut [u8; BLOCK_BYTES]) {
    put(block, EROFS_SUPER_OFFSET + 4, [0; 4]);
    let checksum = checksum(block);
    put(block, EROFS_SUPER_OFFSET + 4, checksum.to_le_bytes());
}

/// Whether the first 4 KiB of an image hold a superblock with the right checksum: a test in one read
/// that a file is complete, since block 0 is written last.
pub fn superblock_checksum_ok(block: &[u8]) -> bool {
    let Ok(mut block) = <[u8; BLOCK_BYTES]>::try_from(block) else {
        return false;
    };
    let stored = u32_at(&block, EROFS_SUPER_OFFSET + 4);
    put(&mut block, EROFS_SUPER_OFFSET + 4, [0; 4]);
    u32_at(&block, EROFS_SUPER_OFFSET) == EROFS_SUPER_MAGIC_V1 && checksum(&block) == stored
}

/// CRC32C with seed `!0` and without the final inversion, over the block from the superblock on.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u32 {
    !crc32c::crc32c(&block[EROFS_SUPER_OFFSET..])
}
