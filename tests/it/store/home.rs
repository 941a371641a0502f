//! A store to play with, and the things to put into it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sandbox_images::oci::digest::{ChainId, DiffId, Digest};
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::store::Store;
use sandbox_images::store::error::Error;
use sandbox_images::store::guard::{ArtifactGuard, Caller};
use sandbox_images::store::ingest::Expected;
use sandbox_images::store::record::Record;
use sandbox_images::store::run::{Claim, Run};
use tempfile::TempDir;

/// A store in a temporary folder.
pub(crate) struct Home {
    /// The folder that the store lies in, with nothing else.
    pub(crate) folder: TempDir,
    /// The store, which nothing has made yet.
    pub(crate) store: Store,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder is made");
        // A umask of 0777 has its say here, but must not have it in the store.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .expect("its mode can be set");
        let store = Store::at(folder.path().join("store"));
        Self { folder, store }
    }

    pub(crate) fn run(&self) -> Run {
        let shared = self.store.shared().expect("the store can be made");
        shared.begin_run(&[], patient()).expect("a run begins")
    }

    /// The store with these artifacts in it.
    pub(crate) fn with(artifacts: &[(Artifact, Vec<u8>)]) -> Self {
        let home = Self::new();
        let run = home.run();
        for (artifact, bytes) in artifacts {
            put(&run, *artifact, bytes, Expected::default()).expect("the artifact is committed");
        }
        home
    }

    pub(crate) fn record_of(&self, artifact: Artifact) -> PathBuf {
        let hex = artifact.digest().hex();
        let kind = artifact.kind();
        self.store.path().join(format!("v1/f1/records/{kind}/{hex}.json"))
    }

    /// Every file and directory below `part` of the store, sorted.
    pub(crate) fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.store.path().join(part)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the folder can be listed") {
                let entry = entry.expect("the folder can be listed");
                if entry.path().is_dir() && !entry.path().is_symlink() {
                    folders.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found.sort();
        found
    }
}

pub(crate) fn patient() -> Caller {
    Caller {
        command: "sandbox-images sync".to_owned(),
        wait_max: Duration::from_mins(1),
        on_wait: Arc::new(|_| {}),
    }
}

/// Claims what is not there.
pub(crate) fn claim(run: &Run, artifact: Artifact) -> ArtifactGuard {
    match run.claim(artifact).expect("nobody else has a claim") {
        Claim::Mine(guard) => guard,
        Claim::Present(_) => panic!("{artifact} is there already"),
    }
}

/// Claims `artifact` and commits `bytes` as it.
pub(crate) fn put(
    run: &Run,
    artifact: Artifact,
    bytes: &[u8],
    expected: Expected,
) -> Result<Record, Error> {
    let guard = claim(run, artifact);
    let mut ingest = run.ingest(u64::MAX)?;
    ingest.write_all(bytes).expect("the file grows");
    ingest.commit(guard, expected)
}

pub(crate) fn blob(text: &str) -> Artifact {
    Artifact::Blob(Digest::of(text))
}

pub(crate) fn disk(name: &str) -> Artifact {
    Artifact::Disk(ChainId(Digest::of(name)))
}

pub(crate) fn layer(name: &str) -> Artifact {
    Artifact::Layer(DiffId(Digest::of(name)))
}

/// Bytes with the superblock of an EROFS image and nothing else of one.
pub(crate) fn erofs(fill: u8) -> Vec<u8> {
    let mut image = vec![fill; 3 * 4096];
    image[1024..1028].copy_from_slice(&0xE0F5_E1E2_u32.to_le_bytes());
    image[1028..1032].fill(0);
    let checksum = !crc32c::crc32c(&image[1024..4096]);
    image[1028..1032].copy_from_slice(&checksum.to_le_bytes());
    image
}
