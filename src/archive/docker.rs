//! Archives as `docker save` writes them: a tar with `manifest.json`, which names a config and layers for each
//! image (Docker's `image/spec/v1.2.md`, "Combined Image JSON + Filesystem Changeset Format").
//!
//! Such an archive has no manifest that could have a digest. So one is made of what is there, by the rule in
//! `docs/lockfile.md`: the same content has the same digest, in whatever order the archive has it and
//! whoever wrote it. A layer that is not compressed is named by its `diff_id`, and who reads it verifies
//! that; only a compressed one is read for its digest.

mod rendered;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::archive::content::Content;
use crate::archive::error::Error;
use crate::archive::files::Files;
use crate::archive::members::Members;
use crate::layer::decompress::Compression;
use crate::oci::digest::Digest;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::error::DocumentError;
use crate::oci::document::json;
use crate::oci::document::media_type::OCI_CONFIG;
use crate::oci::document::parsed::{MANIFEST_BYTES_MAX, Parsed};
use crate::oci::document::{Document, Root};
use crate::oci::reference::{DOCKER_HUB, Reference};

/// The file that names the images.
const MANIFEST: &str = "manifest.json";

/// One image of a docker archive, with the documents that it has and the one that is made for it.
#[derive(Debug)]
pub struct ArchivedImage {
    archive: Arc<Members>,
    manifest: Document<Root>,
    config: Document<ImageConfig>,
    /// The name and the size of each layer's file.
    layers: BTreeMap<Digest, (String, u64)>,
}

/// An image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageJson {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

impl ArchivedImage {
    /// The image `selector` of `archive`: one of its tags, or `@N` for the one at place N, which counts from 0.
    /// Without a selector it is the only one.
    pub fn open(archive: Arc<Members>, selector: Option<&str>) -> Result<Self, Error> {
        let files = Files::Archive(Arc::clone(&archive));
        if !files.has(MANIFEST) {
            return Err(Error::NotADockerArchive { path: archive.path().to_owned() });
        }
        let text = files.read(MANIFEST, MANIFEST_BYTES_MAX)?;
        let refused = |name: &str, source| document_error(&archive, name, source);
        let size = text.len() as u64;
        if size > MANIFEST_BYTES_MAX {
            let limit = MANIFEST_BYTES_MAX;
            return Err(refused(MANIFEST, DocumentError::TooLarge { size, limit }));
        }
        let images: Vec<ImageJson> =
            json::read(&text).map_err(|source| refused(MANIFEST, source))?;
        let image = select(&archive, &images, selector)?;
        let config = files.read(&image.config, ImageConfig::BYTES_MAX)?;
        let config = Document::<ImageConfig>::parse(config, None);
        let config = config.map_err(|source| refused(&image.config, source))?;
        let named = image.layers.as_deref().unwrap_or_default();
        let layers = descriptors(&archive, named, &config)?;
        let files = named.iter().zip(&layers);
        let files = files.map(|(name, layer)| (layer.digest, (name.clone(), layer.size))).collect();
        let described = Descriptor::new(OCI_CONFIG, config.digest(), config.size());
        let manifest = Document::parse(rendered::manifest(&described, &layers), None);
        let manifest = manifest.map_err(|source| refused(MANIFEST, source))?;
        Ok(Self { archive, manifest, config, layers: files })
    }

    /// The digest of its manifest.
    pub const fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    /// Its manifest, which must have the digest `pin` if there is one.
    pub fn root(&self, pin: Option<Digest>) -> Result<Document<Root>, Error> {
        match pin {
            Some(pin) if pin != self.digest() => Err(self.not_held(pin)),
            _ => Ok(self.manifest.clone()),
        }
    }

    /// The document that `descriptor` describes: its manifest or its config.
    pub fn document<T: Parsed>(&self, descriptor: &Descriptor) -> Result<Document<T>, Error> {
        let bytes = match descriptor.digest {
            digest if digest == self.manifest.digest() => self.manifest.bytes(),
            digest if digest == self.config.digest() => self.config.bytes(),
            digest => return Err(self.not_held(digest)),
        };
        Document::verify(bytes.to_vec(), descriptor)
            .map_err(|source| document_error(&self.archive, MANIFEST, source))
    }

