//! Damaged and lying images end in an error, never in a panic, a loop or a tree of any size.

use proptest::prelude::*;
use sandbox_images::disk::erofs::dump::dump;
use sandbox_images::disk::erofs::format::superblock::{seal, superblock_checksum_ok};
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::disk::erofs::reader::error::ReadError;
use sandbox_images::layer::tree::{Kind, Metadata};

use super::sample::{Sample, everything};

/// Writes the right checksum over whatever block 0 holds now, so that the rest is looked at.
fn reseal(image: &mut [u8]) {
    seal(image.first_chunk_mut().unwrap());
}

fn read(image: &[u8]) -> Result<(), ReadError> {
    let image = Image::open(image)?;
    image.tree(0)?;
    dump(&image, &mut Vec::new())
}

/// A layer of a directory with a pipe, so small that each byte of its metadata counts.
fn small() -> Vec<u8> {
    let mut sample = Sample::new(1);
    sample.directory(b"d", Metadata::implied());
    sample.directory(b"d/e", Metadata::implied());
    sample.add(b"p", Metadata::implied(), Kind::Fifo);
    sample.symlink(b"s", b"target");
    sample.file(0, b"f", Metadata::implied(), b"content");
    sample.layer_image().1
}

#[test]
fn a_changed_superblock_is_noticed_by_its_checksum() {
    let mut image = small();
    assert!(superblock_checksum_ok(&image[..4096]));
    image[1024 + 36] ^= 1;
    assert!(!superblock_checksum_ok(&image[..4096]));
    assert!(matches!(read(&image), Err(ReadError::Checksum)));
    assert!(!superblock_checksum_ok(&[0; 4096]));
    assert!(!superblock_checksum_ok(&image[..1024]));
}

#[test]
fn a_truncated_image_is_refused() {
    let image = small();
    for len in [0, 1, 1024, 4095, 4096, image.len() - 1] {
        let shown = read(&image[..len]);
        assert!(matches!(shown, Err(ReadError::Short { .. })), "{len}");
    }
}

#[test]
fn every_value_of_every_byte_of_small_metadata_is_survived() {
    let image = small();
    let metadata_start = image.len() - 4096;
    let used = 32 + 6 * 96 + 64;
    for offset in (1024..1152).chain(metadata_start..metadata_start + used) {
        for value in [0, 1, 2, 31, 32, 127, 128, 254, 255] {
            let mut damaged = image.clone();
            damaged[offset] = value;
            reseal(&mut damaged);
            if let Err(error) = read(&damaged) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_directory_inside_itself_is_refused() {
    let mut image = small();
    let text = String::from_utf8(image.clone().into_iter().map(|b| b & 0x7f).collect()).unwrap();
    let metadata = image.len() - 4096;
    let name = metadata + text[metadata..].find("...e").unwrap();
    let entries = name - 3 * 12;
    let parent: [u8; 8] = image[entries..entries + 8].try_into().unwrap();
    image[entries + 24..entries + 32].copy_from_slice(&parent);
    let error = read(&image).unwrap_err();
    assert!(error.to_string().contains("a directory with two names"), "{error}");
}

#[test]
fn attributes_that_many_inodes_share_do_not_multiply() {
    let mut metadata = Metadata::implied();
    metadata.xattrs.insert((*b"user.a").into(), vec![1; 60_000].into());
    let mut sample = Sample::new(1);
    sample.add(b"a", metadata, Kind::Fifo);
    for index in 0..200 {
        sample.add(format!("b{index}").as_bytes(), Metadata::implied(), Kind::Fifo);
    }
    let mut image = sample.layer_image().1;
    // An extended inode's format, its attributes' length, and a pipe's mode.
    let with_xattrs = [1, 0, 155, 58, 0xed, 0x11];
    let without = [1, 0, 0, 0, 0xed, 0x11];
    assert!(image.windows(6).any(|bytes| bytes == with_xattrs));
    let mut copies = 0;
    for offset in (4096..image.len() - 64).step_by(32) {
        if image[offset..offset + 6] == without {
            image[offset..offset + 6].copy_from_slice(&with_xattrs);
            copies += 1;
        }
    }
    assert_eq!(copies, 200);
    assert!(matches!(read(&image), Err(ReadError::Budget { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn random_damage_is_survived(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        in_stack in any::<bool>(),
    ) {
        thread_local! {
            static IMAGES: [Vec<u8>; 2] =
                [everything(1).layer_image().1, everything(3).stack().fsmeta];
        }
        let mut image = IMAGES.with(|images| images[usize::from(in_stack)].clone());
        let start = if in_stack { 1024 } else { image.len() / 2 };
        for (index, value) in flips {
            let offset = start + index.index(image.len() - start);
            image[offset] = value;
        }
        reseal(&mut image);
        if let Err(error) = read(&image) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
