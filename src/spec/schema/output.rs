//! What commands print with `--json` as a schema sees it.

#![expect(dead_code, reason = "of these types only the schema is used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// One document on standard output. Its `schema` says which it is and in which version: a version keeps its
/// keys and their meaning, and may gain further ones.
#[derive(JsonSchema)]
#[schemars(title = "What sandbox-images prints with --json", tag = "schema")]
pub(super) enum Output {
    /// What any command prints that does not succeed, perhaps with further keys.
    #[schemars(rename = "sandbox-images/failure/1")]
    Failure {
        /// The exit code of the process.
        #[schemars(range(min = 1, max = 255))]
        exit_code: u64,
        /// All that is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// `lock`
    #[schemars(rename = "sandbox-images/lock/1")]
    Lock {
        /// Whether the file has other bytes now, or would have.
        changed: bool,
        /// Images that were resolved.
        resolved: Vec<String>,
        /// All images that are locked.
        images: Vec<String>,
        /// The format of the artifacts whose digests are locked; `null` if none are.
        artifact_format: Option<u64>,
    },
    /// `init`
    #[schemars(rename = "sandbox-images/init/1")]
    Init {
        /// The files that were made or changed.
        written: Vec<String>,
    },
    /// `add` and `remove`
    #[schemars(rename = "sandbox-images/edit/1")]
    Edit {
        /// Images that were added.
        added: Vec<String>,
        /// Images that were removed.
        removed: Vec<String>,
        /// Images that were resolved for the lock.
        resolved: Vec<String>,
        /// Whether the files were left as they are.
        dry_run: bool,
        /// What changes in both files, as a unified diff.
        diff: String,
    },
    /// `update`
    #[schemars(rename = "sandbox-images/update/1")]
    Update {
        /// Whether the lock was left as it is.
        dry_run: bool,
        /// The images that are locked to something else now, or would be.
        images: Vec<ImageDiff>,
        /// How many are the same.
        unchanged: u64,
        /// Bytes to fetch by who has all of the old lock and wants all of the new one.
        download_bytes: u64,
    },
    /// `outdated`
    #[schemars(rename = "sandbox-images/outdated/1")]
    Outdated {
        /// Each image that was asked for.
        images: Vec<Map<String, Value>>,
    },
    /// `sync --check` and `sync --dry-run`
    #[schemars(rename = "sandbox-images/plan/1")]
    Plan {
        /// What is to be done, in order.
        actions: Vec<Value>,
        /// Images that are to be resolved.
        resolved: Vec<String>,
        /// What would be deleted.
        removed: Vec<Collected>,
        /// What would be handed to other programs: image, target and directory.
        published: Vec<Value>,
    },
    /// `sync`
    #[schemars(rename = "sandbox-images/sync/1")]
    Sync {
        /// What was done.
        done: Map<String, Value>,
        /// Each image on each platform, and where its disk is; `null` with `--fetch-only`.
        images: Vec<Value>,
        /// What was deleted.
        removed: Vec<Collected>,
        /// Each image in each cache that it was handed to.
        published: Vec<Published>,
    },
    /// `publish`
    #[schemars(rename = "sandbox-images/publish/1")]
    Publish {
        /// Each image in the cache that it was handed to.
        published: Vec<Published>,
        /// Images that are not locked for this machine's platform.
        skipped: Vec<Value>,
    },
    /// `pull`
    #[schemars(rename = "sandbox-images/pull/1")]
    Pull {
        /// Each image, whole in the store.
        images: Vec<Pulled>,
    },
    /// `check`
    #[schemars(rename = "sandbox-images/check/1")]
    Check {
        /// How many images are locked.
        images: u64,
        /// Whether the store holds them; `null` if that was not asked.
        in_sync: Option<bool>,
    },
    /// `path`
    #[schemars(rename = "sandbox-images/path/1")]
    Path {
        /// The image's name.
        image: String,
        /// The platform that was found.
        platform: String,
        /// The absolute path of the VMDK.
        disk: String,
        /// The absolute path of the merged metadata.
        fsmeta: String,
        /// The absolute paths of the layers' images, bottom to top.
        layers: Vec<String>,
        /// The image's environment, `NAME=value`.
        env: Vec<String>,
        /// The image's entrypoint.
        entrypoint: Vec<String>,
        /// The arguments of the entrypoint.
        cmd: Vec<String>,
        /// The user to run as; may be empty.
        user: String,
        /// The directory to run in; may be empty.
        workdir: String,
    },
    /// `disk`
    #[schemars(rename = "sandbox-images/disk/1")]
    Disk {},
    /// `list`
    #[schemars(rename = "sandbox-images/list/1")]
    List {
        /// Each image on each platform.
        images: Vec<Value>,
    },
    /// `diff`
    #[schemars(rename = "sandbox-images/diff/1")]
    Diff {
        /// The file or revision that is compared with.
        old: String,
        /// The images that differ.
        images: Vec<ImageDiff>,
        /// How many are the same.
        unchanged: u64,
        /// Bytes to fetch by who has all of the old lock and wants all of the new one.
        download_bytes: u64,
    },
    /// `why`
    #[schemars(rename = "sandbox-images/why/1")]
    Why {
        /// What was asked.
        subject: String,
        /// One for each digest that begins as was asked.
        digests: Vec<Named>,
    },
    /// `cache-key`
    #[schemars(rename = "sandbox-images/cache-key/1")]
    CacheKey {
        /// The key.
        key: String,
        /// What older keys begin with that a CI may fall back to.
        prefix: String,
    },
    /// `verify`
    #[schemars(rename = "sandbox-images/verify/1")]
    Verify {
        /// How many artifacts are as they should be.
        ok: u64,
        /// How many are not, by class.
        classes: BTreeMap<String, u64>,
        /// Those, one by one.
        damaged: Vec<Damaged>,
        /// With `--deep`, images whose documents contradict the lock.
        contradictions: Vec<Map<String, Value>>,
        /// Files with an artifact's name and no record.
        leftovers: Vec<Map<String, Value>>,
        /// How many files among the artifacts are not of this program.
        foreign: u64,
    },
    /// `verify --registry`
    #[schemars(rename = "sandbox-images/verify-registry/1")]
    VerifyRegistry {
        /// Every image on every platform of the lock.
        images: Vec<Rederived>,
    },
    /// `gc`
    #[schemars(rename = "sandbox-images/gc/1")]
    Gc {
        /// Whether nothing was done.
        dry_run: bool,
        /// What went, or would go.
        removed: Sum,
        /// What stayed.
        kept: Sum,
        /// Everything in the store, and why it stays or goes.
        items: Vec<Collected>,
        /// What left other programs' caches before.
        withdrawn: Vec<Withdrawn>,
    },
    /// `roots`
    #[schemars(rename = "sandbox-images/roots/1")]
    Roots {
        /// All roots, that which was added, or those that were removed.
        roots: Vec<Root>,
    },
    /// `doctor`
    #[schemars(rename = "sandbox-images/doctor/1")]
    Doctor {
        /// All that was looked at.
        findings: Vec<Finding>,
    },
    /// `explain`
    #[schemars(rename = "sandbox-images/explain/1")]
    Explain {
        /// The codes that were asked for.
        codes: Vec<Explained>,
    },
    /// `inspect reference`
    #[schemars(rename = "sandbox-images/inspect-reference/1")]
    InspectReference {
        /// The registry's host.
        registry: String,
        /// The repository.
        repository: String,
        /// The tag.
        tag: Option<String>,
        /// The digest.
        digest: Option<Digest>,
        /// The whole reference, with all that it leaves out.
        canonical: String,
    },
    /// `inspect manifest`
    #[schemars(rename = "sandbox-images/inspect-manifest/1")]
    InspectManifest {
        /// The kind of document.
        kind: String,
        /// Of its bytes.
        digest: Digest,
        /// Bytes.
        size: u64,
    },
    /// `inspect layer`
    #[schemars(rename = "sandbox-images/inspect-layer/1")]
    InspectLayer {
        /// In the order of the tar.
        entries: Vec<Map<String, Value>>,
    },
    /// `inspect tree`
    #[schemars(rename = "sandbox-images/inspect-tree/1")]
    InspectTree {
        /// Sorted by path.
        entries: Vec<Map<String, Value>>,
    },
    /// `inspect auth`
    #[schemars(rename = "sandbox-images/inspect-auth/1")]
    InspectAuth {
        /// `anonymous`, `basic`, `identity-token` or `registry-token`.
        kind: String,
    },
}

/// An image in another program's cache.
#[derive(JsonSchema)]
pub(super) struct Published {
    /// The image's name.
    image: String,
    /// The program: `microsandbox`.
    target: String,
    /// The program's directory, absolute.
    directory: String,
    /// What the image can be asked for by there.
    references: Vec<String>,
    /// Whether anything was written.
    changed: bool,
    /// Files that are the store's own under a second name.
    linked: u64,
    /// Files that were copied.
    copied: u64,
    /// Layers without attributes that the program does not read.
    altered: u64,
}

/// What was taken out of another program's cache.
#[derive(JsonSchema)]
pub(super) struct Withdrawn {
    /// The cache's directory; the store, where it is not known which.
    cache: String,
    /// Files that were removed, by their paths in it.
    removed: Vec<String>,
    /// Files that stay for now, because they are used.
    kept: Vec<String>,
    /// Why not all was looked at.
    problem: Option<String>,
}

/// The SHA-256 of some bytes.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub(super) struct Digest(String);

/// An artifact that cannot be used, or could not before it was repaired.
#[derive(JsonSchema)]
pub(super) struct Damaged {
    /// A kind and a digest.
    artifact: String,
    /// The absolute path of its file.
    path: String,
    /// What is wrong with it.
    class: DamageClass,
    /// The same in words.
    message: String,
    /// The images of the lock that want it.
    images: Vec<String>,
    /// What became of it.
    state: DamageState,
    /// The locks of other projects that want what was moved away.
    wanted_by: Vec<String>,
}

/// What is wrong with an artifact.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(super) enum DamageClass {
    /// It is not there.
    Missing,
    /// It has another length.
    Size,
    /// It has other bytes.
    Digest,
    /// It or its record cannot be read.
    Unreadable,
    /// It is no regular file.
    Unexpected,
}

