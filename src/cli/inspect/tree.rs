//! `inspect tree`: a merged tree, from the store, from layer tars or from EROFS images.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::disk::erofs::reader::content::ContentReader;
use sandbox_images::disk::erofs::reader::error::ReadError;
use sandbox_images::disk::file::ReadAt;
use sandbox_images::layer::builder::error::ChangesetError;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;
use sandbox_images::layer::read::ReadError as LayerError;
use sandbox_images::layer::tree::{Content, DirectoryId, Kind as InodeKind, Node, Tree};
use sandbox_images::oci::digest::{DiffId, Digest, HashingReader};
use sandbox_images::plan::artifact::Artifact;
use serde_json::{Value, json};

use crate::cli::args::InspectTree;
use crate::cli::failure::{Failure, Kind};
use crate::cli::inspect::entry::{Bytes, Entry, Inode};
use crate::cli::inspect::layer::{Digests, refuse};
use crate::cli::inspect::{name_of, open, refused, unreadable};
use crate::cli::path::{find, require};
use crate::cli::report::count;
use crate::cli::setup::{Setup, lock_alone, platform};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 128 << 10;

pub(super) fn inspect(setup: &Setup<'_>, wanted: &InspectTree) -> Result<Value, Failure> {
    if let Some(name) = &wanted.name {
        return of_image(setup, name, wanted.platform.as_deref());
    }
    match &wanted.erofs {
        Some(erofs) => of_erofs(erofs, &wanted.device),
        None => of_layers(&setup.config.limits(), &wanted.layers),
    }
}

/// The tree of an image of the lock, read from its fsmeta and its layers' images.
fn of_image(setup: &Setup<'_>, name: &str, wanted: Option<&str>) -> Result<Value, Failure> {
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let (_, locked) = find(&lock, name, &platform(wanted)?)?;
    let store = project.store();
    let open = |artifact| {
        require(&project, &lock, name, artifact)?;
        store.open(artifact).map_err(|error| Failure::store(&error))
    };
    let fsmeta =
        Image::open(open(Artifact::Fsmeta(locked.chain_id()))?).map_err(|error| damaged(&error))?;
    let layers = fsmeta.devices().iter().map(|slot| open(Artifact::Layer(DiffId(slot.tag))));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let tree = fsmeta.tree(0).map_err(|error| damaged(&error))?;
    shown(&tree, |content| hashed(ContentReader::new(&layers, content)))
}

/// The tree of layer tars, merged without a store.
fn of_layers(limits: &Limits, files: &[PathBuf]) -> Result<Value, Failure> {
    limits.check_layers(files.len()).map_err(|error| refused("layer-limit", &error, None, None))?;
    let mut all_digests = Vec::new();
    let mut changesets = Vec::new();
    for (file, place) in files.iter().zip(0..) {
        let (changeset, digests) = changeset(open(file)?, limits, place)
            .map_err(|error| refuse(&error).about(&name_of(file)))?;
        changesets.push(changeset);
        all_digests.push(digests);
    }
    let merged = merge(changesets).map_err(|error| refused(error.code(), &error, None, None))?;
    shown(&merged.tree, |content| {
        Ok(all_digests[usize::from(content.layer)].of(content.size_bytes, content.address))
    })
}

fn changeset(
    input: impl Read,
    limits: &Limits,
    place: u16,
) -> Result<(Changeset, Digests), ChangesetError> {
    let mut digests = Digests::default();
    let input = BufReader::with_capacity(BUFFER_BYTES, input);
    let input = Decompressor::new(input, limits).map_err(LayerError::Input)?;
    let input = BufReader::with_capacity(BUFFER_BYTES, input);
    let changeset = Changeset::read(input, limits, place, &mut digests)?;
    Ok((changeset, digests))
}

