//! What a run tells while it works.
//!
//! The library never prints: it hands an [`Event`] to a [`Reporter`]. As JSON, one event is one object on a
//! line, `{"v":1,"event":"layer.done",…}`: see [`Event::versioned`]. Within one version, events and fields are
//! only added; who reads them ignores what it does not know.

use schemars::JsonSchema;
use serde::Serialize;

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::platform::Platform;
use crate::plan::action::{Action, DocumentKind};
use crate::plan::artifact::Artifact;
use crate::spec::name::ImageName;

/// The version of the events' form.
pub const VERSION: u32 = 1;

/// Something that happened. Sizes are bytes, durations milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// An image's source is being resolved to digests.
    #[serde(rename = "image.resolving")]
    Resolving {
        /// The image.
        image: ImageName,
        /// The source, canonically.
        source: String,
    },
    /// An image's source was resolved.
    #[serde(rename = "image.resolved")]
    Resolved {
        /// The image.
        image: ImageName,
        /// The index or manifest.
        digest: Digest,
        /// The platforms it was resolved for.
        platforms: Vec<Platform>,
        /// Their layers; one that several share counts once.
        layers: u64,
        /// Compressed bytes of these.
        size_bytes: u64,
    },
    /// It is decided what will be done.
    #[serde(rename = "plan")]
    Planned(Totals),
    /// An index, a manifest or a config is in the store.
    #[serde(rename = "document.done")]
    DocumentDone {
        /// What it is.
        kind: DocumentKind,
        /// Its digest.
        digest: Digest,
        /// Its size.
        size_bytes: u64,
        /// The image it was fetched for.
        image: ImageName,
    },
    /// A layer is being fetched and built.
    #[serde(rename = "layer.started")]
    LayerStarted {
        /// The layer.
        diff_id: DiffId,
        /// The digest of its compressed bytes.
        digest: Digest,
        /// Their number.
        size_bytes: u64,
        /// The image it is fetched for.
        image: ImageName,
        /// Whether these bytes are in the store: nothing is fetched.
        stored: bool,
    },
    /// So much of a layer has arrived. Told when a transfer begins, which is also when one that was broken
    /// beyond repair begins anew, and then at most ten times a second; the last one may be missing.
    #[serde(rename = "layer.progress")]
    LayerProgress {
        /// The layer.
        diff_id: DiffId,
        /// Compressed bytes that have arrived so far.
        received_bytes: u64,
        /// Compressed bytes in all.
        size_bytes: u64,
    },
    /// All of a layer has arrived; its digests are being compared and its image completed.
    #[serde(rename = "layer.building")]
    LayerBuilding {
        /// The layer.
        diff_id: DiffId,
        /// The image it was fetched for.
        image: ImageName,
    },
    /// A layer is what its digests name, and its image is being made durable.
    #[serde(rename = "layer.verified")]
    LayerVerified {
        /// The layer.
        diff_id: DiffId,
        /// The image it was fetched for.
        image: ImageName,
    },
    /// A layer's image is in the store.
    #[serde(rename = "layer.done")]
    LayerDone {
        /// The layer.
        diff_id: DiffId,
        /// The digest of its compressed bytes.
        digest: Digest,
        /// Their number.
        size_bytes: u64,
        /// Bytes of the EROFS image.
        image_bytes: u64,
        /// The image it was fetched for.
        image: ImageName,
        /// Whether the compressed bytes were in the store: nothing was fetched.
        stored: bool,
    },
    /// The compressed bytes of a layer are in the store, and nothing is built of them.
    #[serde(rename = "blob.done")]
    BlobDone {
        /// The layer.
        diff_id: DiffId,
        /// The digest of its compressed bytes.
        digest: Digest,
        /// Their number.
        size_bytes: u64,
        /// The image they were fetched for.
        image: ImageName,
    },
    /// Layers are being merged.
    #[serde(rename = "fsmeta.started")]
    FsmetaStarted {
        /// The stack of layers.
        chain_id: ChainId,
        /// The image it is built for.
        image: ImageName,
    },
    /// Layers are merged, and their metadata is being written.
    #[serde(rename = "fsmeta.writing")]
    FsmetaWriting {
        /// The stack of layers.
        chain_id: ChainId,
        /// The image it is built for.
        image: ImageName,
    },
    /// Merged metadata is in the store.
    #[serde(rename = "fsmeta.done")]
    FsmetaDone {
        /// The stack of layers.
        chain_id: ChainId,
        /// Bytes of the file.
        size_bytes: u64,
        /// The image it was built for.
        image: ImageName,
    },
    /// A disk is being written.
    #[serde(rename = "disk.started")]
    DiskStarted {
        /// The stack of layers.
        chain_id: ChainId,
        /// The image it is written for.
        image: ImageName,
    },
    /// A disk is in the store.
    #[serde(rename = "disk.done")]
    DiskDone {
        /// The stack of layers.
        chain_id: ChainId,
        /// The image it was written for.
        image: ImageName,
    },
    /// What was to be made is there: another process has made it meanwhile.
    #[serde(rename = "artifact.present")]
    Present {
        /// What.
        artifact: Artifact,
        /// Bytes that need not be transferred any more.
        download_bytes: u64,
        /// The image it was wanted for.
        image: ImageName,
    },
    /// Files of the store are being read again, each to its last byte.
    #[serde(rename = "verify.started")]
    VerifyStarted {
        /// How many.
        artifacts: u64,
        /// Their bytes.
        size_bytes: u64,
    },
    /// So much of them was read. Told at most ten times a second; the last one may be missing.
    #[serde(rename = "verify.progress")]
    VerifyProgress {
        /// Bytes that were read so far.
        read_bytes: u64,
        /// Bytes in all.
        size_bytes: u64,
    },
    /// All of them were read and judged.
    #[serde(rename = "verify.done")]
    VerifyDone {
        /// How many.
        artifacts: u64,
        /// How many of them cannot be used.
        flawed: u64,
    },
    /// A request failed and will be made again.
    #[serde(rename = "retry")]
    Retry {
        /// What was asked for: a URL without secrets.
        subject: String,
        /// When the next one comes.
        delay_ms: u64,
        /// Why it failed.
        reason: String,
    },
    /// A registry wants to be shown a token, which is being fetched.
    #[serde(rename = "token")]
    Token {
        /// The registry.
        registry: String,
        /// The repository it is for.
        repository: String,
    },
    /// A download that had broken off goes on.
    #[serde(rename = "resumed")]
    Resumed {
        /// Who sends it.
        subject: String,
        /// The first byte that is asked for.
        offset_bytes: u64,
    },
    /// A mirror serves what a registry has. Told once of each mirror.
    #[serde(rename = "mirror")]
    Mirror {
        /// The registry.
        registry: String,
        /// The mirror.
        mirror: String,
    },
    /// Nothing happens until something else does.
    #[serde(rename = "waiting")]
    Waiting {
        /// What is waited for: another process, a registry's limit.
        subject: String,
        /// How long it has taken so far.
        waited_ms: u64,
        /// How long it will be waited for at most, if that is known.
        limit_ms: Option<u64>,
        /// What kind of wait it is.
        kind: WaitKind,
    },
    /// Something that does not end the run and that the user should know.
    #[serde(rename = "warning")]
    Warning {
        /// A stable name of its kind.
        code: String,
        /// The image it is about, if it is about one.
        image: Option<ImageName>,
        /// One clause.
        message: String,
    },
    /// Something could not be done. Other images go on.
    #[serde(rename = "failed")]
    Failed {
        /// A stable name of its kind.
        code: String,
        /// What was not made.
        artifact: Artifact,
        /// The image it was to be made for.
        image: ImageName,
        /// One clause.
        message: String,
    },
    /// The run is over.
    #[serde(rename = "done")]
    Done {
        /// Whether everything was done.
        success: bool,
        /// What was done.
        #[serde(flatten)]
        totals: Totals,
        /// How long it took.
        elapsed_ms: u64,
    },
}

