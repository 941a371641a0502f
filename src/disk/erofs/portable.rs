//! A layer image for readers that know fewer extended attributes: the same image, changed in place.
//!
//! microsandbox's reader of layer images takes an inode with a POSIX ACL for damaged, and its writer places
//! what it rebuilds wrongly behind a file whose attributes do not end on a multiple of 8 bytes. Both are
//! taken out here. Each inode keeps its place and each file its blocks, and so does whatever refers to
//! them: what changes are the bytes between an inode and the next one.

use std::collections::{BTreeSet, VecDeque};

use crate::disk::erofs::format::inode::{DataLayout, Inode, S_IFDIR, S_IFMT, S_IFREG};
use crate::disk::erofs::format::{BLOCK, METADATA_BYTES_MAX, SLOT, blocks_of, xattr};
use crate::disk::erofs::reader::error::ReadError;
use crate::disk::erofs::reader::{Image, Structures, entries};
use crate::disk::file::ReadAt;
use crate::layer::overlay::LINK;
use crate::layer::tree::Xattrs;

/// Attributes that such a reader has no name for.
const ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// What the attributes of a regular file must end on.
const AREA_ALIGN: usize = 8;

/// What has to change in a layer image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portable {
    /// What to write over the image, where nothing overlaps; nothing for most layers.
    pub patches: Vec<Patch>,
    /// Whether a file stands for one in a lower layer, which no such reader knows.
    pub has_lower_links: bool,
}

/// Bytes to be written over those of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Where.
    pub offset_bytes: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// Says what has to change in the layer image `image`.
pub fn portable<R: ReadAt>(image: &Image<R>) -> Result<Portable, ReadError> {
    // Reading the whole tree first proves that directories have one name each and metadata is limited.
    image.tree(0)?;
    let superblock = image.superblock();
    let budget_bytes = (u64::from(superblock.blocks) * BLOCK).min(METADATA_BYTES_MAX);
    let root = u64::from(superblock.root_nid);
    let mut reading = Reading {
        structures: image.structures(budget_bytes),
        metadata_start: u64::from(superblock.meta_blkaddr) * BLOCK,
        seen: BTreeSet::from([root]),
        waiting: VecDeque::from([root]),
        portable: Portable::default(),
    };
    while let Some(nid) = reading.waiting.pop_front() {
        reading.inode(nid)?;
    }
    Ok(reading.portable)
}

struct Reading<'a, R> {
    structures: Structures<'a, R>,
    metadata_start: u64,
    seen: BTreeSet<u64>,
    waiting: VecDeque<u64>,
    portable: Portable,
}

impl<R: ReadAt> Reading<'_, R> {
    fn inode(&mut self, nid: u64) -> Result<(), ReadError> {
        let inode = self.structures.inode(nid)?;
        let xattrs = self.structures.xattrs(nid, &inode)?;
        self.portable.has_lower_links |= xattrs.contains_key(LINK);
        let kept = kept(&inode, &xattrs);
        let mut block = Vec::new();
        if inode.mode & S_IFMT == S_IFDIR {
            for index in 0..blocks_of(inode.size_bytes) {
                self.structures.data_block(nid, &inode, index, &mut block)?;
                self.children(nid, &block)?;
            }
        }
        if kept.len() < xattrs.len() {
            if inode.layout == DataLayout::FlatInline {
                let last = inode.size_bytes / BLOCK;
                self.structures.data_block(nid, &inode, last, &mut block)?;
            } else {
                block.clear();
            }
            let offset_bytes = self.metadata_start + nid * SLOT;
            let bytes = rewritten(inode, &kept, &block);
            self.portable.patches.push(Patch { offset_bytes, bytes });
        }
        Ok(())
    }

    fn children(&mut self, nid: u64, block: &[u8]) -> Result<(), ReadError> {
        let children = entries(block).map_err(|problem| ReadError::Inode { nid, problem })?;
        for (_, dirent) in children {
            if self.seen.insert(dirent.nid) {
                self.waiting.push_back(dirent.nid);
            }
        }
        Ok(())
    }
}

/// Those of the attributes that every reader reads rightly.
fn kept(inode: &Inode, xattrs: &Xattrs) -> Xattrs {
    let mut kept = xattrs.clone();
    kept.retain(|name, _| !ACLS.contains(&&**name));
    let area_bytes = xattr::area_bytes(&kept).unwrap_or_default();
    if inode.mode & S_IFMT == S_IFREG && !area_bytes.is_multiple_of(AREA_ALIGN) {
        kept.clear();
    }
    kept
}

