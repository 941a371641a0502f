//! How a file of the store gets into a cache: by a second name, by shared blocks, or byte for byte.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use crate::disk::erofs::portable::Patch;
use crate::engine::raw::copy_data;
use crate::oci::digest::{Digest, Hasher};
use crate::publish::error::Error;
use crate::publish::folder::{Folder, Part};
use crate::publish::microsandbox::Published;
use crate::store::stored::StoredFile;

/// Bytes that are hashed at once.
const BUFFER_BYTES: u64 = 1 << 20;

/// Gives the store's file a second name, or copies it where that cannot be.
pub(super) fn put(
    stored: &StoredFile,
    folder: &Folder,
    name: &str,
    published: &mut Published,
) -> Result<(), Error> {
    if folder.link(stored, name)? {
        published.linked += 1;
        return folder.sync();
    }
    published.copied += 1;
    copy_of(stored, folder, name, &[])?.seal()
}

/// A copy of the store's file with `patches` over it, not finished. It shares blocks with the store's where
/// the file system can.
pub(super) fn copy_of<'f>(
    stored: &StoredFile,
    folder: &'f Folder,
    name: &str,
    patches: &[Patch],
) -> Result<Part<'f>, Error> {
    let mut part = folder.part(name)?;
    let size_bytes = stored.record().size_bytes;
    part.fill(|file| {
        if rustix::fs::ioctl_ficlone(&*file, stored.as_fd()).is_err() {
            file.set_len(size_bytes)?;
            copy_data(stored, size_bytes, file, 0)?;
        }
        patches.iter().try_for_each(|patch| file.write_all_at(&patch.bytes, patch.offset_bytes))
    })?;
    Ok(part)
}

/// The digest of what was written so far.
pub(super) fn digest_of_part(part: &Part<'_>, size_bytes: u64) -> Result<Digest, Error> {
    part.read(|file| hashed(size_bytes, |offset, buffer| file.read_exact_at(buffer, offset)))
}

fn hashed(size_bytes: u64, read: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = Vec::new();
    let mut offset = 0;
    while offset < size_bytes {
        let count = (size_bytes - offset).min(BUFFER_BYTES);
        buffer.resize(usize::try_from(count).map_err(io::Error::other)?, 0);
        read(offset, &mut buffer)?;
        hasher.update(&buffer);
        offset += count;
    }
    Ok(hasher.finish())
}
