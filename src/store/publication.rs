//! Notes on what was published to other programs' caches: one small file for each place.
//!
//! What a note says is the business of who publishes. Here it is kept where who deletes finds it, replaced
//! whole and durably, and by one process at a time. A place has its own guard: publishing takes long, and
//! keeps neither runs nor those who delete from their work.

use crate::oci::digest::Digest;
use crate::store::Store;
use crate::store::directory::{Directory, MODE_PLAIN};
use crate::store::error::Error;
use crate::store::exclusive::ExclusiveStore;
use crate::store::guard::PublicationGuard;
use crate::store::keeper::hex_of;
use crate::store::layout::open_publications;
use crate::store::run::Run;
use crate::store::workspace::Workspace;

/// Bytes of one note: ten thousand images of a hundred layers.
const NOTE_BYTES_MAX: u64 = 256 << 20;

/// The note on one place, for one process alone.
#[derive(Debug)]
pub struct Publication<'a> {
    workspace: &'a Workspace,
    directory: Directory,
    name: String,
    // Held for its lock.
    _guard: PublicationGuard,
}

impl Store {
    /// The places that something was published to.
    pub fn publications(&self) -> Result<Vec<Digest>, Error> {
        let Some(directory) = open_publications(self.path())? else {
            return Ok(Vec::new());
        };
        let ids = directory.names()?.into_iter().filter_map(|name| {
            let hex = hex_of(&name, ".json")?;
            format!("sha256:{hex}").parse().ok()
        });
        Ok(ids.collect())
    }

    /// The note on the place `id`, if there is one.
    pub fn publication(&self, id: Digest) -> Result<Option<Vec<u8>>, Error> {
        match open_publications(self.path())? {
            Some(directory) => directory.read(&note_name(id), NOTE_BYTES_MAX),
            None => Ok(None),
        }
    }
}

impl Run {
    /// Waits until nobody else publishes to the place `id`.
    pub fn publication(&self, id: Digest) -> Result<Publication<'_>, Error> {
        let workspace = self.workspace();
        let guard = PublicationGuard::take(&workspace.layout, id, &workspace.caller)?;
        Publication::new(workspace, id, guard)
    }
}

impl ExclusiveStore {
    /// The note on the place `id`; `None` while somebody publishes there.
    pub fn try_publication(&self, id: Digest) -> Result<Option<Publication<'_>>, Error> {
        let workspace = self.workspace();
        let guard = PublicationGuard::try_take(&workspace.layout, id, &workspace.caller)?;
        guard.map(|guard| Publication::new(workspace, id, guard)).transpose()
    }
}

impl<'a> Publication<'a> {
    fn new(workspace: &'a Workspace, id: Digest, guard: PublicationGuard) -> Result<Self, Error> {
        let directory = workspace.layout.publications()?;
        Ok(Self { workspace, directory, name: note_name(id), _guard: guard })
    }

    /// The note, if there is one.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        self.directory.read(&self.name, NOTE_BYTES_MAX)
    }

    /// Replaces the note, whole and durably.
    pub fn write(&self, note: &[u8]) -> Result<(), Error> {
        self.workspace.publish_bytes(note, &self.directory, &self.name, MODE_PLAIN)
    }

    /// Removes the note.
    pub fn remove(&self) -> Result<(), Error> {
        self.directory.unlink(&self.name)?;
        self.directory.sync()
    }
}

fn note_name(id: Digest) -> String {
    format!("{}.json", id.hex())
}