/// The inode with fewer attributes, its inline data behind them, and zeros up to where these ended.
fn rewritten(mut inode: Inode, kept: &Xattrs, inline: &[u8]) -> Vec<u8> {
    let head_bytes = inode.form.size_bytes();
    let end = head_bytes + xattr::area_bytes_of(inode.xattr_icount) + inline.len();
    let area_bytes = xattr::area_bytes(kept).expect("fewer attributes than were read fit");
    inode.xattr_icount = xattr::icount(area_bytes);
    let mut bytes = inode.encode()[..head_bytes].to_vec();
    xattr::encode(kept, &mut bytes);
    bytes.extend(inline);
    bytes.resize(end, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::erofs::layer::LayerWriter;
    use crate::disk::file::BlockFile as _;
    use crate::layer::entry::DataSink;
    use crate::layer::tree::{
        Content, DirectoryId, Inode as TreeInode, Kind, Metadata, Node, Tree,
    };
    use crate::oci::digest::{DiffId, Digest};

    fn with(xattrs: &[(&[u8], &[u8])]) -> Metadata {
        let xattrs = xattrs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Metadata { xattrs: xattrs.collect(), ..Metadata::implied() }
    }

    /// An image with a directory, a file of `content` and a symbolic link, all with these attributes.
    fn image_of(xattrs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut writer = LayerWriter::new(Vec::new()).unwrap();
        writer.write(0, b"content").unwrap();
        let content =
            Content { size_bytes: 7, layer: 0, address: DataSink::finish(&mut writer, 7).unwrap() };
        let mut tree = Tree::new(with(xattrs));
        let directory = Node::Directory(tree.add_directory(with(xattrs)));
        let mut insert = |name: &[u8], kind: Kind| {
            let inode = tree.add_inode(TreeInode { metadata: with(xattrs), kind });
            tree.insert(DirectoryId::ROOT, name.into(), Node::Inode(inode));
        };
        insert(b"file", Kind::File(content));
        insert(b"link", Kind::Symlink((*b"target").into()));
        tree.insert(DirectoryId::ROOT, (*b"directory").into(), directory);
        LayerWriter::finish(writer, &tree, DiffId(Digest::of("layer"))).unwrap().0
    }

    fn patched(mut image: Vec<u8>) -> Vec<u8> {
        let Portable { patches, .. } = portable(&Image::open(&image).unwrap()).unwrap();
        for Patch { offset_bytes, bytes } in patches {
            image.write_at(offset_bytes, &bytes).unwrap();
        }
        image
    }

    /// What is left of the attributes of the root and of the file, after [`patched`].
    fn left(xattrs: &[(&[u8], &[u8])]) -> [Vec<String>; 2] {
        let (before, after) = (image_of(xattrs), patched(image_of(xattrs)));
        assert_eq!(after.len(), before.len());
        assert_eq!(after[..8192], before[..8192], "superblock and file data stay");
        let tree = Image::open(&after).unwrap().tree(0).unwrap();
        let names = |metadata: &Metadata| {
            metadata.xattrs.keys().map(|name| String::from_utf8_lossy(name).into()).collect()
        };
        let root = tree.directory(DirectoryId::ROOT);
        let Node::Inode(file) = root.entries[&b"file"[..]] else { panic!("it is a file") };
        let Node::Inode(link) = root.entries[&b"link"[..]] else { panic!("it is a link") };
        assert_eq!(tree.inode(link).kind, Kind::Symlink((*b"target").into()));
        [names(&root.metadata), names(&tree.inode(file).metadata)]
    }

    #[test]
    fn an_image_that_every_reader_reads_is_not_changed() {
        let image = image_of(&[(b"user.a", b"1234567")]);
        let found = portable(&Image::open(&image).unwrap()).unwrap();
        assert_eq!(found, Portable::default());
    }

    #[test]
    fn acls_go_and_what_is_beside_them_stays_where_it_was() {
        let kept = ["user.a".to_owned()];
        let acl: (&[u8], &[u8]) = (ACLS[0], b"\x02\0\0\0");
        assert_eq!(left(&[acl, (b"user.a", b"1234567")]), [kept.to_vec(), kept.to_vec()]);
        assert_eq!(left(&[acl, (ACLS[1], b"")]), [Vec::<String>::new(), vec![]]);
    }

    #[test]
    fn a_file_whose_attributes_end_oddly_has_none_and_others_keep_theirs() {
        let odd: &[(&[u8], &[u8])] = &[(b"user.a", b"123")];
        assert_eq!(xattr::area_bytes(&with(odd).xattrs).unwrap() % AREA_ALIGN, 4);
        assert_eq!(left(odd), [vec!["user.a".to_owned()], vec![]]);
    }

    #[test]
    fn a_link_into_a_lower_layer_is_found() {
        let image = image_of(&[(LINK, b"/bin/tool")]);
        assert!(portable(&Image::open(&image).unwrap()).unwrap().has_lower_links);
    }
}