/// The tree of an EROFS image. Data is read from `devices`, or from the file itself: a layer image, or a
/// whole disk, on which the devices follow the fsmeta.
fn of_erofs(file: &Path, devices: &[PathBuf]) -> Result<Value, Failure> {
    let open =
        |path: &PathBuf| Ok(OpenFile(File::open(path).map_err(|error| unreadable(path, &error))?));
    let wrong = |error: ReadError| damaged(&error).about(&name_of(file));
    let image = Image::open(open(&file.to_owned())?).map_err(wrong)?;
    let whole = image.is_whole_disk().map_err(wrong)?;
    if devices.is_empty() && whole {
        let tree = image.tree(0).map_err(wrong)?;
        return shown(&tree, |content| hashed(ContentReader::on_disk(&image, content)));
    }
    let slots = image.devices().len();
    if devices.len() != slots {
        let message = format!(
            "`{}` refers to {}, and {} named",
            file.display(),
            count(slots as u64, "layer image"),
            if devices.is_empty() {
                "none is".to_owned()
            } else {
                format!("{} are", devices.len())
            }
        );
        return Err(Failure::new(Kind::Usage, "devices", message).help(
            "name them with `--device`, in the order of the device table, or a whole raw disk",
        ));
    }
    let tree = image.tree(0).map_err(wrong)?;
    let files = devices.iter().map(open).collect::<Result<Vec<_>, Failure>>()?;
    shown(&tree, |content| hashed(ContentReader::new(&files, content)))
}

/// A file of the user's.
struct OpenFile(File);

impl ReadAt for OpenFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset_bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

fn hashed<R: ReadAt>(content: Result<ContentReader<'_, R>, ReadError>) -> Result<Digest, Failure> {
    let mut reader = HashingReader::new(content.map_err(|error| damaged(&error))?);
    io::copy(&mut reader, &mut io::sink()).map_err(|error| damaged(&error.into()))?;
    let (_, digest, _) = reader.finish();
    Ok(digest)
}

fn damaged(error: &ReadError) -> Failure {
    refused("erofs", error, None, None)
}

/// All entries, the root first, with its path empty.
fn shown(
    tree: &Tree,
    digest_of: impl Fn(&Content) -> Result<Digest, Failure>,
) -> Result<Value, Failure> {
    let links = tree.link_counts();
    let mut numbers = Numbers::default();
    let mut entries = Vec::new();
    let root = std::iter::once((Vec::new(), Node::Directory(DirectoryId::ROOT)));
    for (path, node) in root.chain(tree.walk()) {
        let ino = numbers.of(node);
        let entry = match node {
            Node::Directory(id) => {
                let mut entry = Entry::new(&path, "dir", &tree.directory(id).metadata);
                entry.inode = Some(Inode { nlink: links_of(tree, id), ino });
                serde_json::to_value(entry)
            }
            Node::Inode(id) => {
                let inode = tree.inode(id);
                let (kind, mut entry) =
                    (kind_of(&inode.kind), Entry::new(&path, "", &inode.metadata));
                match &inode.kind {
                    InodeKind::File(content) => {
                        entry = entry.with_content(content.size_bytes, digest_of(content)?);
                    }
                    InodeKind::Symlink(target) => entry.link = Some(Bytes(target)),
                    InodeKind::CharDevice(device) | InodeKind::BlockDevice(device) => {
                        entry = entry.with_device(*device);
                    }
                    InodeKind::Fifo => {}
                }
                entry.kind = kind;
                entry.inode = Some(Inode { nlink: links[id.index()], ino });
                serde_json::to_value(entry)
            }
        };
        entries.push(entry.expect("an entry has string keys only"));
    }
    Ok(json!({ "schema": "sandbox-images/inspect-tree/1", "entries": entries }))
}

/// How many links a directory has: its name, its own `.`, and the `..` of each directory in it.
fn links_of(tree: &Tree, id: DirectoryId) -> u32 {
    let children = tree.directory(id).entries.values();
    let directories = children.filter(|node| matches!(node, Node::Directory(_))).count();
    u32::try_from(directories).map_or(u32::MAX, |count| count.saturating_add(2))
}

fn kind_of(kind: &InodeKind) -> &'static str {
    match kind {
        InodeKind::File(_) => "file",
        InodeKind::Symlink(_) => "symlink",
        InodeKind::CharDevice(_) => "char",
        InodeKind::BlockDevice(_) => "block",
        InodeKind::Fifo => "fifo",
    }
}

/// Numbers of inodes, from 1, in the order of their first names.
#[derive(Debug, Default)]
struct Numbers {
    given: BTreeMap<usize, u32>,
    last: u32,
}

impl Numbers {
    fn of(&mut self, node: Node) -> u32 {
        let Node::Inode(id) = node else {
            self.last += 1;
            return self.last;
        };
        *self.given.entry(id.index()).or_insert_with(|| {
            self.last += 1;
            self.last
        })
    }
}
