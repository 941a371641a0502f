//! Any bytes as an image, with the right checksum on them.
//!
//! * The answer is a tree or a typed error in one line.
//! * Time is bounded: the reader asks for a number of blocks that the image's length bounds. Memory is:
//!   no more names and inodes than the image has room for.
//! * A tree that is read is one tree: each directory has one name, link counts are those that are stated.
//! * What is read goes on safely: as a stored layer, into a merge, and into a dump.

#![no_main]

use std::cell::Cell;
use std::io;

use libfuzzer_sys::fuzz_target;
use sandbox_images::disk::erofs::dump::dump;
use sandbox_images::disk::erofs::format::superblock::seal;
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::disk::erofs::reader::error::ReadError;
use sandbox_images::disk::file::ReadAt;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::merge::merge;
use sandbox_images::layer::tree::Tree;

/// Bytes of the shortest directory entry, and of the shortest inode.
const DIRENT_BYTES: usize = 12;
const INODE_BYTES: usize = 32;

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.to_vec();
    if let Some(block) = bytes.first_chunk_mut() {
        seal(block);
    }
    let file = Counting { bytes: &bytes, reads: Cell::new(0) };
    let outcome = Image::open(&file).and_then(|image| Ok((image.tree(0)?, image)));
    // Every structure has some bytes of its own, and lies in a few blocks.
    let reads_max = bytes.len() / 8 + 64;
    assert!(file.reads.get() <= reads_max, "{} reads", file.reads.get());
    match outcome {
        Err(error) => check_error(&error),
        Ok((tree, image)) => {
            check_tree(&tree, bytes.len());
            let mut text = Vec::new();
            dump(&image, &mut text).expect("what was read can be shown");
            assert!(text.is_ascii() || std::str::from_utf8(&text).is_ok());
        }
    }
});

fn check_error(error: &ReadError) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains(|it: char| it.is_control()));
    assert!(!matches!(error, ReadError::Read(_)), "nothing is read behind the end");
}

fn check_tree(tree: &Tree, image_bytes: usize) {
    assert!(tree.inode_count() + tree.directory_count() <= image_bytes / INODE_BYTES);
    assert!(tree.walk().count() <= image_bytes / DIRENT_BYTES);
    assert!(tree.link_counts().iter().all(|&names| names > 0));
    if let Ok(changeset) = Changeset::from_overlay(tree.clone()) {
        let again = Changeset::from_overlay(changeset.clone().into_overlay());
        assert!(again.is_ok(), "a stored layer can be stored again");
        if let Err(error) = merge([changeset]) {
            assert!(!error.code().is_empty());
        }
    }
}

/// Bytes that know how often they were read.
struct Counting<'a> {
    bytes: &'a [u8],
    reads: Cell<usize>,
}

impl ReadAt for Counting<'_> {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.read_at(offset_bytes, buffer)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.bytes.size_bytes()
    }
}
