//! A file tree as a layer: the directory of a root file system, or the upper directory of an overlay.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::file_tree::read_xattrs;
use super::layer_tar::{TarEntry, TarKind};

/// The entries of the tree at `root`, each directory before what it holds, by name.
///
/// What overlayfs notes in its upper directory becomes what OCI's `layer.md` has for it: a device 0:0 is
/// a whiteout, `trusted.overlay.opaque=y` an opaque marker; its other attributes are left out.
pub(crate) fn layer_entries(root: &Path) -> io::Result<Vec<TarEntry>> {
    let mut walk = Walk { root, first_names: BTreeMap::new(), entries: Vec::new() };
    walk.directory(b"")?;
    Ok(walk.entries)
}

struct Walk<'a> {
    root: &'a Path,
    /// The first name of each inode that has several.
    first_names: BTreeMap<(u64, u64), Vec<u8>>,
    entries: Vec<TarEntry>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        let full = self.root.join(OsStr::from_bytes(path));
        let metadata = fs::symlink_metadata(&full)?;
        let name = if path.is_empty() { b"./".to_vec() } else { [path, b"/"].concat() };
        let mut entry = described(name, TarKind::Directory, &metadata, &full)?;
        let opaque = entry.xattrs.get("trusted.overlay.opaque").is_some_and(|v| v == b"y");
        entry.xattrs.retain(|name, _| !name.starts_with("trusted.overlay."));
        self.entries.push(entry);
        if opaque {
            self.entries.push(TarEntry::opaque(path));
        }
        let mut names: Vec<_> =
            fs::read_dir(&full)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        for name in names {
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            self.child([path, slash, name.as_bytes()].concat())?;
        }
        Ok(())
    }

    fn child(&mut self, path: Vec<u8>) -> io::Result<()> {
        let full = self.root.join(OsStr::from_bytes(&path));
        let metadata = fs::symlink_metadata(&full)?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            return self.directory(&path);
        }
        if kind.is_char_device() && metadata.rdev() == 0 {
            self.entries.push(TarEntry::whiteout(&path));
            return Ok(());
        }
        let kind = match self.first_name(&path, &metadata) {
            Some(first) => TarKind::HardLink(first),
            None => tar_kind(kind, &metadata, &full)?,
        };
        let mut entry = described(path, kind, &metadata, &full)?;
        entry.xattrs.retain(|name, _| !name.starts_with("trusted.overlay."));
        self.entries.push(entry);
        Ok(())
    }

    /// The name under which this inode is in the layer already.
    fn first_name(&mut self, path: &[u8], metadata: &Metadata) -> Option<Vec<u8>> {
        if metadata.nlink() < 2 {
            return None;
        }
        let inode = (metadata.dev(), metadata.ino());
        let first = self.first_names.get(&inode).cloned();
        if first.is_none() {
            self.first_names.insert(inode, path.to_vec());
        }
        first
    }
}

fn tar_kind(kind: FileType, metadata: &Metadata, full: &Path) -> io::Result<TarKind> {
    let device = metadata.rdev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Ok(match () {
        () if kind.is_file() => TarKind::FileAt(full.to_owned()),
        () if kind.is_symlink() => {
            TarKind::Symlink(fs::read_link(full)?.into_os_string().as_bytes().to_vec())
        }
        () if kind.is_char_device() => TarKind::CharDevice(major, minor),
        () if kind.is_block_device() => TarKind::BlockDevice(major, minor),
        () if kind.is_fifo() => TarKind::Fifo,
        () => {
            return Err(io::Error::other(format!("`{}` cannot be in a tar", full.display())));
        }
    })
}

fn described(
    path: Vec<u8>,
    kind: TarKind,
    metadata: &Metadata,
    full: &Path,
) -> io::Result<TarEntry> {
    let nanoseconds = u32::try_from(metadata.mtime_nsec()).map_err(io::Error::other)?;
    Ok(TarEntry {
        path,
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid().into(),
        gid: metadata.gid().into(),
        mtime: (metadata.mtime(), nanoseconds),
        xattrs: read_xattrs(full)?,
    })
}

#[test]
fn a_second_name_is_a_hard_link() {
    let tree = tempfile::tempdir().expect("a temporary directory is made");
    fs::create_dir(tree.path().join("a")).expect("a directory is made");
    fs::write(tree.path().join("a/x"), "hello").expect("a file is written");
    fs::hard_link(tree.path().join("a/x"), tree.path().join("b")).expect("a link is made");

    let entries = layer_entries(tree.path()).expect("the tree can be read");
    let paths: Vec<&[u8]> = entries.iter().map(|entry| &entry.path[..]).collect();
    assert_eq!(paths, [&b"./"[..], b"a/", b"a/x", b"b"]);
    assert_eq!(entries[3].kind, TarKind::HardLink(b"a/x".to_vec()));
}