/// What became of an artifact that cannot be used.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(super) enum DamageState {
    /// Nothing was tried.
    Found,
    /// It was made again.
    Repaired,
    /// It was moved away, and nobody wants it.
    SetAside,
    /// It was moved away, and another project wants it.
    WantedElsewhere,
    /// It could not be made again.
    Left,
}

/// A block of the lock beside what its digests name.
#[derive(JsonSchema)]
pub(super) struct Rederived {
    /// The image's name.
    image: String,
    /// The platform.
    platform: String,
    /// How the two compare.
    state: RederivedState,
    /// In which way, or why that is not known.
    message: Option<String>,
}

/// How a block of the lock and its documents compare.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(super) enum RederivedState {
    /// They say the same.
    Same,
    /// They do not.
    Contradicts,
    /// The documents are not there any more.
    Gone,
    /// The documents could not be had.
    Failed,
}

/// One thing that is wrong.
#[derive(JsonSchema)]
pub(super) struct Diagnostic {
    /// A stable name, which `explain` knows.
    code: String,
    /// Whether it ended the command.
    severity: Severity,
    /// One clause.
    message: String,
    /// The file it is about.
    file: Option<String>,
    /// Bytes of that file.
    range: Option<BTreeMap<String, u64>>,
    /// What to do.
    help: Option<String>,
}