    /// The bytes of a layer, which has the descriptor's size. Its digest is for the reader to verify.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Content, Error> {
        let Some((name, actual)) = self.layers.get(&descriptor.digest) else {
            return Err(self.not_held(descriptor.digest));
        };
        if *actual != descriptor.size {
            let path = self.archive.path().join(name);
            return Err(Error::Size { path, expected: descriptor.size, actual: *actual });
        }
        self.archive.open_file(name).map(|(content, _)| content)
    }

    fn not_held(&self, digest: Digest) -> Error {
        let path: PathBuf = self.archive.path().to_owned();
        Error::NotHeld { path, digest, present: self.digest() }
    }
}

fn document_error(archive: &Members, name: &str, source: DocumentError) -> Error {
    Error::Document { path: archive.path().join(name), source: Box::new(source) }
}

/// The image that `selector` names.
fn select<'i>(
    archive: &Members,
    images: &'i [ImageJson],
    selector: Option<&str>,
) -> Result<&'i ImageJson, Error> {
    let fits = |&(place, image): &(usize, &ImageJson)| match selector {
        None => true,
        Some(selector) => {
            selector.strip_prefix('@').is_some_and(|number| number == place.to_string())
                || image.tags().any(|tag| is_same(tag, selector))
        }
    };
    let found: Vec<_> = images.iter().enumerate().filter(fits).collect();
    let (path, names) = (archive.path().to_owned(), names(images));
    match (&found[..], selector) {
        ([(_, only)], _) => Ok(only),
        ([], Some(selector)) => Err(Error::NoImage { path, selector: selector.to_owned(), names }),
        (several, _) => Err(Error::Several { path, count: several.len(), names }),
    }
}

impl ImageJson {
    fn tags(&self) -> impl Iterator<Item = &str> {
        self.repo_tags.iter().flatten().map(String::as_str)
    }
}

/// Whether two texts are one reference: `alpine` is `docker.io/library/alpine:latest`.
fn is_same(tag: &str, selector: &str) -> bool {
    let read = |text| Reference::parse(text, DOCKER_HUB).map(Reference::or_latest);
    tag == selector || read(tag).is_ok_and(|tag| read(selector).is_ok_and(|named| named == tag))
}

/// What the images can be selected by, sorted: their tags, and the place of one that has none.
fn names(images: &[ImageJson]) -> Vec<String> {
    let of_image = |(place, image): (usize, &ImageJson)| {
        let tags: Vec<String> = image.tags().map(str::to_owned).collect();
        if tags.is_empty() { vec![format!("@{place}")] } else { tags }
    };
    let mut names: Vec<String> = images.iter().enumerate().flat_map(of_image).collect();
    names.sort();
    names.dedup();
    names
}

/// The layers in the files `names`, which the `diff_id`s of `config` belong to.
fn descriptors(
    archive: &Members,
    names: &[String],
    config: &Document<ImageConfig>,
) -> Result<Vec<Descriptor>, Error> {
    let diff_ids = &config.parsed().diff_ids;
    if names.len() != diff_ids.len() {
        let (path, layers) = (archive.path().to_owned(), names.len());
        return Err(Error::LayerCount { path, layers, diff_ids: diff_ids.len() });
    }
    // Before any of them is read: one file may stand for all of them.
    archive
        .limits()
        .check_layers(names.len())
        .map_err(|source| Error::TooManyLayers { path: archive.path().to_owned(), source })?;
    let descriptor = |(name, diff_id): (&String, _)| {
        let (_, size) = archive.open_file(name)?;
        let packing = archive.compression_of(name)?;
        let digest = match packing {
            Compression::None => diff_id,
            Compression::Gzip | Compression::Zstd => archive.digest_of(name)?,
        };
        Ok(Descriptor::new(rendered::layer_type(packing), digest, size))
    };
    let diff_ids = diff_ids.iter().map(|diff_id| diff_id.0);
    names.iter().zip(diff_ids).map(descriptor).collect()
}
