//! The list of all failpoints: what can be interrupted between two states of a store or a project.

use std::path::Path;

use crate::store::failpoint::{Place, Step};

/// A step in a place.
#[derive(Debug)]
pub struct Edge {
    /// By which it is asked for.
    pub id: &'static str,
    /// What is about to be done.
    pub step: Step,
    /// Where.
    pub place: Place,
    /// What is done there, and why.
    pub about: &'static str,
}

const fn edge(id: &'static str, step: Step, place: Place, about: &'static str) -> Edge {
    Edge { id, step, place, about }
}

/// Every edge there is.
pub const EDGES: [Edge; 75] = [
    edge("store-mkdir", Step::MakeDirectory, Place::Store, "a directory of the layout is made"),
    edge("store-mkdir-mode", Step::DirectoryMode, Place::Store, "it gets a mode without the umask"),
    edge("store-fsync", Step::SyncNames, Place::Store, "its name, or that of the tag, is durable"),
    edge("store-rename", Step::Rename, Place::Store, "CACHEDIR.TAG gets its name"),
    edge("run-mkdir", Step::MakeDirectory, Place::Runs, "a run makes its directory in tmp"),
    edge("run-mkdir-mode", Step::DirectoryMode, Place::Runs, "it gets a mode without the umask"),
    edge("run-fsync", Step::SyncNames, Place::Runs, "its name is durable"),
    edge("run-rmdir", Step::UnlinkDirectory, Place::Runs, "a run that ends, or died, loses it"),
    edge("part-create", Step::Create, Place::Run, "a new file is made in tmp"),
    edge("part-write", Step::Write, Place::Run, "bytes of it are written"),
    edge("part-resize", Step::Resize, Place::Run, "it gets its length"),
    edge("part-fdatasync", Step::Sync, Place::Run, "its bytes are durable"),
    edge("part-mode", Step::Mode, Place::Run, "it gets the mode in which others see it"),
    edge("part-unlink", Step::Unlink, Place::Run, "what was not finished is removed"),
    edge("artifact-rename", Step::Rename, Place::Artifacts, "an artifact gets its name"),
    edge("artifact-fsync", Step::SyncNames, Place::Artifacts, "that name is durable"),
    edge("artifact-unlink", Step::Unlink, Place::Artifacts, "gc removes it, its record being gone"),
    edge("record-rename", Step::Rename, Place::Records, "a record gets its name: the artifact is"),
    edge("record-fsync", Step::SyncNames, Place::Records, "that name, or its end, is durable"),
    edge("record-unlink", Step::Unlink, Place::Records, "gc removes it: the artifact is no more"),
    edge("record-touch", Step::Touch, Place::Records, "the last use is noted"),
    edge("reference-rename", Step::Rename, Place::References, "what was pulled gets its name"),
    edge("reference-fsync", Step::SyncNames, Place::References, "that name is durable"),
    edge("reference-unlink", Step::Unlink, Place::References, "gc removes it after 30 days"),
    edge("root-rename", Step::Rename, Place::Roots, "a project's root gets its name"),
    edge("root-fsync", Step::SyncNames, Place::Roots, "that name, or its end, is durable"),
    edge("root-unlink", Step::Unlink, Place::Roots, "a root goes, by hand or by gc"),
    edge(
        "lease-open",
        Step::Open,
        Place::Leases,
        "a run's lease is made, or that of a dead one taken",
    ),
    edge("lease-mode", Step::Mode, Place::Leases, "it gets the mode that a umask kept from it"),
    edge("lease-resize", Step::Resize, Place::Leases, "what an older run left in it goes"),
    edge("lease-write", Step::Write, Place::Leases, "it says what the run wants"),
    edge("lease-rename", Step::Rename, Place::Leases, "the lease of a process gets its name"),
    edge("lease-fsync", Step::SyncNames, Place::Leases, "that name is durable"),
    edge("lease-unlink", Step::Unlink, Place::Leases, "a run ends, or a dead one's lease goes"),
    edge("guard-open", Step::Open, Place::Guards, "a guard file is made or opened, to be locked"),
    edge("guard-mode", Step::Mode, Place::Guards, "it gets the mode that a umask kept from it"),
    edge("guard-resize", Step::Resize, Place::Guards, "the words about an earlier holder go"),
    edge("guard-write", Step::Write, Place::Guards, "its holder signs it"),
    edge("guard-unlink", Step::Unlink, Place::Guards, "its holder removes it"),
    edge(
        "partial-open",
        Step::Open,
        Place::Partials,
        "what is kept of a download is opened, or begun",
    ),
    edge(
        "partial-mode",
        Step::Mode,
        Place::Partials,
        "it gets the mode that a umask kept from it, or that of a blob",
    ),
    edge("partial-write", Step::Write, Place::Partials, "what comes of a blob is also kept"),
    edge("partial-resize", Step::Resize, Place::Partials, "more than the blob has is dropped"),
    edge("partial-fdatasync", Step::Sync, Place::Partials, "a blob that stays is durable"),
    edge(
        "partial-unlink",
        Step::Unlink,
        Place::Partials,
        "the layer is committed, or gc removes it",
    ),
    edge("quarantine-rename", Step::Rename, Place::Quarantine, "what is damaged is set aside"),
    edge("quarantine-unlink", Step::Unlink, Place::Quarantine, "gc removes it after 30 days"),
    edge(
        "publication-rename",
        Step::Rename,
        Place::Publications,
        "the note on what is published gets its name, before what it notes",
    ),
    edge(
        "publication-fsync",
        Step::SyncNames,
        Place::Publications,
        "that name, or its end, is durable",
    ),
    edge("publication-unlink", Step::Unlink, Place::Publications, "nothing is published any more"),
    edge("file-create", Step::Create, Place::Project, "a new lock, or another file, is begun"),
    edge("file-write", Step::Write, Place::Project, "its bytes are written"),
    edge("file-mode", Step::Mode, Place::Project, "it gets the mode of the one that it replaces"),
    edge("file-fsync", Step::Sync, Place::Project, "its bytes are durable"),
    edge("file-rename", Step::Rename, Place::Project, "it gets its name"),
    edge("file-fsync-name", Step::SyncNames, Place::Project, "that name is durable"),
    edge("file-unlink", Step::Unlink, Place::Project, "what a killed run left beside it goes"),
    edge("handed-mkdir", Step::MakeDirectory, Place::HandedOut, "the directory for layers is made"),
    edge(
        "handed-create",
        Step::Create,
        Place::HandedOut,
        "a layer's own directory is begun beside it",
    ),
    edge("handed-write", Step::Write, Place::HandedOut, "it is filled"),
    edge("handed-sync", Step::Sync, Place::HandedOut, "all that is in it is durable"),
    edge("handed-rename", Step::Rename, Place::HandedOut, "it gets its name"),
    edge("handed-link", Step::Link, Place::HandedOut, "a layer's image gets a second name there"),
    edge("handed-fsync", Step::SyncNames, Place::HandedOut, "these names are durable"),
    edge(
        "handed-rmdir",
        Step::UnlinkDirectory,
        Place::HandedOut,
        "what a killed run left of one goes",
    ),
    edge("cache-mkdir", Step::MakeDirectory, Place::Cache, "a directory of the cache is made"),
    edge("cache-open", Step::Open, Place::Cache, "a file is made or opened, to be locked"),
    edge("cache-create", Step::Create, Place::Cache, "a file that is not linked is begun"),
    edge("cache-write", Step::Write, Place::Cache, "its bytes are written"),
    edge("cache-mode", Step::Mode, Place::Cache, "it gets the mode in which others see it"),
    edge("cache-sync", Step::Sync, Place::Cache, "its bytes are durable"),
    edge("cache-rename", Step::Rename, Place::Cache, "it gets its name"),
    edge("cache-link", Step::Link, Place::Cache, "a file of the store gets a second name there"),
    edge("cache-fsync", Step::SyncNames, Place::Cache, "a name, or its end, is durable"),
    edge("cache-unlink", Step::Unlink, Place::Cache, "what is withdrawn goes, or was not finished"),
];

/// The edge of a step that is taken in `place`.
pub(super) fn edge_of(step: Step, place: Place) -> &'static Edge {
    EDGES
        .iter()
        .find(|edge| edge.step == step && edge.place == place)
        .unwrap_or_else(|| panic!("`EDGES` lacks {step:?} in {place:?}"))
}

/// What a directory of a store is for, by the names that lead to it from the directory of its layout.
pub(super) fn place_of(directory: &Path) -> Place {
    let names: Vec<&str> = directory.iter().filter_map(|name| name.to_str()).collect();
    let layout = names.iter().rposition(|name| *name == "v1");
    match layout.map_or(&[][..], |layout| &names[layout + 1..]) {
        ["tmp"] => Place::Runs,
        ["tmp", _] => Place::Run,
        ["blobs", "sha256"] | ["f1", "layers" | "fsmeta" | "disks", "sha256"] => Place::Artifacts,
        ["f1", "records", _] => Place::Records,
        ["refs"] => Place::References,
        ["roots"] => Place::Roots,
        ["leases"] => Place::Leases,
        ["guards"] => Place::Guards,
        ["partial"] => Place::Partials,
        ["quarantine"] => Place::Quarantine,
        ["publications"] => Place::Publications,
        _ => Place::Store,
    }
}
