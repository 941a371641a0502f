//! `struct erofs_inode_compact` and `struct erofs_inode_extended`.

use std::fmt;

use crate::disk::erofs::format::{field, put, u16_at, u32_at, u64_at};
use crate::layer::tree::{Device, Timestamp};

/// `S_IFMT`: the part of a mode that says what an inode is.
pub const S_IFMT: u16 = 0o170_000;
/// A named pipe.
pub const S_IFIFO: u16 = 0o010_000;
/// A character device.
pub const S_IFCHR: u16 = 0o020_000;
/// A directory.
pub const S_IFDIR: u16 = 0o040_000;
/// A block device.
pub const S_IFBLK: u16 = 0o060_000;
/// A regular file.
pub const S_IFREG: u16 = 0o100_000;
/// A symbolic link.
pub const S_IFLNK: u16 = 0o120_000;

/// Bytes of the longer of the two forms.
pub const EXTENDED_BYTES: usize = 64;
/// Bytes of the shorter one.
pub const COMPACT_BYTES: usize = 32;

/// Which of the two structures an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 32 bytes: 16-bit owners and link count, 32-bit size, the superblock's time.
    Compact,
    /// 64 bytes, with everything in full.
    Extended,
}

impl Form {
    /// Its length on the disk.
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::Compact => COMPACT_BYTES,
            Self::Extended => EXTENDED_BYTES,
        }
    }
}

/// Where an inode's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataLayout {
    /// `EROFS_INODE_FLAT_PLAIN`: in consecutive blocks.
    FlatPlain,
    /// `EROFS_INODE_FLAT_INLINE`: the last, partial block lies behind the inode.
    FlatInline,
}

/// An inode's fields, without extended attributes and data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    /// Compact or extended.
    pub form: Form,
    /// Where the data is.
    pub layout: DataLayout,
    /// `i_xattr_icount`, see [`xattr`](super::xattr).
    pub xattr_icount: u16,
    /// Type and permissions.
    pub mode: u16,
    /// Number of names; of a directory, 2 and the number of its subdirectories.
    pub nlink: u32,
    /// Length of the data.
    pub size_bytes: u64,
    /// `i_u`: first block of the data, or a device's number.
    pub i_u: u32,
    /// `i_ino`: the place in breadth-first order, from 1.
    pub ino: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last modification; of a compact inode, the superblock's.
    pub mtime: Timestamp,
}

impl Inode {
    /// The structure's bytes, of which the first [`Form::size_bytes`] count.
    ///
    /// A compact inode keeps the low bits of what it has too little room for: the caller has made sure
    /// that nothing is lost.
    pub fn encode(&self) -> [u8; EXTENDED_BYTES] {
        let mut bytes = [0; EXTENDED_BYTES];
        let version = u16::from(self.form == Form::Extended);
        let layout = match self.layout {
            DataLayout::FlatPlain => 0,
            DataLayout::FlatInline => 2,
        };
        put(&mut bytes, 0, (version | layout << 1).to_le_bytes());
        put(&mut bytes, 2, self.xattr_icount.to_le_bytes());
        put(&mut bytes, 4, self.mode.to_le_bytes());
        put(&mut bytes, 16, self.i_u.to_le_bytes());
        put(&mut bytes, 20, self.ino.to_le_bytes());
        match self.form {
            Form::Compact => {
                put(&mut bytes, 6, low_half(self.nlink));
                put(&mut bytes, 8, field::<4>(&self.size_bytes.to_le_bytes(), 0));
                put(&mut bytes, 24, low_half(self.uid));
                put(&mut bytes, 26, low_half(self.gid));
            }
            Form::Extended => {
                put(&mut bytes, 8, self.size_bytes.to_le_bytes());
                put(&mut bytes, 24, self.uid.to_le_bytes());
                put(&mut bytes, 28, self.gid.to_le_bytes());
                put(&mut bytes, 32, self.mtime.seconds.to_le_bytes());
                put(&mut bytes, 40, self.mtime.nanoseconds.to_le_bytes());
                put(&mut bytes, 44, self.nlink.to_le_bytes());
            }
        }
        bytes
    }

    /// The form of the inode that starts with these bytes, if it is one that is written here.
    pub fn form_of(first: &[u8; 2]) -> Option<Form> {
        match u16::from_le_bytes(*first) {
            0 | 4 => Some(Form::Compact),
            1 | 5 => Some(Form::Extended),
            _ => None,
        }
    }

