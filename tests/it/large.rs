//! Layers as large as the limits allow, and layers that try to be larger.
//!
//! Each is made by a program while it is read, in a process of its own, and what it took is told on the
//! terminal. Those that take many seconds run where `SANDBOX_IMAGES_TEST_LARGE` is `1`.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use sandbox_images::disk::erofs::fsmeta;
use sandbox_images::disk::erofs::layer::{LayerImage, LayerWriter};
use sandbox_images::disk::erofs::reader::Image;
use sandbox_images::disk::file::{BlockFile, ReadAt};
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;
use sandbox_images::oci::digest::{DiffId, Digest};
use tar::{EntryType, Header};

use crate::support::alone::alone;
use crate::support::mount::Mount;
use crate::support::needs::{LARGE, needs};

/// What a build of any layer without many entries may need, the test program's own memory included.
const LITTLE_MEMORY: u64 = 64 << 20;

/// A file on a disk.
#[derive(Debug)]
struct DiskFile(File);

impl DiskFile {
    fn create(path: &Path) -> Self {
        let options = OpenOptions::new().read(true).write(true).create_new(true).clone();
        Self(options.open(path).unwrap())
    }
}

impl ReadAt for DiskFile {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset_bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

impl BlockFile for DiskFile {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset_bytes)
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.0.set_len(size_bytes)
    }
}

/// A tar that is made piece by piece as it is read.
struct Made<I> {
    pieces: I,
    current: Cursor<Vec<u8>>,
}

impl<I: Iterator<Item = Vec<u8>>> Read for Made<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.current.read(buffer)? {
                0 => match self.pieces.next() {
                    Some(piece) => self.current = Cursor::new(piece),
                    None => return Ok(0),
                },
                count => return Ok(count),
            }
        }
    }
}

fn made(pieces: impl IntoIterator<Item = Vec<u8>>) -> impl Read {
    Made { pieces: pieces.into_iter(), current: Cursor::default() }
}

fn header(path: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(path).unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Builds the image of the layer that `tar` is, in `folder`.
fn build(
    tar: impl Read,
    limits: &Limits,
    folder: &Path,
    index: usize,
) -> Result<(PathBuf, LayerImage), Box<dyn Error>> {
    let path = folder.join(format!("layer{index}"));
    let mut writer = LayerWriter::new(DiskFile::create(&path))?;
    let tar = Decompressor::new(BufReader::new(tar), limits)?;
    let changeset = Changeset::read(BufReader::new(tar), limits, 0, &mut writer)?;
    let diff_id = DiffId(Digest::of(format!("layer {index}")));
    let (_, layer) = writer.finish(&changeset.into_overlay(), diff_id)?;
    Ok((path, layer))
}

/// Merges the images of layers, and answers the fsmeta and the images of its device table.
fn join(layers: &[(PathBuf, LayerImage)], folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let read = |(path, place): (&PathBuf, u16)| {
        let image = Image::open(DiskFile(File::open(path).unwrap())).unwrap();
        Changeset::from_overlay(image.tree(place).unwrap()).unwrap()
    };
    let merged = merge(layers.iter().map(|(path, _)| path).zip(0..).map(read)).unwrap();
    let images: Vec<LayerImage> = layers.iter().map(|(_, image)| *image).collect();
    let path = folder.join("fsmeta");
    let facts = fsmeta::write(&merged.tree, &images, &mut File::create(&path).unwrap()).unwrap();
    (path, facts.devices.iter().map(|&index| layers[index].0.clone()).collect())
}

/// Whether the kernel can be asked; where it cannot, only the reader is.
fn kernel() -> bool {
    needs(&["root", "erofs from files"])
}

#[test]
fn a_sparse_file_beyond_4_gib_is_read_to_its_end() {
    const SIZE: u64 = (5 << 30) + 5;
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let sparse = folder.path().join("sparse");
        let file = DiskFile::create(&sparse).0;
        for (at, text) in [(0, "first"), ((4 << 30) + 4096, "fifth"), (SIZE - 5, "final")] {
            file.write_all_at(text.as_bytes(), at).unwrap();
        }
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_path_with_name(&sparse, "sparse").unwrap();
        let tar = tar.into_inner().unwrap();
        assert!(tar.len() < 1 << 20, "the tar is sparse too");

        let layer = build(&tar[..], &Limits::default(), folder.path(), 0).unwrap();
        let (fsmeta, devices) = join(&[layer], folder.path());
        if kernel() {
            let mount = Mount::erofs_from_files(&fsmeta, &devices);
            let file = File::open(mount.path().join("sparse")).unwrap();
            assert_eq!(file.metadata().unwrap().len(), SIZE);
            for (at, text) in [(0, "first"), ((4 << 30) + 4096, "fifth"), (SIZE - 5, "final")] {
                let mut read = [0; 5];
                file.read_exact_at(&mut read, at).unwrap();
                assert_eq!(read, *text.as_bytes());
            }
        }
    };
    if let Some(cost) = alone(work) {
        assert!(cost.peak_bytes < LITTLE_MEMORY, "{cost:?}");
    }
}