/// How bad it is.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// The command went on.
    Warning,
    /// It did not.
    Error,
}

/// One thing that was looked at.
#[derive(JsonSchema)]
pub(super) struct Finding {
    /// A stable name, which `explain` knows.
    code: String,
    /// `ok`, `warning` or `error`.
    severity: String,
    /// What was looked at.
    subject: String,
    /// What was found.
    message: String,
    /// What to do.
    help: Option<String>,
}

/// What is known of a code.
#[derive(JsonSchema)]
pub(super) struct Explained {
    /// The code.
    code: String,
    /// What it says.
    meaning: String,
    /// How it comes about.
    cause: String,
    /// What to do.
    remedy: String,
}

/// A value in the old lock and in the new one, `null` where it has none.
#[derive(JsonSchema)]
pub(super) struct Sides {
    /// In the old lock.
    old: Option<String>,
    /// In the new one.
    new: Option<String>,
}

/// What happened to a thing.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(super) enum Change {
    /// Only the new lock has it.
    Added,
    /// Only the old lock has it.
    Removed,
    /// Both have it, and not the same of it.
    Changed,
}

/// One image that differs.
#[derive(JsonSchema)]
pub(super) struct ImageDiff {
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

/// One platform of an image that differs.
#[derive(JsonSchema)]
pub(super) struct PlatformDiff {
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
pub(super) struct Layer {
    /// Of its compressed bytes.
    digest: Digest,
    /// Of its tar.
    diff_id: Digest,
    /// Compressed bytes.
    size_bytes: u64,
}

/// An image that was pulled.
#[derive(JsonSchema)]
pub(super) struct Pulled {
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
pub(super) struct PulledLayer {
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
pub(super) struct RunConfig {
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

/// What is known of one digest.
#[derive(JsonSchema)]
pub(super) struct Named {
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
pub(super) struct Usage {
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

/// How much there is of something.
#[derive(JsonSchema)]
pub(super) struct Sum {
    /// Artifacts and what is left over; roots and leases are not counted.
    files: u64,
    /// Their bytes.
    bytes: u64,
}

/// One thing of a store, and why it stays or goes.
#[derive(JsonSchema)]
pub(super) struct Collected {
    /// `root`, `lease`, `blob`, `layer`, `fsmeta`, `disk`, `unrecorded`, `partial`, `quarantined` or
    /// `reference`.
    kind: String,
    /// The path of a root's lock, the digest in an artifact's name, the path or name of another file.
    name: String,
    /// `keep` or `remove`.
    action: String,
    /// `wanted`, `recent`, `grace`, `not-dropped` or `alive`; `unwanted`, `age`, `size`, `ended` or
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

/// What keeps artifacts alive.
#[derive(JsonSchema)]
pub(super) struct Root {
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

/// A file of a store.
#[derive(JsonSchema)]
pub(super) struct StoredFile {
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
