//! What commands print with `--json` as a schema sees it.

#![expect(dead_code, reason = "of these types only the schema is used")]

mod digest;

pub(crate) mod diagnostic;

mod difference;

mod pulled;

mod handed;

mod damage;

mod stored;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::spec::schema::output::damage::{Damaged, Rederived};
use crate::spec::schema::output::diagnostic::{Diagnostic, Explained, Finding};
use crate::spec::schema::output::difference::ImageDiff;
use crate::spec::schema::output::digest::Digest;
use crate::spec::schema::output::handed::{Published, Withdrawn};
use crate::spec::schema::output::pulled::Pulled;
use crate::spec::schema::output::stored::{Collected, Named, Root, Sum};

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
        /// How much there is to do.
        totals: Map<String, Value>,
        /// Images that are not locked for the wanted platform.
        skipped: Vec<Value>,
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
        /// Images that are not locked for the wanted platform.
        skipped: Vec<Value>,
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
    /// `export`
    #[schemars(rename = "sandbox-images/export/1")]
    Export {
        /// The absolute path of what was written.
        output: String,
        /// `bundle`, `oci`, `oci-dir` or `docker-archive`.
        format: String,
        /// Each image that is in it, and its platforms.
        images: Map<String, Value>,
        /// How many files are in it.
        files: u64,
        /// Their bytes.
        size_bytes: u64,
    },
    /// `import`
    #[schemars(rename = "sandbox-images/import/1")]
    Import {
        /// Each image that the bundle is for, and its platforms.
        images: Map<String, Value>,
        /// What is in the store now that was not.
        done: Map<String, Value>,
        /// Whether the bundle's lock was written.
        lock_written: bool,
        /// Whether the bundle was only verified.
        verify_only: bool,
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
        /// What left other programs' caches before, or would.
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