    /// Reads an inode like those written here; any other is `None`. `bytes` has the length of its form,
    /// `epoch` is the superblock's.
    pub fn decode(bytes: &[u8], epoch: Timestamp) -> Option<Self> {
        let form = Self::form_of(&field(bytes.get(..2)?, 0))?;
        let bytes = bytes.get(..form.size_bytes())?;
        let mut inode = Self {
            form,
            layout: match u16_at(bytes, 0) >> 1 {
                0 => DataLayout::FlatPlain,
                _ => DataLayout::FlatInline,
            },
            xattr_icount: u16_at(bytes, 2),
            mode: u16_at(bytes, 4),
            nlink: u32::from(u16_at(bytes, 6)),
            size_bytes: u64::from(u32_at(bytes, 8)),
            i_u: u32_at(bytes, 16),
            ino: u32_at(bytes, 20),
            uid: u32::from(u16_at(bytes, 24)),
            gid: u32::from(u16_at(bytes, 26)),
            mtime: epoch,
        };
        if form == Form::Extended {
            inode.nlink = u32_at(bytes, 44);
            inode.size_bytes = u64_at(bytes, 8);
            inode.uid = u32_at(bytes, 24);
            inode.gid = u32_at(bytes, 28);
            inode.mtime = Timestamp {
                seconds: i64::from_le_bytes(field(bytes, 32)),
                nanoseconds: u32_at(bytes, 40),
            };
        }
        (inode.encode()[..form.size_bytes()] == *bytes && inode.mtime.nanoseconds < 1_000_000_000)
            .then_some(inode)
    }
}

fn low_half(value: u32) -> [u8; 2] {
    field(&value.to_le_bytes(), 0)
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timestamp { seconds, nanoseconds } = self.mtime;
        f.debug_struct("Inode")
            .field("form", &self.form)
            .field("layout", &self.layout)
            .field("xattr_icount", &self.xattr_icount)
            .field("mode", &format_args!("{:06o}", self.mode))
            .field("nlink", &self.nlink)
            .field("size_bytes", &self.size_bytes)
            .field("i_u", &format_args!("{:#x}", self.i_u))
            .field("ino", &self.ino)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("mtime", &format_args!("{seconds}.{nanoseconds:09}"))
            .finish()
    }
}

/// A device's number as the kernel's `new_encode_dev` packs it; `None` beyond 12 and 20 bits.
pub fn encode_device(device: Device) -> Option<u32> {
    let Device { major, minor } = device;
    (major < 1 << 12 && minor < 1 << 20)
        .then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// The number that [`encode_device`] packed.
pub const fn decode_device(packed: u32) -> Device {
    Device { major: (packed >> 8) & 0xfff, minor: (packed & 0xff) | ((packed >> 12) & 0xf_ff00) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_packed_as_the_kernel_does() {
        let device = |major, minor| Device { major, minor };
        assert_eq!(encode_device(device(8, 1)), Some(0x801));
        assert_eq!(encode_device(device(0xabc, 0xd_ef12)), Some(0xdef_abc12));
        assert_eq!(decode_device(0xdef_abc12), device(0xabc, 0xd_ef12));
        assert_eq!(encode_device(device(0x1000, 0)), None);
        assert_eq!(encode_device(device(0, 0x10_0000)), None);
    }

    #[test]
    fn an_inode_of_either_form_is_read_back_and_a_changed_one_is_not() {
        let epoch = Timestamp { seconds: -2, nanoseconds: 5 };
        let inode = |form| Inode {
            form,
            layout: DataLayout::FlatInline,
            xattr_icount: 3,
            mode: S_IFLNK | 0o777,
            nlink: 65_535,
            size_bytes: 6,
            i_u: u32::MAX,
            ino: 9,
            uid: 65_535,
            gid: 1,
            mtime: epoch,
        };
        for form in [Form::Compact, Form::Extended] {
            let bytes = inode(form).encode();
            let bytes = &bytes[..form.size_bytes()];
            assert_eq!(Inode::decode(bytes, epoch), Some(inode(form)));
            assert_eq!(Inode::decode(&bytes[1..], epoch), None);
            for reserved in [1, form.size_bytes() - 1] {
                let mut changed = bytes.to_vec();
                changed[reserved] = 1;
                assert_eq!(Inode::decode(&changed, epoch), None, "byte {reserved}");
            }
        }
    }
}
