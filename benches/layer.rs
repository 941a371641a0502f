//! The way of one layer, stage by stage: inflate and hash, the tar reader, the writer, and all of it from
//! `tar.gz` to layer image. Each on 64 MB of sources-like files, so that the figures can be added up. `floor`
//! is what nobody can do without: inflate, hash both sides, write once. Then a directory that grows.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::write::GzEncoder;
use sandbox_images::disk::erofs::layer::LayerWriter;
use sandbox_images::disk::file::{BlockFile, ReadAt};
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::entry::{DataSink, Entry};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::read::{ReadError, Visitor, read_layer};
use sandbox_images::oci::digest::{DiffId, Digest, Hasher, HashingReader};

const FILES: u32 = 8_000;
const FILES_PER_DIRECTORY: u32 = 100;
const FILE_BYTES: u32 = 8 << 10;
const BUFFER_BYTES: usize = 256 << 10;

/// A temporary file.
struct Temporary(File);

impl Temporary {
    fn new() -> Self {
        Self(tempfile::tempfile().expect("a file"))
    }
}

impl ReadAt for Temporary {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset_bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}

impl BlockFile for Temporary {
    fn write_at(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset_bytes)
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.0.set_len(size_bytes)
    }
}

/// Forgets data.
struct Nowhere;

impl DataSink for Nowhere {
    fn write(&mut self, _: u64, bytes: &[u8]) -> io::Result<()> {
        black_box(bytes);
        Ok(())
    }

    fn finish(&mut self, _: u64) -> io::Result<u32> {
        Ok(1)
    }
}

/// Forgets entries.
struct Nobody;

impl Visitor for Nobody {
    type Error = ReadError;

    fn wants_data(&mut self, _: &Entry) -> Result<bool, ReadError> {
        Ok(true)
    }

    fn entry(&mut self, entry: Entry, _: u32) -> Result<(), ReadError> {
        black_box(entry);
        Ok(())
    }
}

/// Text that compresses about as well as sources do, without a random number: a multiplicative generator
/// chooses among 512 words.
fn text(seed: u32, size: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut bytes = Vec::new();
    while bytes.len() < size as usize {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write!(bytes, "{:x} ", (state >> 23).wrapping_mul(0x9e37_79b9) >> 12).expect("memory");
    }
    bytes.truncate(size as usize);
    bytes
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..FILES {
        let data = text(number, number.wrapping_mul(7919) % (2 * FILE_BYTES));
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        let path = format!("usr/lib/d{}/f{number}", number / FILES_PER_DIRECTORY);
        tar.append_data(&mut header, path, data.as_slice()).expect("a name that fits");
    }
    tar.into_inner().expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

/// `files` empty files in one directory.
fn directory(files: u32) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..files {
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("directory/{number:x}"), io::empty()).expect("a name");
    }
    tar.into_inner().expect("memory")
}

/// A layer image of `tar`.
fn image(tar: impl BufRead) -> Temporary {
    let mut writer = LayerWriter::new(Temporary::new()).expect("a file");
    let changeset = Changeset::read(tar, &Limits::default(), 0, &mut writer).expect("a good layer");
    let diff_id = DiffId(Digest::of("layer"));
    writer.finish(&changeset.into_overlay(), diff_id).expect("a layer that fits").0
}

fn stages(criterion: &mut Criterion) {
    let plain = tar();
    let packed = gzip(&plain);
    let mut group = criterion.benchmark_group("layer");
    group.sample_size(10).throughput(Throughput::Bytes(plain.len() as u64));
    let limits = Limits::default();
    group.bench_function("sha256", |bencher| bencher.iter(|| Digest::of(&plain)));
    group.bench_function("inflate", |bencher| {
        bencher.iter(|| {
            let inflated = Decompressor::new(packed.as_slice(), &limits).expect("gzip");
            drain(inflated, |_| {});
        });
    });
    group.bench_function("inflate and hash both", |bencher| {
        bencher.iter(|| {
            let inflated = Decompressor::new(hashed(&packed), &limits).expect("gzip");
            let mut hasher = Hasher::new();
            drain(inflated, |bytes| hasher.update(bytes));
            hasher.finish()
        });
    });
    group.bench_function("tar reader", |bencher| {
        bencher.iter(|| read_layer(&*plain, &limits, &mut Nowhere, &mut Nobody).expect("a tar"));
    });
    group.bench_function("tar to changeset", |bencher| {
        bencher.iter(|| Changeset::read(&*plain, &limits, 0, &mut Nowhere).expect("a tar"));
    });
    group.bench_function("tar to image", |bencher| bencher.iter(|| image(&*plain)));
    group.bench_function("floor", |bencher| {
        bencher.iter(|| {
            let mut file = Temporary::new().0;
            let inflated = Decompressor::new(hashed(&packed), &limits).expect("gzip");
            let mut hasher = Hasher::new();
            drain(inflated, |bytes| {
                hasher.update(bytes);
                file.write_all(bytes).expect("room");
            });
            hasher.finish()
        });
    });
    group.bench_function("tar.gz to image, hash both", |bencher| {
        bencher.iter(|| {
            let inflated = Decompressor::new(hashed(&packed), &limits).expect("gzip");
            image(HashingReader::new(BufReader::with_capacity(BUFFER_BYTES, inflated)))
        });
    });
    group.finish();
}

fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one directory");
    group.sample_size(10);
    for files in [8_000, 80_000] {
        let tar = directory(files);
        group.throughput(Throughput::Elements(files.into()));
        group.bench_function(BenchmarkId::from_parameter(files), |bencher| {
            bencher.iter(|| image(&*tar));
        });
    }
    group.finish();
}

fn hashed(packed: &[u8]) -> BufReader<HashingReader<&[u8]>> {
    BufReader::with_capacity(128 << 10, HashingReader::new(packed))
}

fn drain(mut reader: impl Read, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer).expect("a good stream") {
            0 => return,
            count => each(&buffer[..count]),
        }
    }
}

criterion_group!(benches, stages, growth);
criterion_main!(benches);
