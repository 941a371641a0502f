//! Layers on their way from tars to images and back, and trees in words that can be compared.

use std::collections::BTreeMap;
use std::io::{self, Read};

use sandbox_images::disk::erofs::layer::{LayerImage, LayerWriter};
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::disk::erofs::reader::content::ContentReader;
use sandbox_images::layer::builder::error::ChangesetError;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::entry::DataSink;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::tree::{Content, DirectoryId, InodeId, Kind, Node, Tree};
use sandbox_images::oci::digest::{DiffId, Digest};

/// A layer that was read, and the image that was made of it.
#[derive(Debug)]
pub struct Layer {
    /// What was read of the tar.
    pub changeset: Changeset,
    /// The bytes of its image.
    pub image: Vec<u8>,
    /// What an fsmeta needs of it.
    pub facts: LayerImage,
    /// The content at each address, kept apart from the image.
    pub files: BTreeMap<u32, Vec<u8>>,
}

/// Reads a tar into an image in memory. What was read must be writable.
pub fn layer(tar: &[u8], limits: &Limits, index: u16) -> Result<Layer, ChangesetError> {
    let mut sink = Sink {
        image: LayerWriter::new(Vec::new()).expect("memory takes an image"),
        current: Vec::new(),
        files: BTreeMap::new(),
    };
    let changeset = Changeset::read(tar, limits, index, &mut sink)?;
    let diff_id = DiffId(Digest::of(tar));
    let (image, facts) = sink
        .image
        .finish(&changeset.clone().into_overlay(), diff_id)
        .expect("a layer that was read can be written");
    Ok(Layer { changeset, image, facts, files: sink.files })
}

impl Layer {
    /// The changeset as its image has it.
    pub fn stored(&self, index: u16) -> Changeset {
        let image = Image::open(&self.image[..]).expect("an image that was written is one");
        let tree = image.tree(index).expect("a tree that was written is one");
        Changeset::from_overlay(tree).expect("a layer that was written is one")
    }
}

/// Writes an image and keeps all contents beside it.
struct Sink {
    image: LayerWriter<Vec<u8>>,
    current: Vec<u8>,
    files: BTreeMap<u32, Vec<u8>>,
}

impl DataSink for Sink {
    fn write(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.current.resize(usize::try_from(offset_bytes).map_err(io::Error::other)?, 0);
        self.current.extend_from_slice(bytes);
        self.image.write(offset_bytes, bytes)
    }

    fn finish(&mut self, size_bytes: u64) -> io::Result<u32> {
        self.current.resize(usize::try_from(size_bytes).map_err(io::Error::other)?, 0);
        let address = DataSink::finish(&mut self.image, size_bytes)?;
        let content = std::mem::take(&mut self.current);
        let kept = self.files.entry(address).or_insert_with(|| content.clone());
        assert_eq!(*kept, content, "one address has one content");
        Ok(address)
    }
}

/// The bytes of a file from the images that hold them.
pub fn read_file<R: AsRef<[u8]>>(images: &[R], content: &Content) -> Vec<u8> {
    let images: Vec<&[u8]> = images.iter().map(AsRef::as_ref).collect();
    let mut bytes = Vec::new();
    ContentReader::new(&images, content)
        .expect("a file has an image")
        .read_to_end(&mut bytes)
        .expect("a file lies within its image");
    bytes
}

/// Every path of a tree with all there is to know of it. Names of one inode have the first of them in
/// common; a content is the digest of what `read` answers.
pub fn describe(tree: &Tree, read: impl Fn(&Content) -> Vec<u8>) -> Vec<(Vec<u8>, String)> {
    let mut first_names: BTreeMap<InodeId, Vec<u8>> = BTreeMap::new();
    let root = (Vec::new(), Node::Directory(DirectoryId::ROOT));
    let mut described = Vec::new();
    for (path, node) in std::iter::once(root).chain(tree.walk()) {
        let facts = match node {
            Node::Directory(id) => format!("{:?}", tree.directory(id).metadata),
            Node::Inode(id) => {
                let first = first_names.entry(id).or_insert_with(|| path.clone());
                let inode = tree.inode(id);
                let kind = match &inode.kind {
                    Kind::File(content) if content.size_bytes == 0 => "empty".to_owned(),
                    Kind::File(content) => Digest::of(read(content)).to_string(),
                    other => format!("{other:?}"),
                };
                format!("{kind} {:?} {}", inode.metadata, first.escape_ascii())
            }
        };
        described.push((path, facts));
    }
    described
}
