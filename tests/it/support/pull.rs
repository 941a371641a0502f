//! A whole pull through the library: an index by its tag, the manifest in it, the config, the layer. Tests
//! of the client ask for images through here only.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::document::Root;
use sandbox_images::oci::document::config::ImageConfig;
use sandbox_images::oci::document::descriptor::Descriptor;
use sandbox_images::oci::document::manifest::Manifest;
use sandbox_images::oci::document::search::{Search, Step};
use sandbox_images::oci::reference::Reference;
use sandbox_images::registry::Registry;
use sandbox_images::registry::error::{Error, ErrorKind};

use super::registry::{OCI_INDEX, OCI_MANIFEST, TestRegistry};

/// Bytes of the layer: a few frames, so that it can be cut in the middle.
pub(crate) const LAYER_BYTES: usize = 100_000;

/// Bytes of the layer before the middle.
pub(crate) const HALF: usize = 50_000;

/// The image's layer. The client does not look into it.
pub(crate) fn layer() -> Vec<u8> {
    (0..25_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// What an image is made of, by digest.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) index: Digest,
    pub(crate) manifest: Digest,
    pub(crate) config: Digest,
    pub(crate) layer: Digest,
}

/// Holds an image of one layer, behind an index, as `acme/tool:1`.
pub(crate) fn put_image(registry: &TestRegistry) -> Parts {
    let config = r#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#;
    let described = |media_type: &str, digest: Digest, bytes: usize| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{bytes}}}"#)
    };
    let (config, config_bytes) = (registry.put_blob(config), config.len());
    let layer = registry.put_blob(layer());
    let manifest_text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}]}}"#,
        described("application/vnd.oci.image.config.v1+json", config, config_bytes),
        described("application/vnd.oci.image.layer.v1.tar", layer, LAYER_BYTES),
    );
    let bytes = manifest_text.len();
    let manifest = registry.put_manifest("acme/tool", "amd64", OCI_MANIFEST, manifest_text);
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}",
        "digest":"{manifest}","size":{bytes},"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#
    );
    let index = registry.put_manifest("acme/tool", "1", OCI_INDEX, index);
    Parts { index, manifest, config, layer }
}

/// Why a pull failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client says so.
    Client(Box<Error>),
    /// The layer came whole, and is another one.
    OtherLayer,
}

impl Failure {
    /// The failure in a word or two: `Transport`, `Status 503`, `Document Digest`.
    pub(crate) fn name(&self) -> String {
        let variant = |debug: String| {
            let end = debug.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(debug.len());
            debug[..end].to_owned()
        };
        let Self::Client(error) = self else {
            return "other layer".to_owned();
        };
        match &**error {
            Error::Status { status, .. } => format!("Status {status}"),
            Error::Document { source, .. } => {
                format!("Document {}", variant(format!("{source:?}")))
            }
            other => variant(format!("{other:?}")),
        }
    }

    /// What the failure means to the caller.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Client(error) => error.kind(),
            Self::OtherLayer => ErrorKind::Integrity,
        }
    }

    /// Everything that is ever shown of it, causes included.
    pub(crate) fn text(&self) -> String {
        let Self::Client(error) = self else {
            return String::new();
        };
        let mut text = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(&**error);
        while let Some(error) = cause {
            text = format!("{text} {error} {error:?}");
            cause = error.source();
        }
        text
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(Box::new(error))
    }
}

/// Pulls `reference` for `linux/amd64`, one part after the other, and answers the bytes of its layers.
pub(crate) async fn pull(client: &Registry, reference: &Reference) -> Result<Vec<u8>, Failure> {
    let root = client.resolve(reference).await?;
    let manifest = match root.parsed() {
        Root::Manifest(manifest) => manifest.clone(),
        Root::Index(index) => {
            let mut search = Search::new("linux/amd64".parse().unwrap(), root.digest(), index);
            let Ok(Step::Found(found)) = search.step() else { panic!("no image for linux/amd64") };
            client.fetch_document::<Manifest>(reference, &found).await?.parsed().clone()
        }
    };
    client.fetch_document::<ImageConfig>(reference, &manifest.config).await?;
    let mut bytes = Vec::new();
    for layer in &manifest.layers {
        bytes.extend(fetch(client, reference, layer).await?);
    }
    Ok(bytes)
}

/// The bytes of a blob, if they are those that its digest names.
pub(crate) async fn fetch(
    client: &Registry,
    reference: &Reference,
    blob: &Descriptor,
) -> Result<Vec<u8>, Failure> {
    let chunks: Vec<_> = client.fetch_blob(reference, blob, ..).try_collect().await?;
    let bytes = chunks.concat();
    if Digest::of(&bytes) == blob.digest { Ok(bytes) } else { Err(Failure::OtherLayer) }
}

/// How often each of `texts` was sent to `registry`, in any header, path or body, also as base64 decodes.
pub(crate) fn sent_to(registry: &TestRegistry, texts: &[&str]) -> BTreeMap<String, usize> {
    let heard =
        registry.requests().into_iter().map(|seen| heard_in(&seen.headers, &seen.path, &seen.body));
    let heard: Vec<String> = heard.collect();
    let count = |text: &str| heard.iter().filter(|request| request.contains(text)).count();
    texts.iter().map(|text| ((*text).to_owned(), count(text))).collect()
}

/// All that a request says, and what its base64 hides.
fn heard_in(headers: &[(String, String)], path: &str, body: &str) -> String {
    let mut lines = vec![path.to_owned(), body.to_owned()];
    for (name, value) in headers {
        lines.push(format!("{name}: {value}"));
        let plain = value.split_whitespace().filter_map(|word| STANDARD.decode(word).ok());
        lines.extend(plain.map(|plain| String::from_utf8_lossy(&plain).into_owned()));
    }
    lines.join("\n")
}
