//! A bundle becomes artifacts: first all of it is read and verified, then it is published.
//!
//! What the bundle says of itself is believed of nothing. Blobs are held to the digests in the lock, layers to
//! their `diff_id`s, and what is derived is made here and compared: fsmeta and disk of the layers, and a layer's
//! image of its blob. Without the blob there is nothing that an image follows from: it is held to the lock where
//! that has digests of artifacts, and to the layer that its superblock names.
//!
//! Until everything is verified nothing has a name in the store: what comes lies in the run's own directory.

pub mod staged;

mod incoming;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use crate::archive::bundle::error::BundleError;
use crate::archive::bundle::reader::BundleReader;
use crate::disk::erofs::reader::Image;
use crate::disk::file::ReadAt as _;
use crate::engine::apply::done_event;
use crate::engine::build::{disk_text_of, ingest_fsmeta};
use crate::engine::context::warn;
use crate::engine::error::Error;
use crate::engine::import::incoming::Incoming;
use crate::engine::import::staged::{Staged, StagedFile};
use crate::engine::structure::check_layer;
use crate::layer::limits::Limits;
use crate::layer::warning::Warnings;
use crate::oci::digest::{ChainId, Digest};
use crate::plan::action::{Action, Stack};
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter, Totals};
use crate::plan::locked::locked_digests;
use crate::plan::selection::Selection;
use crate::plan::{layer_blobs, plan};
use crate::spec::lockfile::Lock;
use crate::store::Store;
use crate::store::ingest::{Expected, Ingest};
use crate::store::record::Record;
use crate::store::run::{Claim, Run};

/// With what a bundle is imported.
pub struct Importer {
    /// Where it goes, and what is there already.
    pub store: Store,
    /// Where files come to lie before they are verified. If they are to be published, a run under way in the store.
    pub run: Run,
    /// The lock of the bundle.
    pub lock: Lock,
    /// What of the lock the bundle is for.
    pub selection: Selection,
    /// What a layer may hold.
    pub limits: Limits,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Importer {
    /// Reads all of the bundle behind its lock.
    pub fn read<R: Read + Send>(&self, bundle: &mut BundleReader<R>) -> Result<Staged, Error> {
        let blobs = layer_blobs(&self.lock, &self.selection);
        let incoming = Incoming {
            store: &self.store,
            run: &self.run,
            limits: &self.limits,
            reporter: &self.reporter,
            layers: blobs.values().map(|layer| (layer.diff_id, layer.clone())).collect(),
            blobs,
            stacks: self.stacks(),
            locked: locked_digests(&self.lock),
            documents_bytes: 0,
            staged: Staged::default(),
        };
        incoming.read(bundle)
    }

    /// The stacks of layers that the bundle is for.
    fn stacks(&self) -> BTreeMap<ChainId, Stack> {
        let all = plan(&self.lock, &self.selection, &BTreeSet::new()).actions.into_iter();
        all.filter_map(|action| match action {
            Action::BuildFsmeta(stack) => Some((stack.chain_id, stack)),
            _ => None,
        })
        .collect()
    }

    /// What is neither in the bundle nor in the store, and cannot be made of what is.
    pub fn missing(&self, staged: &Staged) -> Result<Vec<Action>, Error> {
        let all = plan(&self.lock, &self.selection, &BTreeSet::new());
        let wanted: Vec<Artifact> = all.actions.iter().map(Action::makes).collect();
        let mut have = self.store.inventory(wanted)?;
        have.extend(staged.documents.keys().copied().map(Artifact::Blob));
        have.extend(staged.layers.keys().copied().map(Artifact::Layer));
        let missing = plan(&self.lock, &self.selection, &have).actions.into_iter();
        Ok(missing
            .filter(|action| matches!(action, Action::FetchDocument(_) | Action::FetchLayer(_)))
            .collect())
    }

    /// Makes what follows from the layers and compares it with what the bundle, the lock and the store say.
    pub fn derive(&self, staged: &mut Staged, origin: &str) -> Result<(), Error> {
        let locked = locked_digests(&self.lock);
        for (chain_id, stack) in self.stacks() {
            let artifact = Artifact::Fsmeta(chain_id);
            let (ingest, warnings) =
                self.merge(staged, &stack).map_err(|error| staged.blame(error, origin))?;
            let digest = ingest.sha256()?;
            let expected = Expected { size_bytes: None, digest: Some(digest) };
            self.compare(staged, artifact, digest, origin)?;
            if let Some(&expected) = locked.get(&artifact).filter(|&&locked| locked != digest) {
                return Err(Error::ArtifactDiffers { artifact, expected, actual: digest });
            }
            let image = Image::open(&ingest).map_err(|error| Error::Stored(artifact, error))?;
            let disk = disk_text_of(chain_id, digest, &image)?;
            self.compare(staged, Artifact::Disk(chain_id), Digest::of(&disk), origin)?;
            let image = &stack.origin.image;
            warn(self.reporter.as_ref(), image, "its layers together", &warnings);
            staged.fsmetas.insert(chain_id, StagedFile { ingest, expected });
            staged.disks.insert(chain_id, disk);
        }
        Ok(())
    }

    /// Merges the layers of `stack` into a file.
    fn merge(&self, staged: &Staged, stack: &Stack) -> Result<(Ingest, Warnings), Error> {
        let (chain_id, image) = (stack.chain_id, &stack.origin.image);
        self.reporter.report(Event::FsmetaStarted { chain_id, image: image.clone() });
        let layers = stack.layers.iter().map(|&layer| {
            let file = staged.open_layer(&self.store, layer)?;
            let artifact = Artifact::Layer(layer);
            let size_bytes =
                file.size_bytes().map_err(|error| Error::Stored(artifact, error.into()))?;
            let image = Image::open(file).map_err(|error| Error::Stored(artifact, error))?;
            check_layer(layer, &image, size_bytes)?;
            Ok((layer, image))
        });
        let layers = layers.collect::<Result<Vec<_>, Error>>()?;
        let writing =
            || self.reporter.report(Event::FsmetaWriting { chain_id, image: image.clone() });
        ingest_fsmeta(&self.run, Artifact::Fsmeta(chain_id), &layers, writing)
    }

    /// Compares what is made with what the bundle holds and what the store has.
    fn compare(
        &self,
        staged: &Staged,
        artifact: Artifact,
        made: Digest,
        origin: &str,
    ) -> Result<(), Error> {
        let stored = self.store.open(artifact).ok().map(|file| file.sha256()).transpose()?;
        let others = staged.said.get(&artifact).copied().into_iter().chain(stored);
        match others.into_iter().find(|&found| found != made) {
            Some(found) => {
                Err(BundleError::NotMade { origin: origin.to_owned(), artifact, found, made }
                    .into())
            }
            None => Ok(()),
        }
    }

    /// Publishes all of it, what others need first. What is there already stays.
    pub fn publish(&self, staged: Staged) -> Result<Totals, Error> {
        let all = plan(&self.lock, &self.selection, &BTreeSet::new()).actions;
        let mut publishing = Publishing {
            importer: self,
            actions: all.iter().map(|action| (action.makes(), action)).collect(),
            totals: Totals::default(),
        };
        let Staged { documents, layers, fsmetas, disks, .. } = staged;
        for (digest, bytes) in documents {
            publishing.bytes(Artifact::Blob(digest), &bytes)?;
        }
        let layers = layers.into_iter().map(|(id, file)| (Artifact::Layer(id), file));
        let fsmetas = fsmetas.into_iter().map(|(id, file)| (Artifact::Fsmeta(id), file));
        for (artifact, file) in layers.chain(fsmetas) {
            publishing.file(artifact, file)?;
        }
        for (chain_id, text) in disks {
            publishing.bytes(Artifact::Disk(chain_id), text.as_bytes())?;
        }
        // Nothing of it has come over a network.
        Ok(Totals { download_bytes: 0, ..publishing.totals })
    }
}

/// What is verified, on its way into the store.
struct Publishing<'i> {
    importer: &'i Importer,
    actions: BTreeMap<Artifact, &'i Action>,
    totals: Totals,
}