#[test]
fn a_directory_of_120_000_files_can_be_searched() {
    const FILES: u32 = 120_000;
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let tar = made((0..FILES).map(|index| header(&format!("d/file{index:06}"), 0)));
        let layer = build(tar, &Limits::default(), folder.path(), 0).unwrap();
        let (fsmeta, devices) = join(&[layer], folder.path());
        if kernel() {
            let mount = Mount::erofs_from_files(&fsmeta, &devices);
            let directory = mount.path().join("d");
            for index in (0..FILES).step_by(997) {
                assert!(fs::metadata(directory.join(format!("file{index:06}"))).is_ok());
                assert!(fs::metadata(directory.join(format!("file{index:06}x"))).is_err());
            }
            assert_eq!(fs::read_dir(directory).unwrap().count(), FILES as usize);
        }
    };
    if let Some(cost) = alone(work) {
        assert!(cost.peak_bytes < 256 << 20, "{cost:?}");
    }
}

#[test]
fn a_million_entries_are_accepted_and_refused_by_the_limit() {
    if !needs(&[LARGE]) {
        return;
    }
    let tar = || {
        made((0..1_000_001_u32).map(|index| header(&format!("d{:03}/{index}", index % 1000), 0)))
    };
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { entries_max: 1_000_000, ..Limits::default() };
        let refused = build(tar(), &limits, folder.path(), 0).unwrap_err();
        let cause = refused.source().unwrap().to_string();
        assert!(cause.contains("more than 1000000 entries"), "{refused}: {cause}");

        let layer = build(tar(), &Limits::default(), folder.path(), 1).unwrap();
        let (fsmeta, _) = join(&[layer], folder.path());
        let inos = Image::open(DiskFile(File::open(fsmeta).unwrap())).unwrap().superblock().inos;
        assert_eq!(inos, 1_000_001 + 1000 + 1);
    };
    if let Some(cost) = alone(work) {
        assert!(cost.peak_bytes < 2 << 30, "{cost:?}");
    }
}

#[test]
fn forty_layers_with_whiteouts_become_one_disk() {
    /// Each layer has 1,000 files, and hides every second one of the layer below.
    fn layer(index: usize) -> impl Read {
        made((0..1000).flat_map(move |file| {
            let own = format!("usr/share/d{}/{index}-{file}", file % 20);
            let hides = index > 0 && file % 2 == 0;
            let below = format!("usr/share/d{}/.wh.{}-{file}", file % 20, index.max(1) - 1);
            let mut content = vec![0; 512];
            content[..own.len()].copy_from_slice(own.as_bytes());
            let hidden = hides.then(|| header(&below, 0));
            [header(&own, 512), content].into_iter().chain(hidden)
        }))
    }
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let build = |index| build(layer(index), &Limits::default(), folder.path(), index).unwrap();
        let layers: Vec<_> = (0..40).map(build).collect();
        let (fsmeta, devices) = join(&layers, folder.path());
        assert_eq!(devices.len(), 40);
        if kernel() {
            let mount = Mount::erofs_from_files(&fsmeta, &devices);
            let mut files = 0;
            for directory in 0..20 {
                let directory = mount.path().join(format!("usr/share/d{directory}"));
                for entry in fs::read_dir(directory).unwrap() {
                    let path = entry.unwrap().path();
                    let own = path.strip_prefix(mount.path()).unwrap().to_str().unwrap();
                    let content = fs::read(&path).unwrap();
                    assert!(content.starts_with(own.as_bytes()), "{own}");
                    files += 1;
                }
            }
            assert_eq!(files, 39 * 500 + 1000);
        }
    };
    if let Some(cost) = alone(work) {
        assert!(cost.peak_bytes < 128 << 20, "{cost:?}");
    }
}

#[test]
fn a_gibibyte_behind_the_end_of_the_archive_is_refused() {
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let zeros = io::repeat(0).take(1 << 30);
        let tar = Cursor::new(header("a", 0)).chain(zeros);
        let refused = build(tar, &Limits::default(), folder.path(), 0).unwrap_err();
        let told = format!("{refused}: {:?}", refused.source().map(ToString::to_string));
        assert!(told.contains("trailer-bytes-max"), "{told}");
    };
    if let Some(cost) = alone(work) {
        assert!(cost.peak_bytes < LITTLE_MEMORY, "{cost:?}");
    }
}

/// A file of `members` times 64 MiB of zeros, each packed a thousand to one.
fn bomb(members: u64) -> impl Read {
    let pack = |bytes: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
        io::Write::write_all(&mut gzip, bytes).unwrap();
        gzip.finish().unwrap()
    };
    let zeros = pack(&vec![0; 1 << 20]).repeat(64);
    let head = pack(&header("zeros", members << 26));
    made(std::iter::once(head).chain(std::iter::repeat_n(zeros, usize::try_from(members).unwrap())))
}

#[test]
fn a_bomb_is_refused_unless_its_ratio_is_allowed() {
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let refused = build(bomb(20), &Limits::default(), folder.path(), 0).unwrap_err();
        let told = format!("{refused}: {:?}", refused.source().map(ToString::to_string));
        assert!(told.contains("ratio-max"), "{told}");

        let limits = Limits { ratio_max: None, ..Limits::default() };
        let (path, image) = build(bomb(20), &limits, folder.path(), 1).unwrap();
        assert_eq!(u64::from(image.blocks), (20 << 26) / 4096 + 2);
        assert!(fs::metadata(path).unwrap().blocks() * 512 < 1 << 20, "zeros are a hole");
    };
    if let Some(cost) = alone(work) {
        assert!(cost.peak_bytes < LITTLE_MEMORY, "{cost:?}");
    }
}