/// What has to happen for a wait to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitKind {
    /// Another process has to end what it does. Told when the wait begins and every second while it lasts.
    Process,
    /// A registry asked for a pause, which has to pass. Told by each request that keeps it.
    Pause,
}

/// How much there is to do, or was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// Indexes, manifests and configs.
    pub documents: u64,
    /// Layers of which images are built.
    pub layers: u64,
    /// Layers that are fetched and not built.
    pub blobs: u64,
    /// Merged metadata files.
    pub fsmetas: u64,
    /// Disks.
    pub disks: u64,
    /// Bytes transferred for documents and layers.
    pub download_bytes: u64,
}

impl Totals {
    /// Counts `action`.
    pub const fn add(&mut self, action: &Action) {
        let count = match action {
            Action::FetchDocument(_) => &mut self.documents,
            Action::FetchLayer(_) | Action::BuildLayer(_) => &mut self.layers,
            Action::FetchBlob(_) => &mut self.blobs,
            Action::BuildFsmeta(_) => &mut self.fsmetas,
            Action::WriteDisk(_) => &mut self.disks,
        };
        *count += 1;
        self.download_bytes = self.download_bytes.saturating_add(action.download_bytes());
    }
}

/// An event with the version of its form, to be written as a line of JSON.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Versioned<'e> {
    v: u32,
    #[serde(flatten)]
    event: &'e Event,
}

impl Event {
    /// Whether a later event of the same kind says more: who cannot keep up may miss this one. All others
    /// say something that is not said again.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::LayerProgress { .. } | Self::VerifyProgress { .. } | Self::Waiting { .. }
        )
    }

    /// The event in the form in which programs read it.
    pub const fn versioned(&self) -> Versioned<'_> {
        Versioned { v: VERSION, event: self }
    }
}

/// Who is told what happens. Called from several threads at once, and never waited for long: a reporter
/// must not block.
pub trait Reporter: Send + Sync {
    /// Takes note of `event`.
    fn report(&self, event: Event);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Event) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &Event, line: &str) {
        assert_eq!(serde_json::to_string(&event.versioned()).unwrap(), line);
    }

    #[test]
    fn an_event_is_one_object_with_its_version_first() {
        let diff_id = DiffId(Digest::of(""));
        check(
            &Event::LayerProgress { diff_id, received_bytes: 1, size_bytes: 2 },
            &format!(
                r#"{{"v":1,"event":"layer.progress","diff_id":"{diff_id}","received_bytes":1,"size_bytes":2}}"#
            ),
        );
        check(
            &Event::Planned(Totals { layers: 2, download_bytes: 9, ..Totals::default() }),
            r#"{"v":1,"event":"plan","documents":0,"layers":2,"blobs":0,"fsmetas":0,"disks":0,"download_bytes":9}"#,
        );
        check(
            &Event::Done { success: true, totals: Totals::default(), elapsed_ms: 5 },
            r#"{"v":1,"event":"done","success":true,"documents":0,"layers":0,"blobs":0,"fsmetas":0,"disks":0,"download_bytes":0,"elapsed_ms":5}"#,
        );
    }
}
