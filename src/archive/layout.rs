//! OCI image layouts: `oci-layout`, `index.json` and `blobs/` (OCI `image-layout.md`), in a directory or in a
//! tar archive.
//!
//! A layout may come from anywhere, so it is read like an answer of a registry: documents are bounded and
//! verified, and a link that leads out of the layout is refused. The bytes of a blob are verified by who
//! reads them.

use std::path::PathBuf;

use serde::Deserialize;

use crate::archive::content::Content;
use crate::archive::error::Error;
use crate::archive::files::Files;
use crate::oci::digest::Digest;
use crate::oci::document::descriptor::{Descriptor, check_digest};
use crate::oci::document::error::DocumentError;
use crate::oci::document::index::Index;
use crate::oci::document::media_type::OCI_INDEX;
use crate::oci::document::parsed::{MANIFEST_BYTES_MAX, Parsed};
use crate::oci::document::{Document, Root};

/// The file that makes a directory a layout.
const MARKER: &str = "oci-layout";

/// The file that names the images.
const INDEX: &str = "index.json";

/// Bytes of [`MARKER`], which holds one version.
const MARKER_BYTES_MAX: u64 = 4 << 10;

/// The only version there is.
const VERSION: &str = "1.0.0";

/// An OCI image layout.
#[derive(Debug, Clone)]
pub struct Layout {
    files: Files,
    index: Index,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Reads what images the layout of these files holds.
    pub fn open(files: Files) -> Result<Self, Error> {
        let not_a_layout = || Error::NotALayout { path: files.path().to_owned() };
        if !files.has(MARKER) {
            return Err(not_a_layout());
        }
        let marker = files.read(MARKER, MARKER_BYTES_MAX)?;
        let marker: Marker = serde_json::from_slice(&marker).map_err(|_| not_a_layout())?;
        if marker.image_layout_version != VERSION {
            return Err(Error::Version {
                path: files.path().to_owned(),
                version: marker.image_layout_version.escape_debug().to_string(),
            });
        }
        let index = files.read(INDEX, MANIFEST_BYTES_MAX)?;
        let index = Document::<Index>::parse(index, Some(OCI_INDEX))
            .map_err(|source| Error::Document {
                path: files.path().join(INDEX),
                source: Box::new(source),
            })?
            .parsed()
            .clone();
        Ok(Self { files, index })
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
                path: self.files.path().to_owned(),
                selector: selector.to_owned(),
                names: self.names(),
            }),
            (several, _) => Err(Error::Several {
                path: self.files.path().to_owned(),
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
        let bytes = self.files.read(&blob(descriptor.digest), T::BYTES_MAX)?;
        let document = Document::verify(bytes, descriptor);
        document.map_err(|source| self.refused(descriptor.digest, source))
    }

    /// The index or manifest with the digest `digest`, whether a name still leads to it or not.
    pub fn read_root(&self, digest: Digest) -> Result<Document<Root>, Error> {
        let bytes = self.files.read(&blob(digest), Root::BYTES_MAX)?;
        check_digest(&bytes, digest)
            .and_then(|()| Document::parse(bytes, None))
            .map_err(|source| self.refused(digest, source))
    }

    /// The bytes of a blob, which has the descriptor's size. Its digest is for the reader to verify.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Content, Error> {
        let (content, actual) = self.files.open(&blob(descriptor.digest))?;
        if actual != descriptor.size {
            let path = self.path_of(descriptor.digest);
            return Err(Error::Size { path, expected: descriptor.size, actual });
        }
        Ok(content)
    }

    fn refused(&self, digest: Digest, source: DocumentError) -> Error {
        Error::Document { path: self.path_of(digest), source: Box::new(source) }
    }

    fn path_of(&self, digest: Digest) -> PathBuf {
        self.files.path().join(blob(digest))
    }
}

/// The name of a blob's file.
fn blob(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

#[cfg(test)]
mod tests;
