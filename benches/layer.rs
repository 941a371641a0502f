//! The way of one layer, stage by stage: inflate and hash, the tar reader, the writer, and all of it from
//! `tar.gz` to layer image. Each on 64 MB of sources-like files, so that the figures can be added up.

use std::hint::black_box;
use std::io::{self, Read, Write};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::write::GzEncoder;
use sandbox_images::disk::erofs::layer::LayerWriter;
use sandbox_images::layer::changeset::Changeset;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::entry::{DataSink, Entry};
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::read::{ReadError, Visitor, read_layer};
use sandbox_images::oci::digest::{DiffId, Digest, Hasher, HashingReader};

const FILES: u32 = 8_000;
const FILES_PER_DIRECTORY: u32 = 100;
const FILE_BYTES: u32 = 8 << 10;

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

/// A layer image of `tar`, in memory.
fn image(tar: impl Read) -> Vec<u8> {
    let mut writer = LayerWriter::new(Vec::new()).expect("memory");
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
            let packed = io::BufReader::with_capacity(128 << 10, HashingReader::new(&*packed));
            let inflated = Decompressor::new(packed, &limits).expect("gzip");
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
    group.bench_function("tar.gz to image, hash both", |bencher| {
        bencher.iter_batched(
            || io::BufReader::with_capacity(128 << 10, HashingReader::new(&*packed)),
            |packed| {
                let inflated = Decompressor::new(packed, &limits).expect("gzip");
                image(HashingReader::new(inflated))
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn drain(mut reader: impl Read, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer).expect("a good stream") {
            0 => return,
            count => each(&buffer[..count]),
        }
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
