//! Writes the seeds of every target to `corpus/TARGET/`: small examples of all that a target knows, made here
//! and taken from the project's own test data, so that a fuzzer starts behind the first checks.
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds
//! ```

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sandbox_images::disk::erofs::fsmeta;
use sandbox_images::layer::decompress::Decompressor;
use sandbox_images::layer::limits::Limits;
use sandbox_images::layer::merge::merge;
use sandbox_images_fuzz::archive::{Archive, Format, Header, record};
use sandbox_images_fuzz::events::small_limits;
use sandbox_images_fuzz::script;
use sandbox_images_fuzz::sparse::{ENCODINGS, SparseFile};
use sandbox_images_fuzz::stack::{Layer, layer};

/// Longer seeds make a fuzzer slow.
const SEED_BYTES_MAX: usize = 48 << 10;

/// Random scripts of each kind.
const SCRIPTS: u64 = 200;

fn main() -> io::Result<()> {
    let tars = tars()?;
    let scripts: Vec<Vec<u8>> =
        (0..SCRIPTS).map(|seed| noise(seed, 20 + seed as usize % 100)).collect();
    let with_mode = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();

    write(
        "layer_tar",
        tars.iter().cloned().chain(scripts.iter().flat_map(|it| script::layers(it))),
    )?;
    let as_tars = tars.iter().map(|tar| with_mode(0, tar));
    write("layer_round_trip", as_tars.chain(scripts.iter().map(|it| with_mode(1, it))))?;
    write("pax", pax().into_iter().chain(scripts.iter().map(|it| with_mode(1, it))))?;
    let raw_maps = raw_maps().into_iter().zip(0x80..).map(|(map, mode)| with_mode(mode, &map));
    write("sparse_map", raw_maps.chain(scripts.iter().map(|it| with_mode(0, it))))?;
    write("erofs_read", images(&scripts))?;
    write("decompress", compressed(&tars)?)?;
    write("reference", REFERENCES.map(|it| it.as_bytes().to_vec()))?;
    write("manifest", documents().map(String::into_bytes))?;
    write("lock", files(&root().join("tests/data/locks"))?)?;
    write("image_set", IMAGE_SETS.map(|it| it.as_bytes().to_vec()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Writes the seeds of one target, numbered.
fn write(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    let mut count = 0;
    for seed in seeds.into_iter().filter(|seed| seed.len() <= SEED_BYTES_MAX) {
        fs::write(folder.join(format!("seed-{count:04}")), seed)?;
        count += 1;
    }
    println!("{target}: {count} seeds");
    Ok(())
}

/// Bytes that look random and depend on the seed alone.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24).to_le_bytes()[0]
    };
    (0..count).map(step).collect()
}

fn files(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?;
    paths.sort();
    paths.into_iter().filter(|path| path.is_file()).map(fs::read).collect()
}

/// One tar of each format and feature, and the hand-made ones of the tests.
fn tars() -> io::Result<Vec<Vec<u8>>> {
    let mut tars = vec![Vec::new(), Archive::default().end()];
    for format in [Format::V7, Format::Ustar, Format::Gnu] {
        let mut archive = Archive::default();
        for typeflag in *b"\x000123456" {
            let header = Header { format, link: b"target", ..Header::new(typeflag, b"dir/name") };
            archive = archive.raw(&header, b"");
        }
        tars.push(
            archive.raw(&Header { format, size: 5, ..Header::new(b'0', b"f") }, b"hello").end(),
        );
    }
    let long = [b'n'; 200];
    let gnu = Archive::default().entry(b'L', b"././@LongLink", &long).entry(b'K', b"x", &long);
    tars.push(gnu.entry(b'1', b"short", b"").end());
    for body in pax() {
        let archive = Archive::default().entry(b'x', b"pax", &body[1..]);
        tars.push(archive.entry(b'0', b"f", b"hello").end());
    }
    let file = SparseFile { size: 9000, regions: vec![(5, 3), (4096, 2)], data: b"abcde".to_vec() };
    for encoding in ENCODINGS {
        tars.push(file.add_to(Archive::default(), encoding, b"s").end());
    }
    for bytes in files(&root().join("tests/data/layers"))? {
        let mut tar = Vec::new();
        let reader = Decompressor::new(&bytes[..], &Limits::default())?;
        if reader.take(SEED_BYTES_MAX as u64 + 1).read_to_end(&mut tar).is_ok()
            && !bytes.starts_with(b"{")
        {
            tars.push(tar);
        }
    }
    Ok(tars)
}

/// Bodies of PAX headers, each behind the byte that says that it is one.
fn pax() -> Vec<Vec<u8>> {
    let records: [&[(&str, &str)]; 6] = [
        &[("path", "long/name"), ("path", ""), ("linkpath", "to")],
        &[("mtime", "-5.25"), ("uid", "4294967295"), ("gid", "1"), ("size", "5")],
        &[("SCHILY.xattr.user.a", "line\nfeed"), ("SCHILY.xattr.user.b", ""), ("unknown", "x")],
        &[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")],
        &[("GNU.sparse.map", "0,5"), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.size", "9")],
        &[("GNU.sparse.offset", "1"), ("GNU.sparse.numbytes", "5"), ("GNU.sparse.numblocks", "1")],
    ];
    let body = |records: &&[(&str, &str)]| {
        let records =
            records.iter().flat_map(|(key, value)| record(key.as_bytes(), value.as_bytes()));
        std::iter::once(0).chain(records).collect()
    };
    records.iter().map(body).collect()
}

/// The text of a map in each encoding.
fn raw_maps() -> [Vec<u8>; 4] {
    let mut old = b"00000000005\000000000003\000000000100\000000000002\0".to_vec();
    old.resize(96, 0);
    old.extend(b"\x0000000001000\0abcde");
    let mut text = b"2\n5\n3\n100\n2\n".to_vec();
    text.resize(512, 0);
    [old, b"o5\n3\no100\n1\nb2".to_vec(), b"\x020,2,50,2".to_vec(), [&text[..], b"abcde"].concat()]
}

/// Layer images and an fsmeta of each script that is a stack.
fn images(scripts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut images = Vec::new();
    for script in scripts {
        let layers = script::layers(script);
        let read = layers.iter().zip(0..).map(|(tar, index)| layer(tar, &small_limits(), index));
        let Ok(layers) = read.collect::<Result<Vec<Layer>, _>>() else { continue };
        if let Ok(merged) = merge(layers.iter().map(|layer| layer.changeset.clone())) {
            let facts: Vec<_> = layers.iter().map(|layer| layer.facts).collect();
            let mut bytes = Vec::new();
            if fsmeta::write(&merged.tree, &facts, &mut bytes).is_ok() {
                images.push(bytes);
            }
        }
        images.extend(layers.into_iter().map(|layer| layer.image));
    }
    images
}

/// Some tars in each compression, in several parts and with what may stand around them.
fn compressed(tars: &[Vec<u8>]) -> io::Result<Vec<Vec<u8>>> {
    const SKIPPABLE: &[u8] = b"\x50\x2a\x4d\x18\x04\0\0\0skip";
    let mut streams = vec![b"plain".to_vec(), SKIPPABLE.to_vec()];
    for tar in tars.iter().take(12) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(tar)?;
        let gzip = gzip.finish()?;
        let zstd = zstd::encode_all(&tar[..], 3)?;
        streams.push([&gzip[..], &gzip, &[0; 100]].concat());
        streams.push([SKIPPABLE, &zstd, SKIPPABLE, &zstd].concat());
        streams.extend([gzip, zstd]);
    }
    Ok(streams)
}

const REFERENCES: [&str; 14] = [
    "alpine",
    "alpine:3.20",
    "docker.io/library/alpine",
    "index.docker.io/alpine",
    "ghcr.io/acme/tool:1.4@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "localhost:5000/a/b",
    "[::1]:5000/a",
    "UPPER.example/a__b/c--d.e:_tag",
    "oci:./images/base:v1",
    "docker-archive:a.tar:name:tag",
    "linux/amd64",
    "linux/arm64/v8",
    "linux/arm/v7",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// One document of each kind.
fn documents() -> [String; 5] {
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let descriptor = |media_type: &str, more: &str| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":1022{more}}}"#)
    };
    let oci = "application/vnd.oci.image";
    let docker = "application/vnd.docker.distribution.manifest";
    let platform = r#","platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#;
    let entry = descriptor(&format!("{oci}.manifest.v1+json"), platform);
    let nested = descriptor(&format!("{oci}.index.v1+json"), r#","annotations":{"a":"b"}"#);
    let config = descriptor(&format!("{oci}.config.v1+json"), "");
    let layer = descriptor(&format!("{oci}.layer.v1.tar+gzip"), "");
    let manifest = |media_type: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layer},{layer}]}}"#
        )
    };
    [
        format!(r#"{{"schemaVersion":2,"manifests":[{entry},{nested}]}}"#),
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{docker}.list.v2+json","manifests":[{entry}]}}"#
        ),
        manifest(&format!("{oci}.manifest.v1+json")),
        manifest(&format!("{docker}.v2+json")),
        format!(
            r#"{{"os":"linux","architecture":"arm64","variant":"v8","config":{{"Env":["A=b"],"Cmd":["sh"],
            "User":"1:2"}},"rootfs":{{"type":"layers","diff_ids":["{digest}"]}},"history":[]}}"#
        ),
    ]
}

const IMAGE_SETS: [&str; 3] = [
    "manifest-version = 1\n[images]\nalpine = \"docker.io/library/alpine:3.20\"\n",
    include_str!("../../tests/data/image-sets/every-key.toml"),
    "[images]\na = { image = \"b\", plattforms = [\"x\"] }\n[store]\npath = 1\n",
];
