//! A tree's metadata as bytes: the second pass, over the places that the first one chose.

use std::io::{self, Write};

use crate::disk::erofs::error::Error;
use crate::disk::erofs::format::dirent::{DIRENT_BYTES, Dirent, file_type};
use crate::disk::erofs::format::inode::{
    DataLayout, Inode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, encode_device,
};
use crate::disk::erofs::format::superblock::Superblock;
use crate::disk::erofs::format::{BLOCK, BLOCK_BYTES, EROFS_NULL_ADDR, ROOT_NID, SLOT, xattr};
use crate::disk::erofs::layout::{Layout, Place};
use crate::disk::erofs::names::{Target, names};
use crate::layer::tree::{Content, Directory, DirectoryId, Kind, Node, Tree};
use crate::oci::digest::{DiffId, Hasher};

/// Writes the whole metadata area, which starts at `meta_blkaddr`. `first_block` answers the address of
/// a file that is not empty.
pub(super) fn write(
    layout: &Layout<'_>,
    meta_blkaddr: u32,
    first_block: impl Fn(&Content) -> Result<u32, Error>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut out = Counted { out, count: 0 };
    let mut head = Vec::new();
    for (serial, place) in layout.places.iter().enumerate() {
        let inode = inode(layout, serial, place, meta_blkaddr, &first_block)?;
        out.pad_to(u64::from(place.nid) * SLOT)?;
        head.clear();
        head.extend(&inode.encode()[..inode.form.size_bytes()]);
        xattr::encode(&layout.metadata(place.node).xattrs, &mut head);
        out.write_all(&head)?;
        if place.layout == DataLayout::FlatInline {
            let full_blocks = place.metadata_blocks();
            write_data(layout, place, full_blocks..u64::MAX, &mut out)?;
        }
    }
    for place in &layout.places {
        let full_blocks = place.metadata_blocks();
        if full_blocks > 0 {
            out.pad_to(u64::from(place.block) * BLOCK)?;
            write_data(layout, place, 0..full_blocks, &mut out)?;
        }
    }
    out.pad_to(u64::from(layout.blocks) * BLOCK)?;
    Ok(())
}

/// The superblock of an image with this metadata.
pub(super) fn superblock(
    layout: &Layout<'_>,
    meta_blkaddr: u32,
    blocks: u32,
    uuid: [u8; 16],
) -> Superblock {
    Superblock {
        inos: layout.places.len() as u64,
        epoch: layout.epoch,
        blocks,
        meta_blkaddr,
        root_nid: ROOT_NID,
        uuid,
        extra_devices: 0,
    }
}

