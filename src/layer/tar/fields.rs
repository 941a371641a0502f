//! What a header's fields mean for an entry.

use crate::layer::entry::EntryKind;
use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::header::Header;
use crate::layer::tar::pax::Pax;
use crate::layer::tree::{Device, Metadata, Timestamp};

/// Linux's largest device numbers (`include/linux/kdev_t.h`): 12 and 20 bits.
const DEVICE_MAX: Device = Device { major: (1 << 12) - 1, minor: (1 << 20) - 1 };

/// What a typeflag stands for. Old tars tell a directory from a file by its name alone.
pub(super) fn kind_of(typeflag: u8, path: &[u8]) -> Result<EntryKind, TarErrorKind> {
    Ok(match typeflag {
        0 if path.ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        unknown => return Err(TarErrorKind::Typeflag(unknown)),
    })
}

pub(super) fn natural(size: i64) -> Result<u64, TarErrorKind> {
    u64::try_from(size).map_err(|_| TarErrorKind::NegativeSize(size))
}

pub(super) fn metadata(header: &Header<'_>, pax: Pax) -> Result<Metadata, TarErrorKind> {
    let owner =
        |field, value| u32::try_from(value).map_err(|_| TarErrorKind::Owner { field, value });
    Ok(Metadata {
        mode: permissions(header.mode),
        uid: owner("uid", pax.uid.unwrap_or(header.uid))?,
        gid: owner("gid", pax.gid.unwrap_or(header.gid))?,
        mtime: pax.mtime.unwrap_or(Timestamp { seconds: header.mtime, nanoseconds: 0 }),
        xattrs: pax.xattrs,
    })
}

/// The low twelve bits; some tars have the file's type above them.
fn permissions(mode: i64) -> u16 {
    let [.., high, low] = mode.to_be_bytes();
    u16::from_be_bytes([high, low]) & 0o7777
}

pub(super) fn device(header: &Header<'_>) -> Result<Device, TarErrorKind> {
    let (major, minor) = (header.device_major, header.device_minor);
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) if major <= DEVICE_MAX.major && minor <= DEVICE_MAX.minor => {
            Ok(Device { major, minor })
        }
        _ => Err(TarErrorKind::Device { major, minor }),
    }
}
