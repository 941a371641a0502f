//! What differs between two locks.

use schemars::JsonSchema;

use crate::spec::schema::output::digest::Digest;

/// One image that differs.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct ImageDiff {
    /// Its name.
    image: String,
    /// What happened to it.
    change: Change,
    /// Where it comes from.
    source: Sides,
    /// Its index or manifest.
    digest: Sides,
    /// The platforms that differ.
    platforms: Vec<PlatformDiff>,
    /// Bytes to fetch for it.
    download_bytes: u64,
}

/// What happened to a thing.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(in crate::spec::schema) enum Change {
    /// Only the new lock has it.
    Added,
    /// Only the old lock has it.
    Removed,
    /// Both have it, and not the same of it.
    Changed,
}

/// A value in the old lock and in the new one, `null` where it has none.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Sides {
    /// In the old lock.
    old: Option<String>,
    /// In the new one.
    new: Option<String>,
}

/// One platform of an image that differs.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct PlatformDiff {
    /// Which.
    platform: String,
    /// What happened to it.
    change: Change,
    /// Its manifest.
    manifest: Sides,
    /// Its config.
    config: Sides,
    /// Layers that only the new lock has here, bottom to top.
    layers_added: Vec<Layer>,
    /// Layers that only the old lock has here, bottom to top.
    layers_removed: Vec<Layer>,
    /// How many layers both have.
    layers_kept: u64,
}

/// A layer that one of the locks has.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Layer {
    /// Of its compressed bytes.
    digest: Digest,
    /// Of its tar.
    diff_id: Digest,
    /// Compressed bytes.
    size_bytes: u64,
}