/// A UUID that follows from the layers: version 8 of RFC 9562 over the first bytes of a SHA-256.
pub(super) fn uuid(
    domain: &str,
    diff_ids: impl IntoIterator<Item = DiffId>,
    end: &str,
) -> [u8; 16] {
    let mut hasher = Hasher::new();
    hasher.update(domain.as_bytes());
    for diff_id in diff_ids {
        hasher.update(diff_id.to_string().as_bytes());
        hasher.update(end.as_bytes());
    }
    let digest = hasher.finish();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest.as_bytes()[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn inode(
    layout: &Layout<'_>,
    serial: usize,
    place: &Place,
    meta_blkaddr: u32,
    first_block: impl Fn(&Content) -> Result<u32, Error>,
) -> Result<Inode, Error> {
    let metadata = layout.metadata(place.node);
    let area_bytes = xattr::area_bytes(&metadata.xattrs)?;
    let in_metadata = || match place.metadata_blocks() {
        0 => Ok(EROFS_NULL_ADDR),
        _ => meta_blkaddr.checked_add(place.block).ok_or(Error::Blocks("the image")),
    };
    let i_u = match place.node {
        Node::Directory(_) => in_metadata()?,
        Node::Inode(id) => match &layout.tree.inode(id).kind {
            Kind::File(content) if content.size_bytes == 0 => EROFS_NULL_ADDR,
            Kind::File(content) => first_block(content)?,
            Kind::Symlink(_) => in_metadata()?,
            Kind::CharDevice(device) | Kind::BlockDevice(device) => encode_device(*device)
                .ok_or(Error::Device { major: device.major, minor: device.minor })?,
            Kind::Fifo => 0,
        },
    };
    Ok(Inode {
        form: place.form,
        layout: place.layout,
        xattr_icount: xattr::icount(area_bytes),
        mode: type_of(layout.tree, place.node) | metadata.mode & 0o7777,
        nlink: place.nlink,
        size_bytes: layout.size_bytes(place),
        i_u,
        ino: u32::try_from(serial + 1).map_err(|_| Error::Blocks("the image"))?,
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: metadata.mtime,
    })
}

fn type_of(tree: &Tree, node: Node) -> u16 {
    match node {
        Node::Directory(_) => S_IFDIR,
        Node::Inode(id) => match tree.inode(id).kind {
            Kind::File(_) => S_IFREG,
            Kind::Symlink(_) => S_IFLNK,
            Kind::CharDevice(_) => S_IFCHR,
            Kind::BlockDevice(_) => S_IFBLK,
            Kind::Fifo => S_IFIFO,
        },
    }
}

/// Writes those blocks of a directory or a symlink whose index is in `blocks`.
fn write_data(
    layout: &Layout<'_>,
    place: &Place,
    blocks: std::ops::Range<u64>,
    out: &mut Counted<impl Write>,
) -> Result<(), Error> {
    match place.node {
        Node::Directory(id) => {
            let mut index = 0;
            for_each_block(layout, id, place, |block| {
                if blocks.contains(&index) {
                    out.write_all(block)?;
                }
                index += 1;
                Ok(())
            })?;
        }
        Node::Inode(id) => {
            if let Kind::Symlink(target) = &layout.tree.inode(id).kind {
                out.write_all(target)?;
            }
        }
    }
    Ok(())
}

/// Encodes a directory block by block. All but the last are full, padded with zeros.
fn for_each_block(
    layout: &Layout<'_>,
    id: DirectoryId,
    place: &Place,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let directory: &Directory = layout.tree.directory(id);
    let mut entries: Vec<(&[u8], &Place)> = Vec::new();
    let mut used_bytes = 0;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    for (name, target) in names(directory) {
        let entry_bytes = DIRENT_BYTES + name.len();
        if used_bytes + entry_bytes > BLOCK_BYTES {
            encode_block(layout, &entries, &mut block);
            block.resize(BLOCK_BYTES, 0);
            each(&block)?;
            entries.clear();
            used_bytes = 0;
        }
        used_bytes += entry_bytes;
        entries.push((
            name,
            match target {
                Target::Itself => place,
                Target::Parent => &layout.places[place.parent as usize],
                Target::Node(node) => layout.place_of(node),
            },
        ));
    }
    encode_block(layout, &entries, &mut block);
    each(&block)
}

fn encode_block(layout: &Layout<'_>, entries: &[(&[u8], &Place)], block: &mut Vec<u8>) {
    block.clear();
    let mut nameoff = entries.len() * DIRENT_BYTES;
    for (name, place) in entries {
        let dirent = Dirent {
            nid: u64::from(place.nid),
            nameoff: u16::try_from(nameoff).expect("names start inside a block"),
            file_type: file_type(type_of(layout.tree, place.node)),
        };
        block.extend(dirent.encode());
        nameoff += name.len();
    }
    for (name, _) in entries {
        block.extend(*name);
    }
}

/// A writer that knows how far it has come.
struct Counted<'a, W> {
    out: &'a mut W,
    count: u64,
}

impl<W: Write> Counted<'_, W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.count += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Writes zeros up to an offset that is not behind; less than a block of them.
    fn pad_to(&mut self, offset_bytes: u64) -> io::Result<()> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let gap_bytes = usize::try_from(offset_bytes - self.count).map_err(io::Error::other)?;
        self.write_all(&ZEROS[..gap_bytes])
    }
}