impl Publishing<'_> {
    fn bytes(&mut self, artifact: Artifact, bytes: &[u8]) -> Result<(), Error> {
        match self.importer.run.claim(artifact)? {
            Claim::Mine(guard) => {
                let record = self.importer.run.commit_bytes(guard, bytes)?;
                self.published(artifact, &record);
            }
            Claim::Present(_) => self.present(artifact),
        }
        Ok(())
    }

    fn file(&mut self, artifact: Artifact, file: StagedFile) -> Result<(), Error> {
        let StagedFile { ingest, expected } = file;
        match self.importer.run.claim(artifact)? {
            Claim::Mine(guard) => {
                if let Some(Action::FetchLayer(layer)) = self.actions.get(&artifact) {
                    let (diff_id, image) = (layer.diff_id, layer.origin.image.clone());
                    self.importer.reporter.report(Event::LayerVerified { diff_id, image });
                }
                let record = ingest.commit(guard, expected)?;
                self.published(artifact, &record);
            }
            Claim::Present(_) => self.present(artifact),
        }
        Ok(())
    }

    fn published(&mut self, artifact: Artifact, record: &Record) {
        match self.actions.get(&artifact) {
            Some(action) => {
                self.totals.add(action);
                self.importer.reporter.report(done_event(action, record));
            }
            // An index within an index is part of no plan.
            None => self.totals.documents += 1,
        }
    }

    fn present(&self, artifact: Artifact) {
        if let Some(action) = self.actions.get(&artifact) {
            let image = action.origin().image.clone();
            self.importer.reporter.report(Event::Present { artifact, download_bytes: 0, image });
        }
    }
}
