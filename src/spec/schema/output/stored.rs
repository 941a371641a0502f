//! What is in a store, who wants it, and why it stays or goes.

use schemars::JsonSchema;

use crate::spec::schema::output::digest::Digest;

/// What is known of one digest.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Named {
    /// The digest.
    digest: Digest,
    /// What it names: `index`, `manifest`, `config`, `layer`, `diff-id`, `layer-image`, `chain-id`,
    /// `fsmeta-image`, `disk-text`.
    kinds: Vec<String>,
    /// Where the lock has it.
    used_by: Vec<Usage>,
    /// The files of the store that are named after it, or are what it is the digest of.
    stored: Vec<StoredFile>,
}

/// One place at which a lock has a digest.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Usage {
    /// The digest.
    digest: Digest,
    /// What it names there.
    kind: String,
    /// The image that has it.
    image: String,
    /// The platform that has it; `null` for an index, which has all.
    platform: Option<String>,
    /// Which layer of the platform it is about, from 0 at the bottom.
    layer: Option<u64>,
    /// Bytes of the content, where the lock states them.
    size_bytes: Option<u64>,
}

/// A file of a store.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct StoredFile {
    /// Its kind and the digest in its name.
    artifact: String,
    /// Its absolute path.
    path: String,
    /// Its bytes; `null` if it is damaged.
    size_bytes: Option<u64>,
    /// What is wrong with it.
    damage: Option<String>,
    /// The locks of the projects that want it.
    roots: Vec<String>,
}

/// One thing of a store, and why it stays or goes.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Collected {
    /// `root`, `lease`, `blob`, `layer`, `fsmeta`, `disk`, `unrecorded`, `partial`, `quarantined` or
    /// `reference`.
    kind: String,
    /// The path of a root's lock, the digest in an artifact's name, the path or name of another file.
    name: String,
    /// `keep` or `remove`.
    action: String,
    /// `wanted`, `recent`, `grace`, `left`, `not-dropped` or `alive`; `unwanted`, `age`, `size`, `ended` or
    /// `other-root`.
    reason: String,
    /// Who wants it, if the reason is `wanted`: locks and processes.
    by: Option<Vec<String>>,
    /// For how long it was not used, if the reason is `age`.
    unused_seconds: Option<u64>,
    /// Bytes.
    size_bytes: u64,
    /// When it was last used, in seconds since 1970.
    last_used: Option<u64>,
}

/// How much there is of something.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Sum {
    /// Artifacts and what is left over; roots and leases are not counted.
    files: u64,
    /// Their bytes.
    bytes: u64,
}

/// What keeps artifacts alive.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Root {
    /// Its name in the store: the SHA-256 of its lock's path.
    id: String,
    /// The lock's path.
    lock: Option<String>,
    /// `pinned`, `lock`, `expires`, `seen`, `ended` or `unreadable`.
    state: String,
    /// When it ends, if nothing happens, in seconds since 1970.
    ends: Option<u64>,
    /// How many artifacts it wanted when it was written.
    artifacts: Option<u64>,
    /// When its project was last synced, in seconds since 1970.
    last_seen: Option<u64>,
    /// Why it cannot be read.
    problem: Option<String>,
}
