//! An image as text, for people and for snapshots: the superblock, the devices, one line a name.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;

use crate::disk::erofs::format::dirent::file_type;
use crate::disk::erofs::format::inode::{
    DataLayout, Form, Inode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, decode_device,
};
use crate::disk::erofs::format::{EROFS_NULL_ADDR, blocks_of};
use crate::disk::erofs::reader::error::ReadError;
use crate::disk::erofs::reader::{Image, Structures, entries};
use crate::disk::file::ReadAt;

/// Writes the dump of an image, which is checked as a whole first.
///
/// A name's line: path, type and mode, owner, time, names, size, then where the inode and its data are.
/// Bytes that are not printable are escaped as in Rust's byte strings.
pub fn dump<R: ReadAt>(image: &Image<R>, out: &mut impl Write) -> Result<(), ReadError> {
    image.tree(0)?;
    writeln!(out, "{:?}", image.superblock()).map_err(ReadError::Write)?;
    for (index, slot) in image.devices().iter().enumerate() {
        writeln!(out, "device {index}: {slot:?}").map_err(ReadError::Write)?;
    }
    // The image has been checked; what has several names is read several times.
    let mut structures = image.structures(u64::MAX);
    let root = u64::from(image.superblock().root_nid);
    let mut queue = VecDeque::from([(String::new(), root)]);
    writeln!(out, "/{}", line(&mut structures, root)?).map_err(ReadError::Write)?;
    while let Some((path, nid)) = queue.pop_front() {
        for (name, child, is_directory) in children(&mut structures, nid)? {
            let path = format!("{path}/{name}");
            let text = line(&mut structures, child)?;
            writeln!(out, "{path}{text}").map_err(ReadError::Write)?;
            if is_directory {
                queue.push_back((path, child));
            }
        }
    }
    Ok(())
}

/// The entries of a directory but `.` and `..`: name, place, and whether it is a directory.
fn children<R: ReadAt>(
    structures: &mut Structures<'_, R>,
    nid: u64,
) -> Result<Vec<(String, u64, bool)>, ReadError> {
    let inode = structures.inode(nid)?;
    let mut children = Vec::new();
    let mut block = Vec::new();
    for index in 0..blocks_of(inode.size_bytes) {
        structures.data_block(nid, &inode, index, &mut block)?;
        let entries = entries(&block).map_err(|problem| ReadError::Inode { nid, problem })?;
        for (name, dirent) in entries {
            if !matches!(name, b"." | b"..") {
                let is_directory = dirent.file_type == file_type(S_IFDIR);
                children.push((name.escape_ascii().to_string(), dirent.nid, is_directory));
            }
        }
    }
    Ok(children)
}

/// What is said of the inode at `nid` behind its path.
fn line<R: ReadAt>(structures: &mut Structures<'_, R>, nid: u64) -> Result<String, ReadError> {
    let inode = structures.inode(nid)?;
    let Inode { mode, uid, gid, mtime, nlink, size_bytes, ino, .. } = inode;
    let form = match inode.form {
        Form::Compact => "compact",
        Form::Extended => "extended",
    };
    let mut line = format!(
        " {mode:06o} {uid}:{gid} {}.{:09} nlink={nlink} size={size_bytes} nid={nid} ino={ino} {form}",
        mtime.seconds, mtime.nanoseconds
    );
    let text = match inode.mode & S_IFMT {
        S_IFCHR | S_IFBLK => {
            let device = decode_device(inode.i_u);
            format!(" device={}:{}", device.major, device.minor)
        }
        S_IFREG | S_IFDIR | S_IFLNK => place(&inode),
        _ => String::new(),
    };
    line.push_str(&text);
    if inode.mode & S_IFMT == S_IFLNK {
        let mut target = Vec::new();
        structures.data_block(nid, &inode, 0, &mut target)?;
        append(&mut line, format_args!(" -> {}", target.escape_ascii()));
    }
    for (name, value) in structures.xattrs(nid, &inode)? {
        append(&mut line, format_args!(" {}=\"{}\"", name.escape_ascii(), value.escape_ascii()));
    }
    Ok(line)
}

/// Where the data is: its first block, inline, or both.
fn place(inode: &Inode) -> String {
    let mut text = String::new();
    if inode.i_u != EROFS_NULL_ADDR {
        append(&mut text, format_args!(" block={}", inode.i_u));
    }
    if inode.layout == DataLayout::FlatInline {
        text.push_str(" inline");
    }
    text
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
