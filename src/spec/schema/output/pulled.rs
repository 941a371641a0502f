//! An image that needs no project.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::spec::schema::output::digest::Digest;

/// An image that was pulled.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Pulled {
    /// What it is called in events: the last component of its repository, or its name in a group.
    image: String,
    /// Where it comes from, with all that a short name leaves out.
    source: String,
    /// The platform that was asked for.
    platform: String,
    /// What the source names: an index or a manifest.
    digest: Digest,
    /// Its manifest for the platform.
    manifest: Digest,
    /// Whether all of it was in the store before.
    cached: bool,
    /// The absolute path of the VMDK.
    disk: String,
    /// The absolute path of the merged metadata.
    fsmeta: String,
    /// Bottom to top.
    layers: Vec<PulledLayer>,
    /// How it is started.
    config: RunConfig,
}

/// A layer of an image that was pulled.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct PulledLayer {
    /// Of its tar.
    diff_id: Digest,
    /// Of its compressed bytes.
    digest: Digest,
    /// The absolute path of its EROFS image in the store.
    path: String,
    /// The absolute path at which `--layers-dir` put it; `null` without one.
    handed_out: Option<String>,
}

/// How an image is started.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct RunConfig {
    /// `NAME=value`.
    env: Vec<String>,
    /// The arguments of the entrypoint.
    cmd: Vec<String>,
    /// The program and its first arguments.
    entrypoint: Vec<String>,
    /// The directory to run in; may be empty.
    workdir: String,
    /// The user to run as; may be empty.
    user: String,
    /// `port`, `port/tcp` or `port/udp`.
    ports: Vec<String>,
    /// Directories for data that is not the image's.
    volumes: Vec<String>,
    /// Remarks by key.
    labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    stop_signal: Option<String>,
}
