//! Trees to be written, built by path, with their files' bytes streamed into layer images on the way.

use sandbox_images::disk::erofs::fsmeta::{self, Fsmeta};
use sandbox_images::disk::erofs::layer::{LayerImage, LayerWriter};
use sandbox_images::layer::entry::DataSink;
use sandbox_images::layer::tree::{
    Content, Device, DirectoryId, Inode, Kind, Metadata, Node, Timestamp, Tree,
};
use sandbox_images::oci::digest::{DiffId, Digest};

/// A tree that is growing, and the layers that its files lie in.
#[derive(Debug)]
pub(crate) struct Sample {
    writers: Vec<LayerWriter<Vec<u8>>>,
    pub(crate) tree: Tree,
}

/// An fsmeta and all layer images of its stack.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) tree: Tree,
    pub(crate) fsmeta: Vec<u8>,
    pub(crate) facts: Fsmeta,
    pub(crate) layers: Vec<LayerImage>,
    pub(crate) images: Vec<Vec<u8>>,
}

/// Mode, owner 0:0 and a time in seconds.
pub(crate) fn meta(mode: u16, seconds: i64) -> Metadata {
    Metadata { mode, mtime: Timestamp { seconds, nanoseconds: 0 }, ..Metadata::default() }
}

/// The `diff_id` of the layer at `index` of any stack.
pub(crate) fn diff_id(index: usize) -> DiffId {
    DiffId(Digest::of(format!("layer {index}")))
}

impl Sample {
    /// A root directory, and `layers` empty layers.
    pub(crate) fn new(layers: usize) -> Self {
        let writer = |_| LayerWriter::new(Vec::new()).unwrap();
        Self { writers: (0..layers).map(writer).collect(), tree: Tree::new(meta(0o755, 1)) }
    }

    pub(crate) fn directory(&mut self, path: &[u8], metadata: Metadata) -> DirectoryId {
        let id = self.tree.add_directory(metadata);
        self.name(path, Node::Directory(id));
        id
    }

    pub(crate) fn add(&mut self, path: &[u8], metadata: Metadata, kind: Kind) {
        let id = self.tree.add_inode(Inode { metadata, kind });
        self.name(path, Node::Inode(id));
    }

    pub(crate) fn file(&mut self, layer: u16, path: &[u8], metadata: Metadata, bytes: &[u8]) {
        let kind = Kind::File(self.content(layer, bytes));
        self.add(path, metadata, kind);
    }

    pub(crate) fn symlink(&mut self, path: &[u8], target: &[u8]) {
        self.add(path, meta(0o777, 1), Kind::Symlink(target.into()));
    }

    pub(crate) fn link(&mut self, path: &[u8], target: &[u8]) {
        let node = self.find(target);
        self.name(path, node);
    }

    /// Streams a file's bytes in two parts.
    pub(crate) fn content(&mut self, layer: u16, bytes: &[u8]) -> Content {
        let writer = &mut self.writers[usize::from(layer)];
        if bytes.is_empty() {
            return Content::default();
        }
        let (first, second) = bytes.split_at(bytes.len() / 3);
        writer.write(0, first).unwrap();
        writer.write(first.len() as u64, second).unwrap();
        let size_bytes = bytes.len() as u64;
        let address = writer.finish(size_bytes).unwrap();
        Content { size_bytes, layer, address }
    }

    fn name(&mut self, path: &[u8], node: Node) {
        let mut parts = path.rsplitn(2, |&byte| byte == b'/');
        let name = parts.next().unwrap();
        let parent = match parts.next().map(|parent| self.find(parent)) {
            None => DirectoryId::ROOT,
            Some(Node::Directory(id)) => id,
            Some(Node::Inode(_)) => panic!("a file has no children"),
        };
        assert_eq!(self.tree.insert(parent, name.into(), node), None);
    }

    fn find(&self, path: &[u8]) -> Node {
        path.split(|&byte| byte == b'/').fold(Node::Directory(DirectoryId::ROOT), |node, name| {
            match node {
                Node::Directory(id) => self.tree.directory(id).entries[name],
                Node::Inode(_) => panic!("a file has no children"),
            }
        })
    }

    /// The image of the only layer, with the whole tree.
    pub(crate) fn layer_image(self) -> (Tree, Vec<u8>, LayerImage) {
        let writer = self.writers.into_iter().next().unwrap();
        let (bytes, image) = writer.finish(&self.tree, diff_id(0)).unwrap();
        assert_eq!(bytes.len(), image.blocks as usize * 4096);
        (self.tree, bytes, image)
    }

