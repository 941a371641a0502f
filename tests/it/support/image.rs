//! Images in memory: layers as text, and around them the documents a registry or a layout serves.
//!
//! [`Layer`] wraps a layer tar, [`Image`] builds config, manifest and index over layers, one manifest a
//! platform, in OCI's media types or Docker's. All is a pure function of its input. The fields are open,
//! so that a test can state a wrong size, digest or `diff_id` before it builds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use sandbox_images::oci::digest::Digest;
use serde_json::{Value, json};

use super::layer_text::layer_tar;

/// How a layer's tar is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

/// Whose media types an image's documents carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Oci,
    Docker,
}

impl Family {
    pub(crate) fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    pub(crate) fn layer(self, compression: Compression) -> &'static str {
        match (self, compression) {
            (Self::Oci, Compression::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Self::Oci, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Docker, Compression::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (Self::Docker, Compression::Gzip) => {
                "application/vnd.docker.image.rootfs.diff.tar.gzip"
            }
            (Self::Docker, Compression::Zstd) => {
                "application/vnd.docker.image.rootfs.diff.tar.zstd"
            }
        }
    }
}

/// One layer as it is served, and what its image says of it.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// The packed tar.
    pub(crate) blob: Vec<u8>,
    pub(crate) compression: Compression,
    /// What the manifest will state as the blob's digest, `sha256:…`.
    pub(crate) digest: String,
    /// What the config will state as the tar's digest, `sha256:…`.
    pub(crate) diff_id: String,
}

impl Layer {
    /// The layer of these lines (see `layer_text`), gzipped.
    pub(crate) fn new(lines: &str) -> Self {
        Self::packed(&layer_tar(lines), Compression::Gzip)
    }

    /// A layer of a ready tar.
    pub(crate) fn packed(tar: &[u8], compression: Compression) -> Self {
        let blob = pack(tar, compression).expect("packing into memory cannot fail");
        Self {
            digest: Digest::of(&blob).to_string(),
            diff_id: Digest::of(tar).to_string(),
            blob,
            compression,
        }
    }
}

fn pack(tar: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Plain => Ok(tar.to_vec()),
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(tar)?;
            gzip.finish()
        }
        Compression::Zstd => zstd::stream::encode_all(tar, 3),
    }
}

/// What one document says of another: media type, digest, size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
}

impl Described {
    /// Describes a document of our own making.
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
        }
    }

    /// The descriptor as documents hold it.
    pub(crate) fn json(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.size })
    }
}

/// The documents of one platform.
#[derive(Debug, Clone)]
pub(crate) struct PlatformImage {
    pub(crate) manifest: Described,
    pub(crate) config: Described,
    pub(crate) layers: Vec<Described>,
    /// The layers' `diff_id`s, in the same order.
    pub(crate) diff_ids: Vec<String>,
}

/// A whole image: every document and layer by its digest.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// All bytes, by `sha256:…`.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// By `os/architecture[/variant]`.
    pub(crate) platforms: BTreeMap<String, PlatformImage>,
    /// What a tag points at: the index, or the only manifest of an image without one.
    pub(crate) root: Described,
}

impl Image {
    /// An image with an index over these platforms: `[("linux/amd64", vec![&base, &app]), …]`.
    pub(crate) fn multi(platforms: &[(&str, Vec<&Layer>)]) -> Self {
        Self::in_family(Family::Oci, platforms)
    }

    /// As [`Image::multi`], with a choice of media types.
    pub(crate) fn in_family(family: Family, platforms: &[(&str, Vec<&Layer>)]) -> Self {
        let mut blobs = BTreeMap::new();
        let built: BTreeMap<String, PlatformImage> = platforms
            .iter()
            .map(|(name, layers)| {
                ((*name).to_owned(), platform_image(&mut blobs, family, name, layers))
            })
            .collect();
        let manifests: Vec<Value> = platforms
            .iter()
            .map(|(name, _)| {
                let mut descriptor = built[*name].manifest.json();
                descriptor["platform"] = platform_json(name);
                descriptor
            })
            .collect();
        let index = json!({
            "schemaVersion": 2, "mediaType": family.index(), "manifests": manifests,
        });
        let root = add_document(&mut blobs, family.index(), &index);
        Self { blobs, platforms: built, root }
    }

