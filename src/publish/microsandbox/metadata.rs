//! What microsandbox knows of an image: one JSON document for each way to ask for it. Every field is there,
//! and the two documents of the registry stand in it as they are, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::oci::digest::{DiffId, Digest};
use crate::oci::document::Document;
use crate::oci::document::config::ImageConfig;
use crate::oci::document::manifest::Manifest;
use crate::publish::error::Error;

/// Bytes of such a document that are read: both documents at their largest, with half of them escaped.
pub(super) const BYTES_MAX: u64 = 32 << 20;

/// What is known of an image.
#[derive(Debug, Serialize)]
struct Metadata<'a> {
    manifest_digest: Digest,
    config_digest: Digest,
    raw_manifest_json: &'a str,
    raw_config_json: &'a str,
    config: Config<'a>,
    layers: Vec<Layer<'a>>,
}

/// How the image is started. What the config leaves out is `null`, an empty list or an empty map.
#[derive(Debug, Serialize)]
struct Config<'a> {
    env: &'a [String],
    cmd: Option<&'a [String]>,
    entrypoint: Option<&'a [String]>,
    working_dir: Option<&'a str>,
    user: Option<&'a str>,
    exposed_ports: &'a [String],
    volumes: &'a [String],
    labels: &'a BTreeMap<String, String>,
    stop_signal: Option<&'a str>,
}

/// A layer, bottom to top.
#[derive(Debug, Serialize)]
struct Layer<'a> {
    digest: Digest,
    media_type: &'a str,
    size_bytes: u64,
    diff_id: DiffId,
}

/// The document about the image with this manifest and config, and these layers.
pub(super) fn render(
    manifest: &Document<Manifest>,
    config: &Document<ImageConfig>,
    diff_ids: &[DiffId],
) -> Result<Vec<u8>, Error> {
    let layers = &manifest.parsed().layers;
    if layers.len() != diff_ids.len() {
        let (expected, actual) = (diff_ids.len(), layers.len());
        return Err(Error::Layers { manifest: manifest.digest(), expected, actual });
    }
    let metadata = Metadata {
        manifest_digest: manifest.digest(),
        config_digest: config.digest(),
        raw_manifest_json: text(manifest.bytes(), manifest.digest())?,
        raw_config_json: text(config.bytes(), config.digest())?,
        config: of(config.parsed()),
        layers: layers
            .iter()
            .zip(diff_ids)
            .map(|(layer, &diff_id)| Layer {
                digest: layer.digest,
                media_type: &layer.media_type,
                size_bytes: layer.size,
                diff_id,
            })
            .collect(),
    };
    Ok(serde_json::to_vec(&metadata).expect("texts, numbers and lists are always JSON"))
}

fn of(config: &ImageConfig) -> Config<'_> {
    Config {
        env: &config.env,
        cmd: unless_empty(&config.cmd),
        entrypoint: unless_empty(&config.entrypoint),
        working_dir: Some(config.working_dir.as_str()).filter(|text| !text.is_empty()),
        user: Some(config.user.as_str()).filter(|text| !text.is_empty()),
        exposed_ports: &config.exposed_ports,
        volumes: &config.volumes,
        labels: &config.labels,
        stop_signal: config.stop_signal.as_deref(),
    }
}

fn unless_empty(words: &[String]) -> Option<&[String]> {
    (!words.is_empty()).then_some(words)
}

fn text(bytes: &[u8], digest: Digest) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| Error::NotText(digest))
}

/// What such a document refers to, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mentions {
    pub(super) manifest: String,
    pub(super) diff_ids: BTreeSet<String>,
}

/// Reads what a document refers to; `None` of one that microsandbox would not use either.
pub(super) fn mentions(bytes: &[u8]) -> Option<Mentions> {
    #[derive(Deserialize)]
    struct OfImage {
        manifest_digest: String,
        layers: Vec<OfLayer>,
    }
    #[derive(Deserialize)]
    struct OfLayer {
        diff_id: String,
    }
    let OfImage { manifest_digest, layers } = serde_json::from_slice(bytes).ok()?;
    let diff_ids = layers.into_iter().map(|layer| layer.diff_id).collect();
    Some(Mentions { manifest: manifest_digest, diff_ids })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"os":"linux","architecture":"amd64",
  "rootfs":{"type":"layers","diff_ids":["sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]},
  "config":{"Env":["A=\"é\""],"Cmd":["sh"],"ExposedPorts":{"80/tcp":{}},"Labels":{"b":"2","a":"1"}}}"#;

    const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
  "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","size":2},
  "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":7}]}"#;

    #[test]
    fn a_document_has_every_field_and_the_exact_bytes_of_both_others() {
        let manifest = Document::<Manifest>::parse(MANIFEST.as_bytes().to_vec(), None).unwrap();
        let config = Document::<ImageConfig>::parse(CONFIG.as_bytes().to_vec(), None).unwrap();
        let diff_ids = &config.parsed().diff_ids;
        let bytes = render(&manifest, &config, diff_ids).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["raw_manifest_json"], MANIFEST);
        assert_eq!(value["raw_config_json"], CONFIG);
        insta::assert_snapshot!(value["config"], @r#"{"cmd":["sh"],"entrypoint":null,"env":["A=\"é\""],"exposed_ports":["80/tcp"],"labels":{"a":"1","b":"2"},"stop_signal":null,"user":null,"volumes":[],"working_dir":null}"#);
        insta::assert_snapshot!(value["layers"], @r#"[{"diff_id":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","media_type":"application/vnd.oci.image.layer.v1.tar+gzip","size_bytes":7}]"#);
        let found = mentions(&bytes).unwrap();
        assert_eq!(found.manifest, manifest.digest().to_string());
        assert_eq!(found.diff_ids, BTreeSet::from([diff_ids[0].to_string()]));
        assert!(matches!(
            render(&manifest, &config, &[]),
            Err(Error::Layers { expected: 0, actual: 1, .. })
        ));
    }

    #[test]
    fn what_is_no_such_document_mentions_nothing() {
        assert_eq!(mentions(b"{}"), None);
        assert_eq!(mentions(b"{\"manifest_digest\":\"x\",\"lay"), None);
    }
}
