//! A tree as a list that can be compared, from a [`Tree`] or from what the kernel shows.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sandbox_images::disk::erofs::reader::content::ContentReader;
use sandbox_images::layer::tree::{DirectoryId, Inode, InodeId, Kind, Metadata, Node, Tree};
use sandbox_images::oci::digest::Digest;

/// All that one path shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Type and permissions, as in `st_mode`.
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) nlink: u64,
    /// The first path of the same inode.
    pub(crate) first: Vec<u8>,
    pub(crate) device: (u32, u32),
    pub(crate) target: Vec<u8>,
    pub(crate) content: Option<(u64, Digest)>,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Every path below a root, which is the empty path.
pub(crate) type Listing = BTreeMap<Vec<u8>, Shown>;

/// Lists a tree whose files lie in `images`.
pub(crate) fn of_tree(tree: &Tree, images: &[Vec<u8>]) -> Listing {
    let mut names: BTreeMap<InodeId, Vec<Vec<u8>>> = BTreeMap::new();
    let mut listing = Listing::new();
    let mut queue = vec![(Vec::new(), DirectoryId::ROOT)];
    while let Some((path, id)) = queue.pop() {
        let directory = tree.directory(id);
        let mut nlink = 2;
        for (name, node) in &directory.entries {
            let path = [&path[..], b"/", name].concat();
            match node {
                Node::Directory(child) => {
                    nlink += 1;
                    queue.push((path, *child));
                }
                Node::Inode(inode) => names.entry(*inode).or_default().push(path),
            }
        }
        listing.insert(path.clone(), shown(&directory.metadata, 0o040_000, nlink, path));
    }
    for (id, mut paths) in names {
        paths.sort();
        for path in &paths {
            let inode = tree.inode(id);
            let shown = of_inode(inode, paths.len() as u64, paths[0].clone(), images);
            listing.insert(path.clone(), shown);
        }
    }
    listing
}

fn of_inode(inode: &Inode, nlink: u64, first: Vec<u8>, images: &[Vec<u8>]) -> Shown {
    let kind = match inode.kind {
        Kind::File(_) => 0o100_000,
        Kind::Symlink(_) => 0o120_000,
        Kind::CharDevice(_) => 0o020_000,
        Kind::BlockDevice(_) => 0o060_000,
        Kind::Fifo => 0o010_000,
    };
    let mut shown = shown(&inode.metadata, kind, nlink, first);
    match &inode.kind {
        Kind::File(content) => {
            let mut bytes = Vec::new();
            let mut reader = ContentReader::new(images, content).unwrap();
            reader.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, content.size_bytes);
            shown.content = Some((content.size_bytes, Digest::of(bytes)));
        }
        Kind::Symlink(target) => shown.target = target.to_vec(),
        Kind::CharDevice(device) | Kind::BlockDevice(device) => {
            shown.device = (device.major, device.minor);
        }
        Kind::Fifo => {}
    }
    shown
}

fn shown(metadata: &Metadata, kind: u32, nlink: u64, first: Vec<u8>) -> Shown {
    let xattrs = metadata.xattrs.iter();
    Shown {
        mode: kind | u32::from(metadata.mode),
        owner: (metadata.uid, metadata.gid),
        mtime: (metadata.mtime.seconds, i64::from(metadata.mtime.nanoseconds)),
        nlink,
        first,
        device: (0, 0),
        target: Vec::new(),
        content: None,
        xattrs: xattrs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
    }
}

/// Lists what the kernel shows below `root`.
pub(crate) fn of_mount(root: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut inodes: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    let mut queue = vec![Vec::new()];
    while let Some(path) = queue.pop() {
        let full = [root.as_os_str().as_bytes(), &path].concat();
        let full = Path::new(OsStr::from_bytes(&full));
        let metadata = fs::symlink_metadata(full).unwrap();
        if metadata.is_dir() {
            for entry in fs::read_dir(full).unwrap() {
                let name = entry.unwrap().file_name();
                queue.push([&path[..], b"/", name.as_bytes()].concat());
            }
        }
        inodes.entry(metadata.ino()).or_default().push(path.clone());
        listing.insert(path, of_path(full, &metadata));
    }
    for mut paths in inodes.into_values() {
        paths.sort();
        for path in &paths {
            listing.get_mut(path).unwrap().first.clone_from(&paths[0]);
        }
    }
    listing
}

fn of_path(full: &Path, metadata: &fs::Metadata) -> Shown {
    let content = metadata.is_file().then(|| fs::read(full).unwrap());
    let target = metadata.is_symlink().then(|| fs::read_link(full).unwrap());
    Shown {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        nlink: metadata.nlink(),
        first: Vec::new(),
        device: (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev())),
        target: target.map_or_else(Vec::new, |target| target.as_os_str().as_bytes().to_vec()),
        content: content.map(|bytes| (metadata.len(), Digest::of(bytes))),
        xattrs: crate::support::file_tree::read_xattrs(full)
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), value))
            .collect(),
    }
}

/// Fails with the first paths that differ.
#[track_caller]
pub(crate) fn assert_equal(left: &Listing, right: &Listing) {
    let all: std::collections::BTreeSet<&Vec<u8>> = left.keys().chain(right.keys()).collect();
    let differences: Vec<String> = all
        .into_iter()
        .filter(|path| left.get(*path) != right.get(*path))
        .map(|path| {
            let [left, right] = [left, right].map(|listing| listing.get(path));
            format!("{}:\n  {left:?}\n  {right:?}", path.escape_ascii())
        })
        .take(5)
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
