//! OCI image layouts: directories with `oci-layout`, `index.json` and `blobs/` (OCI `image-layout.md`).
//!
//! A layout may come from anywhere, so it is read like an answer of a registry: documents are bounded and
//! verified, and a link that leads out of the directory is refused. The bytes of a blob are verified by who
//! reads them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::archive::error::Error;
use crate::oci::digest::Digest;
use crate::oci::document::descriptor::{Descriptor, check_digest};
use crate::oci::document::index::Index;
use crate::oci::document::media_type::OCI_INDEX;
use crate::oci::document::parsed::{MANIFEST_BYTES_MAX, Parsed};
use crate::oci::document::{Document, Root};

/// Bytes of `oci-layout`, which holds one version.
const MARKER_BYTES_MAX: u64 = 4 << 10;

/// The only version there is.
const VERSION: &str = "1.0.0";

/// An OCI image layout.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The directory, without links in its path.
    root: PathBuf,
    index: Index,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens the layout in the directory `path` and reads what images it holds.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let root =
            fs::canonicalize(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let not_a_layout = || Error::NotALayout { path: path.to_owned() };
        if !root.join("oci-layout").exists() {
            return Err(not_a_layout());
        }
        let marker = read(&root, &root.join("oci-layout"), MARKER_BYTES_MAX)?;
        let marker: Marker = serde_json::from_slice(&marker).map_err(|_| not_a_layout())?;
        if marker.image_layout_version != VERSION {
            return Err(Error::Version {
                path: path.to_owned(),
                version: marker.image_layout_version.escape_debug().to_string(),
            });
        }
        let index_path = root.join("index.json");
        let index = read(&root, &index_path, MANIFEST_BYTES_MAX)?;
        let index = Document::<Index>::parse(index, Some(OCI_INDEX))
            .map_err(|source| Error::Document { path: index_path, source: Box::new(source) })?
            .parsed()
            .clone();
        Ok(Self { root, index })
    }

    /// The index or manifest of the image `selector`, which is an entry's `org.opencontainers.image.ref.name`.
    /// Without a selector it is the only entry.
    pub fn resolve(&self, selector: Option<&str>) -> Result<&Descriptor, Error> {
        let fits = |entry: &&Descriptor| {
            selector.is_none_or(|selector| entry.ref_name() == Some(selector))
                && !entry.is_attestation()
        };
        let entries: Vec<&Descriptor> = self.index.manifests.iter().filter(fits).collect();
        match (&entries[..], selector) {
            ([only], _) => Ok(only),
            ([], Some(selector)) => Err(Error::NoImage {
                path: self.root.clone(),
                selector: selector.to_owned(),
                names: self.names(),
            }),
            (several, _) => Err(Error::Several {
                path: self.root.clone(),
                count: several.len(),
                names: self.names(),
            }),
        }
    }

    /// The names of the images in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let names = self.index.manifests.iter().filter_map(Descriptor::ref_name);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The document that `descriptor` describes: size, digest and media type agree.
    pub fn read_document<T: Parsed>(&self, descriptor: &Descriptor) -> Result<Document<T>, Error> {
        let path = self.blob_path(descriptor);
        let bytes = read(&self.root, &path, T::BYTES_MAX)?;
        Document::verify(bytes, descriptor)
            .map_err(|source| Error::Document { path, source: Box::new(source) })
    }

    /// The index or manifest with the digest `digest`, whether a name still leads to it or not.
    pub fn read_root(&self, digest: Digest) -> Result<Document<Root>, Error> {
        let path = self.root.join("blobs/sha256").join(digest.hex());
        let bytes = read(&self.root, &path, Root::BYTES_MAX)?;
        check_digest(&bytes, digest)
            .and_then(|()| Document::parse(bytes, None))
            .map_err(|source| Error::Document { path, source: Box::new(source) })
    }

    /// The file of a blob, which has the descriptor's size. Its digest is for the reader to verify.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<File, Error> {
        let path = self.blob_path(descriptor);
        let (file, actual) = open(&self.root, &path)?;
        if actual != descriptor.size {
            return Err(Error::Size { path, expected: descriptor.size, actual });
        }
        Ok(file)
    }

    fn blob_path(&self, descriptor: &Descriptor) -> PathBuf {
        self.root.join("blobs/sha256").join(descriptor.digest.hex())
    }
}

/// A regular file under `root` and its size. Links are followed as far as they stay under `root`.
fn open(root: &Path, path: &Path) -> Result<(File, u64), Error> {
    let io_error = |source| Error::Io { path: path.to_owned(), source };
    let true_path = fs::canonicalize(path).map_err(io_error)?;
    let is_file = fs::metadata(&true_path).map_err(io_error)?.is_file();
    if !true_path.starts_with(root) || !is_file {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let file = File::open(&true_path).map_err(io_error)?;
    let size = file.metadata().map_err(io_error)?.len();
    Ok((file, size))
}

/// The content of a file under `root` of at most `limit` bytes; of a longer one, one byte more than that.
fn read(root: &Path, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let (file, _) = open(root, path)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Io { path: path.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