    /// An image for one platform whose tag points at its manifest, with no index.
    pub(crate) fn single(family: Family, platform: &str, layers: &[&Layer]) -> Self {
        let mut blobs = BTreeMap::new();
        let built = platform_image(&mut blobs, family, platform, layers);
        let root = built.manifest.clone();
        Self { blobs, platforms: [(platform.to_owned(), built)].into(), root }
    }

    /// The bytes of what a tag points at.
    pub(crate) fn root_bytes(&self) -> &[u8] {
        &self.blobs[&self.root.digest]
    }

    /// Stores the image as an OCI layout directory that holds nothing else, under `tag`.
    pub(crate) fn write_layout(&self, directory: &Path, tag: &str) -> io::Result<()> {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for (digest, bytes) in &self.blobs {
            let name = digest.strip_prefix("sha256:").unwrap_or(digest);
            fs::write(blobs.join(name), bytes)?;
        }
        write_layout_index(directory, &self.root, tag)
    }
}

/// Writes what makes a directory of blobs an OCI layout: `oci-layout` and an `index.json` of one tag.
pub(crate) fn write_layout_index(directory: &Path, root: &Described, tag: &str) -> io::Result<()> {
    let mut descriptor = root.json();
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let index = json!({
        "schemaVersion": 2, "mediaType": Family::Oci.index(), "manifests": [descriptor],
    });
    fs::write(directory.join("index.json"), index.to_string())?;
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
}

fn platform_image(
    blobs: &mut BTreeMap<String, Vec<u8>>,
    family: Family,
    platform: &str,
    layers: &[&Layer],
) -> PlatformImage {
    let described: Vec<Described> = layers
        .iter()
        .map(|layer| Described {
            media_type: family.layer(layer.compression).to_owned(),
            digest: layer.digest.clone(),
            size: layer.blob.len() as u64,
        })
        .collect();
    for layer in layers {
        blobs.insert(layer.digest.clone(), layer.blob.clone());
    }
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = add_document(blobs, family.config(), &config_json(platform, &diff_ids));
    let layers_json: Vec<Value> = described.iter().map(Described::json).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": family.manifest(),
        "config": config.json(), "layers": layers_json,
    });
    let manifest = add_document(blobs, family.manifest(), &manifest);
    PlatformImage { manifest, config, layers: described, diff_ids }
}

/// The config of an image of these layers.
pub(crate) fn config_json(platform: &str, diff_ids: &[String]) -> Value {
    let mut config = platform_json(platform);
    config["created"] = json!("2023-11-14T22:13:20Z");
    config["config"] = json!({
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["/bin/sh"], "WorkingDir": "/",
    });
    config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
    config
}

fn platform_json(platform: &str) -> Value {
    let mut words = platform.split('/');
    let mut json = json!({ "os": words.next(), "architecture": words.next() });
    if let Some(variant) = words.next() {
        json["variant"] = json!(variant);
    }
    json
}

fn add_document(
    blobs: &mut BTreeMap<String, Vec<u8>>,
    media_type: &str,
    document: &Value,
) -> Described {
    let bytes = document.to_string().into_bytes();
    let described = Described::of(media_type, &bytes);
    blobs.insert(described.digest.clone(), bytes);
    described
}

#[test]
fn every_document_of_an_image_is_there_under_its_digest() {
    let base = Layer::new("/etc/ 0755\n/etc/motd 0644 hello");
    let app = Layer::packed(&layer_tar("/app 0755 run"), Compression::Zstd);
    let image =
        Image::multi(&[("linux/amd64", vec![&base, &app]), ("linux/arm64/v9", vec![&base])]);

    assert_eq!(image.blobs.len(), 2 + 2 * 2 + 1, "layers, manifests and configs, index");
    for (digest, bytes) in &image.blobs {
        assert_eq!(*digest, Digest::of(bytes).to_string());
    }
    let index: Value = serde_json::from_slice(image.root_bytes()).expect("the index is JSON");
    assert_eq!(index["manifests"][1]["platform"]["variant"], "v9");
    let arm = &image.platforms["linux/arm64/v9"];
    assert_eq!(index["manifests"][1]["digest"], arm.manifest.digest);
    assert_eq!(arm.diff_ids, [base.diff_id]);
}
