//! `sandbox-images.lock` as a schema sees it.

#![expect(dead_code, reason = "of these types only the schema is used")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::oci::document::kind::Kind;
use crate::oci::document::layer_type::LayerType;

/// The images of a project, pinned. Written by sandbox-images; not to be edited.
#[derive(JsonSchema)]
#[schemars(title = "sandbox-images.lock", rename_all = "kebab-case")]
pub(super) struct Lock {
    /// The major version of the format.
    #[schemars(extend("const" = 1))]
    version: u64,
    /// What was added to the format without changing the meaning of what was there.
    #[schemars(extend("default" = 0))]
    revision: Option<u64>,
    /// The format of the artifacts whose digests are locked, where any are.
    artifact_format: Option<u64>,
    /// The images by name.
    image: Option<BTreeMap<ImageName, Image>>,
}

/// A name as in `sandbox-images.toml`.
#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[schemars(inline, extend("pattern" = "^[a-z0-9][a-z0-9._-]{0,63}$"))]
struct ImageName(String);

/// `os/architecture[/variant]` in normal form.
#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[schemars(inline, extend("pattern" = "^[^/]+/[^/]+(/[^/]+)?$"))]
struct Platform(String);

/// The SHA-256 of some bytes.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
struct Digest(String);

/// An image, pinned.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
struct Image {
    /// Where it comes from, in canonical form.
    source: String,
    /// What the source resolved to: an index or a manifest.
    digest: Digest,
    /// The kind of document that `digest` names.
    #[schemars(schema_with = "kinds")]
    media_type: String,
    /// Bytes of that document.
    size: u64,
    /// Platforms that were wanted by default when the image was locked, and that it does not have.
    absent_platforms: Option<Vec<Platform>>,
    /// SHA-256 of the block's canonical text without this line.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    sum: Option<String>,
    /// What is locked for each platform.
    platform: Option<BTreeMap<Platform, LockedPlatform>>,
}

/// An image on one platform, pinned.
#[derive(JsonSchema)]
struct LockedPlatform {
    /// The image manifest.
    manifest: Document,
    /// The image config.
    config: Document,
    /// The digest of the merged metadata, if artifacts are locked.
    fsmeta: Option<Digest>,
    /// The layers, bottom to top.
    layers: Vec<LockedLayer>,
}

/// A document, pinned.
#[derive(JsonSchema)]
struct Document {
    digest: Digest,
    /// Its bytes.
    size: u64,
}

/// A layer, pinned.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
struct LockedLayer {
    /// The digest of the bytes as they are transferred.
    digest: Digest,
    /// Their number.
    size: u64,
    /// The digest of the uncompressed tar.
    diff_id: Digest,
    /// The short name of its media type.
    #[schemars(rename = "type", schema_with = "layer_types")]
    layer_type: String,
    /// The digest of the EROFS image made of it, if artifacts are locked.
    erofs: Option<Digest>,
}

fn kinds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Kind::ALL.map(Kind::media_type) })
}

fn layer_types(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = LayerType::all().map(LayerType::short).collect();
    json_schema!({ "type": "string", "enum": names })
}