    /// The fsmeta of the tree, over layers whose own trees are empty.
    pub(crate) fn stack(self) -> Stack {
        let empty = Tree::new(meta(0o755, 1));
        let (images, layers): (Vec<_>, Vec<_>) = self
            .writers
            .into_iter()
            .enumerate()
            .map(|(index, writer)| writer.finish(&empty, diff_id(index)).unwrap())
            .unzip();
        let mut fsmeta = Vec::new();
        let facts = fsmeta::write(&self.tree, &layers, &mut fsmeta).unwrap();
        assert_eq!(fsmeta.len(), facts.blocks as usize * 4096);
        Stack { tree: self.tree, fsmeta, facts, layers, images }
    }
}

impl Stack {
    /// The layer images in the order of the device table.
    pub(crate) fn devices(&self) -> Vec<Vec<u8>> {
        let image = |&index: &usize| self.images[index].clone();
        self.facts.devices.iter().map(image).collect()
    }

    /// The whole disk in one piece.
    pub(crate) fn disk(&self) -> Vec<u8> {
        [vec![self.fsmeta.clone()], self.devices()].concat().concat()
    }
}

/// One of everything that is hard: names around `.`, sizes around a block, long targets, owners beyond 16
/// bits, times before 1970, links, devices, attributes, directories that end with a block.
pub(crate) fn everything(layers: u16) -> Sample {
    let mut sample = Sample::new(usize::from(layers));
    let root = sample.tree.directory_mut(DirectoryId::ROOT);
    root.metadata.xattrs.insert((*b"user.root").into(), (*b"yes").into());
    sample.directory(b"tmp", meta(0o1777, 5));
    sample.directory(b"names", meta(0o755, 5));
    let names: [&[u8]; 7] = [b"!a", b"-", b"...", b".-", b".a", &[b'n'; 255], &[0x80, 0xff]];
    for name in names {
        let path = [b"names/", name].concat();
        sample.file(0, &path, meta(0o644, 5), name);
    }
    for (index, size) in (0..).zip([0, 1, 4095, 4096, 4097, 70_000]) {
        let layer = index % layers;
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        let path = format!("size{size}");
        sample.file(layer, path.as_bytes(), meta(0o4755, 5), &bytes);
    }
    let mut sparse = vec![0; 40_000];
    sparse[20_000] = 7;
    sample.file(layers - 1, b"sparse", meta(0o600, 5), &sparse);
    sample.file(0, b"zeros", meta(0o600, 5), &[0; 9000]);
    sample.link(b"tmp/second", b"size4097");
    sample.link(b"tmp/third", b"size4097");
    sample.symlink(b"short", b"tmp/second");
    sample.symlink(b"long", &[b'l'; 4000]);
    sample.symlink(b"longest", &[b'm'; 4095]);
    let old = Metadata {
        uid: 70_000,
        gid: 4_000_000_000,
        mtime: Timestamp { seconds: -6, nanoseconds: 750_000_000 },
        ..meta(0o640, 0)
    };
    sample.file(0, b"old", old, b"old");
    let device = Device { major: 4095, minor: 1_048_575 };
    sample.add(b"block", meta(0o660, 5), Kind::BlockDevice(device));
    sample.add(b"null", meta(0o666, 5), Kind::CharDevice(Device { major: 1, minor: 3 }));
    sample.add(b"whiteout", meta(0, 5), Kind::CharDevice(Device::default()));
    sample.add(b"pipe", meta(0o600, 5), Kind::Fifo);
    with_xattrs(&mut sample);
    for count in [100, 338, 339, 340] {
        let path = format!("directory{count}");
        sample.directory(path.as_bytes(), meta(0o755, 5));
        for index in 0..count {
            let path = format!("{path}/{index:04}");
            sample.add(path.as_bytes(), meta(0o600, 5), Kind::Fifo);
        }
    }
    sample
}

/// Files whose attributes need areas of all lengths, and one of more than a block.
fn with_xattrs(sample: &mut Sample) {
    for len in [0, 1, 2, 3, 4, 12, 20, 3000, 4030, 6000] {
        let mut metadata = meta(0o644, 5);
        let value: Box<[u8]> = vec![b'v'; len].into();
        metadata.xattrs.insert((*b"user.note").into(), value);
        metadata.xattrs.insert((*b"trusted.a").into(), [0, 255].into());
        metadata.xattrs.insert((*b"security.capability").into(), CAPABILITY.into());
        sample.file(0, format!("xattr{len}").as_bytes(), metadata, b"x");
    }
    let mut metadata = meta(0o755, 5);
    metadata.xattrs.insert((*b"system.posix_acl_access").into(), ACL.into());
    metadata.xattrs.insert((*b"system.posix_acl_default").into(), ACL.into());
    sample.directory(b"acl", metadata);
}

/// `cap_net_raw+ep`, as `setcap` stores it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Version 2; owner, user 1000, group, mask and others.
const ACL: [u8; 44] = [
    2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 5, 0, 232, 3, 0, 0, 4, 0, 5, 0, 255, 255,
    255, 255, 16, 0, 5, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255,
];
