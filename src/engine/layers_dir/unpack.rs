//! A stored layer as files of a directory.
//!
//! Every name is opened from its directory without following links, and directories get their own modes and
//! owners last, so nothing in a layer leads out of the directory or stands in the way of what comes after it.
//! What the caller's rights or file system do not allow is left out and counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, symlinkat,
};
use rustix::io::Errno;

use crate::disk::erofs::reader::Image;
use crate::disk::erofs::reader::content::ContentReader;
use crate::engine::layers_dir::attributes::{Shortfalls, set_on_file, set_on_name};
use crate::layer::overlay::LINK;
use crate::layer::tree::{Content, Device, DirectoryId, Inode, InodeId, Kind, Node, Tree};
use crate::store::stored::StoredFile;

/// Bytes that are copied at once; as many zeros become a hole.
const BUFFER_BYTES: usize = 128 << 10;

/// How a directory is opened that was just made here.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a file is made: it must not be there.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Fills the empty directory `root` with the layer, and answers what it lacks, a clause each.
pub(super) fn unpack(
    image: &Image<StoredFile>,
    tree: &Tree,
    root: &File,
) -> io::Result<Vec<String>> {
    let mut unpacking = Unpacking {
        image,
        tree,
        root,
        made: BTreeMap::new(),
        buffer: vec![0; BUFFER_BYTES],
        shortfalls: Shortfalls::default(),
    };
    unpacking.all()?;
    Ok(unpacking.shortfalls.clauses())
}

/// The names from the root to a directory.
type Way<'t> = Vec<&'t [u8]>;

struct Unpacking<'t> {
    image: &'t Image<StoredFile>,
    tree: &'t Tree,
    root: &'t File,
    /// Where the first name of each inode is.
    made: BTreeMap<InodeId, (Way<'t>, &'t [u8])>,
    buffer: Vec<u8>,
    shortfalls: Shortfalls,
}

impl<'t> Unpacking<'t> {
    fn all(&mut self) -> io::Result<()> {
        let mut waiting = vec![(DirectoryId::ROOT, Way::new())];
        let mut done = Vec::new();
        while let Some((id, way)) = waiting.pop() {
            let directory = self.open(&way)?;
            for (name, node) in &self.tree.directory(id).entries {
                match *node {
                    Node::Directory(child) => {
                        mkdirat(&directory, &**name, Mode::RWXU)?;
                        waiting.push((child, [&way[..], &[&**name]].concat()));
                    }
                    Node::Inode(inode) => self.name(&directory, &way, name, inode)?,
                }
            }
            done.push((id, way));
        }
        // Those inside come before those around them, through which they are reached.
        for (id, way) in done.into_iter().rev() {
            let directory = self.open(&way)?;
            set_on_file(&directory, &self.tree.directory(id).metadata, &mut self.shortfalls)?;
        }
        Ok(())
    }

    /// Opens a directory name by name. One descriptor at a time: a layer may be deeper than this process may
    /// have files open.
    fn open(&self, way: &Way<'t>) -> io::Result<OwnedFd> {
        let root = openat(self.root, ".", DIRECTORY, Mode::empty())?;
        let open =
            |directory: OwnedFd, name: &&[u8]| openat(&directory, *name, DIRECTORY, Mode::empty());
        Ok(way.iter().try_fold(root, open)?)
    }

    /// Makes `name`, another name of what was made or something new.
    fn name(
        &mut self,
        directory: &OwnedFd,
        way: &Way<'t>,
        name: &'t [u8],
        id: InodeId,
    ) -> io::Result<()> {
        if let Some((first_way, first_name)) = self.made.get(&id) {
            let first = self.open(first_way)?;
            return Ok(linkat(&first, *first_name, directory, name, AtFlags::empty())?);
        }
        if self.make(directory, name, self.tree.inode(id))? {
            self.made.insert(id, (way.clone(), name));
        }
        Ok(())
    }

    /// Makes an inode; `false` if that is not allowed and it may be left out.
    fn make(&mut self, directory: &OwnedFd, name: &[u8], inode: &Inode) -> io::Result<bool> {
        let (kind, device) = match &inode.kind {
            Kind::File(content) => {
                self.shortfalls.links += u64::from(inode.metadata.xattrs.contains_key(LINK));
                let file = File::from(openat(directory, name, NEW_FILE, Mode::RUSR | Mode::WUSR)?);
                self.copy(content, &file)?;
                set_on_file(file.as_fd(), &inode.metadata, &mut self.shortfalls)?;
                return Ok(true);
            }
            Kind::Symlink(target) => {
                symlinkat(&**target, directory, name)?;
                set_on_name(directory, name, None, &inode.metadata, &mut self.shortfalls)?;
                return Ok(true);
            }
            Kind::CharDevice(device) => (FileType::CharacterDevice, *device),
            Kind::BlockDevice(device) => (FileType::BlockDevice, *device),
            Kind::Fifo => (FileType::Fifo, Device::default()),
        };
        let number = makedev(device.major, device.minor);
        // A whiteout is one for everybody, also without the right to make devices.
        let is_device = kind == FileType::BlockDevice || device != Device::default();
        match mknodat(directory, name, kind, Mode::RUSR | Mode::WUSR, number) {
            Err(Errno::PERM) if is_device => {
                self.shortfalls.devices += 1;
                return Ok(false);
            }
            // An overlay file system takes none, since it would obey it.
            Err(Errno::PERM) if kind == FileType::CharacterDevice => {
                let message = "its file system takes no whiteouts; use another one";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
            }
            made => made?,
        }
        let mode = Some(inode.metadata.mode);
        set_on_name(directory, name, mode, &inode.metadata, &mut self.shortfalls)?;
        Ok(true)
    }

    fn copy(&mut self, content: &Content, file: &File) -> io::Result<()> {
        let mut reader = ContentReader::on_disk(self.image, content).map_err(io::Error::other)?;
        let mut offset = 0;
        loop {
            let count = reader.read(&mut self.buffer)?;
            if count == 0 {
                break;
            }
            let bytes = &self.buffer[..count];
            if bytes.iter().any(|byte| *byte != 0) {
                file.write_all_at(bytes, offset)?;
            }
            offset += count as u64;
        }
        file.set_len(content.size_bytes)
    }
}
