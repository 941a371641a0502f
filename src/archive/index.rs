//! The files that make blobs an OCI layout (OCI `image-layout.md`), as they are written.

use serde::Serialize;

use crate::oci::digest::Digest;
use crate::oci::document::media_type::OCI_INDEX;
use crate::oci::reference::Reference;
use crate::spec::lockfile::LockedImage;
use crate::spec::name::ImageName;

/// The file that says that this is a layout.
pub const MARKER: &str = "oci-layout";

/// What it holds.
pub const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The file that names the images.
pub const INDEX: &str = "index.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexJson<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: Vec<EntryJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
    annotations: NamesJson<'a>,
}

#[derive(Serialize)]
struct NamesJson<'a> {
    /// Read by containerd and `docker load`.
    #[serde(rename = "io.containerd.image.name", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(rename = "org.opencontainers.image.ref.name")]
    name: &'a str,
}

/// The bytes of `index.json`: what each image is pinned to, index or manifest, under its name in the lock, and
/// its reference without a digest beside that.
pub(crate) fn index<'a>(
    images: impl IntoIterator<Item = (&'a ImageName, &'a LockedImage)>,
) -> Vec<u8> {
    let entry = |(name, image): (&'a ImageName, &'a LockedImage)| EntryJson {
        media_type: image.media_type.media_type(),
        digest: image.digest,
        size: image.size,
        annotations: NamesJson {
            reference: image
                .source
                .reference()
                .and_then(Reference::without_digest)
                .map(|reference| reference.to_string()),
            name: name.as_str(),
        },
    };
    let index = IndexJson {
        schema_version: 2,
        media_type: OCI_INDEX,
        manifests: images.into_iter().map(entry).collect(),
    };
    serde_json::to_vec(&index).expect("texts and numbers are always JSON")
}
