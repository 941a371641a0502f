//! A bundle becomes artifacts: first all of it is read and verified, then it is published.
//!
//! What the bundle says of itself is believed of nothing. Blobs are held to the digests in the lock, layers to
//! their `diff_id`s, and what is derived is made here and compared: fsmeta and disk of the layers, and a layer's
//! image of its blob. Without the blob there is nothing that an image follows from: it is held to the lock where
//! that has digests of artifacts, and to the layer that its superblock names.
//!
//! Until everything is verified nothing has a name in the store: what comes lies in the run's own directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use crate::archive::bundle::contents::{Member, MemberKind};
use crate::archive::bundle::error::BundleError;
use crate::archive::bundle::reader::BundleReader;
use crate::disk::erofs::format::BLOCK_BYTES;
use crate::disk::erofs::layer::uuid_of;
use crate::disk::erofs::reader::Image;
use crate::disk::file::{BlockFile as _, ReadAt};
use crate::engine::build::{disk_text, fsmeta_of};
use crate::engine::context::warn;
use crate::engine::error::{Error, not_stored};
use crate::engine::layer;
use crate::engine::progress::{Progress, Watched};
use crate::layer::builder::error::ChangesetError;
use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;
use crate::layer::read::ReadError;
use crate::oci::digest::{ChainId, DiffId, Digest, HashingReader};
use crate::oci::document::parsed::CONFIG_BYTES_MAX;
use crate::plan::action::{Action, FetchLayer, Stack};
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter, Totals};
use crate::plan::locked::locked_digests;
use crate::plan::selection::Selection;
use crate::plan::{layer_blobs, plan};
use crate::spec::lockfile::Lock;
use crate::store::Store;
use crate::store::ingest::{Expected, Ingest};
use crate::store::run::{Claim, Run};
use crate::store::stored::StoredFile;

/// Bytes of all documents of a bundle, which are held in memory: those of ten thousand images.
const DOCUMENTS_BYTES_MAX: u64 = 256 << 20;

/// Bytes of a layer image that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// With what a bundle is imported.
pub struct Importer {
    /// Where it goes.
    pub store: Store,
    /// The run under way in it.
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

/// What came of a bundle, verified and not published.
#[derive(Debug, Default)]
pub struct Staged {
    /// Indexes, manifests and configs.
    pub documents: BTreeMap<Digest, Vec<u8>>,
    /// Layer images that the store does not hold.
    layers: BTreeMap<DiffId, StagedFile>,
    /// Merged metadata that the store does not hold.
    fsmetas: BTreeMap<ChainId, StagedFile>,
    /// Disks that the store does not hold.
    disks: BTreeMap<ChainId, String>,
    /// What the bundle says of artifacts that are made here, or are there already.
    said: BTreeMap<Artifact, Digest>,
}

/// A file that is complete, and what it must still be when it is committed.
#[derive(Debug)]
struct StagedFile {
    ingest: Ingest,
    expected: Expected,
}

/// An image of a layer, come with the bundle or in the store.
enum LayerFile<'s> {
    Staged(&'s Ingest),
    Stored(Box<StoredFile>),
}

impl ReadAt for LayerFile<'_> {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Staged(ingest) => ingest.read_at(offset_bytes, buffer),
            Self::Stored(file) => file.read_at(offset_bytes, buffer),
        }
    }

    fn size_bytes(&self) -> io::Result<u64> {
        match self {
            Self::Staged(ingest) => ReadAt::size_bytes(*ingest),
            Self::Stored(file) => file.size_bytes(),
        }
    }
}

impl Importer {
    /// Reads all of the bundle behind its lock.
    pub fn read<R: Read + Send>(&self, bundle: &mut BundleReader<R>) -> Result<Staged, Error> {
        let blobs = layer_blobs(&self.lock, &self.selection);
        let mut incoming = Incoming {
            importer: self,
            layers: blobs.values().map(|layer| (layer.diff_id, layer.clone())).collect(),
            blobs,
            stacks: self.stacks(),
            locked: locked_digests(&self.lock),
            documents_bytes: 0,
            staged: Staged::default(),
        };
        while let Some(member) = bundle.next_member()? {
            match member.kind {
                MemberKind::Artifact(artifact) => incoming.take(bundle, member, artifact)?,
                // The list has each of them once, and they were read before.
                MemberKind::Marker | MemberKind::Index | MemberKind::Lock => {
                    bundle.skip_member()?;
                }
            }
        }
        Ok(incoming.staged)
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
        let mut have = self.run.inventory(&wanted)?;
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
            let images = stack.layers.iter().map(|&layer| self.open_layer(staged, layer, origin));
            let images: Vec<Image<LayerFile<'_>>> = images.collect::<Result<_, _>>()?;
            let artifact = Artifact::Fsmeta(chain_id);
            let (ingest, warnings) = fsmeta_of(&self.run, &stack, &images)?;
            drop(images);
            let digest = ingest.digest()?;
            let expected = Expected { size_bytes: None, digest: Some(digest) };
            self.compare(staged, artifact, digest, origin)?;
            if let Some(&expected) = locked.get(&artifact).filter(|&&locked| locked != digest) {
                return Err(Error::ArtifactDiffers { artifact, expected, actual: digest });
            }
            let image = Image::open(&ingest).map_err(|error| Error::Stored(artifact, error))?;
            let disk = disk_text(chain_id, digest, &image)?;
            self.compare(staged, Artifact::Disk(chain_id), Digest::of(&disk), origin)?;
            let image = &stack.origin.image;
            warn(self.reporter.as_ref(), image, "its layers together", &warnings);
            staged.fsmetas.insert(chain_id, StagedFile { ingest, expected });
            staged.disks.insert(chain_id, disk);
        }
        Ok(())
    }

    fn open_layer<'s>(
        &self,
        staged: &'s Staged,
        layer: DiffId,
        origin: &str,
    ) -> Result<Image<LayerFile<'s>>, Error> {
        let artifact = Artifact::Layer(layer);
        let file = match staged.layers.get(&layer) {
            Some(file) => LayerFile::Staged(&file.ingest),
            None => LayerFile::Stored(Box::new(self.store.open(artifact)?)),
        };
        let image = Image::open(file).map_err(|error| Error::Stored(artifact, error))?;
        if image.superblock().uuid != uuid_of(layer) {
            return Err(BundleError::OtherLayer { origin: origin.to_owned(), artifact }.into());
        }
        Ok(image)
    }

    /// Compares what is made with what the bundle holds and what the store has.
    fn compare(
        &self,
        staged: &Staged,
        artifact: Artifact,
        made: Digest,
        origin: &str,
    ) -> Result<(), Error> {
        let stored = self.store.open(artifact).ok().map(|file| file.record().digest);
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
        let mut totals = Totals::default();
        let all = plan(&self.lock, &self.selection, &BTreeSet::new()).actions;
        let actions: BTreeMap<Artifact, &Action> =
            all.iter().map(|action| (action.makes(), action)).collect();
        let Staged { documents, layers, fsmetas, disks, .. } = staged;
        for (digest, bytes) in documents {
            let artifact = Artifact::Blob(digest);
            let Claim::Mine(guard) = self.run.claim(artifact)? else { continue };
            self.run.commit_bytes(guard, &bytes)?;
            // An index within an index is part of no plan.
            totals.documents += u64::from(!actions.contains_key(&artifact));
            self.published(&actions, artifact, bytes.len() as u64, &mut totals);
        }
        let layers = layers.into_iter().map(|(id, file)| (Artifact::Layer(id), file));
        let fsmetas = fsmetas.into_iter().map(|(id, file)| (Artifact::Fsmeta(id), file));
        for (artifact, StagedFile { ingest, expected }) in layers.chain(fsmetas) {
            let Claim::Mine(guard) = self.run.claim(artifact)? else { continue };
            let record = ingest.commit(guard, expected)?;
            self.published(&actions, artifact, record.size_bytes, &mut totals);
        }
        for (chain_id, text) in disks {
            let artifact = Artifact::Disk(chain_id);
            let Claim::Mine(guard) = self.run.claim(artifact)? else { continue };
            let record = self.run.commit_bytes(guard, text.as_bytes())?;
            self.published(&actions, artifact, record.size_bytes, &mut totals);
        }
        Ok(totals)
    }

    fn published(
        &self,
        actions: &BTreeMap<Artifact, &Action>,
        artifact: Artifact,
        size_bytes: u64,
        totals: &mut Totals,
    ) {
        let Some(action) = actions.get(&artifact) else { return };
        let image = action.origin().image.clone();
        self.reporter.report(match action {
            Action::FetchDocument(document) => {
                totals.documents += 1;
                Event::DocumentDone {
                    kind: document.kind,
                    digest: document.digest,
                    size_bytes,
                    image,
                }
            }
            Action::FetchLayer(FetchLayer { diff_id, digest, size, .. }) => {
                totals.layers += 1;
                let (diff_id, digest, image_bytes) = (*diff_id, *digest, size_bytes);
                Event::LayerDone { diff_id, digest, size_bytes: *size, image_bytes, image }
            }
            Action::BuildFsmeta(stack) => {
                totals.fsmetas += 1;
                Event::FsmetaDone { chain_id: stack.chain_id, size_bytes, image }
            }
            Action::WriteDisk(stack) => {
                totals.disks += 1;
                Event::DiskDone { chain_id: stack.chain_id, image }
            }
        });
    }
}

/// A bundle that is being read.
struct Incoming<'i> {
    importer: &'i Importer,
    /// The compressed layers of its images, by their digests and by the layers that they hold.
    blobs: BTreeMap<Digest, FetchLayer>,
    layers: BTreeMap<DiffId, FetchLayer>,
    stacks: BTreeMap<ChainId, Stack>,
    /// The digests of artifacts by the lock.
    locked: BTreeMap<Artifact, Digest>,
    documents_bytes: u64,
    staged: Staged,
}

impl Incoming<'_> {
    fn take<R: Read + Send>(
        &mut self,
        bundle: &mut BundleReader<R>,
        member: Member,
        artifact: Artifact,
    ) -> Result<(), Error> {
        let foreign =
            || Error::from(BundleError::Foreign { origin: bundle.origin().to_owned(), artifact });
        if let Some(&expected) = self.locked.get(&artifact).filter(|&&it| it != member.digest) {
            return Err(Error::ArtifactDiffers { artifact, expected, actual: member.digest });
        }
        match artifact {
            Artifact::Blob(digest) => match self.blobs.get(&digest).cloned() {
                Some(layer) => self.take_blob(bundle, member, &layer),
                None => self.take_document(bundle, member),
            },
            Artifact::Layer(diff_id) => {
                let layer = self.layers.get(&diff_id).cloned().ok_or_else(foreign)?;
                self.take_image(bundle, member, &layer)
            }
            Artifact::Fsmeta(chain_id) | Artifact::Disk(chain_id) => {
                if !self.stacks.contains_key(&chain_id) {
                    return Err(foreign());
                }
                self.staged.said.insert(artifact, member.digest);
                Ok(bundle.skip_member()?)
            }
        }
    }

    fn take_document<R: Read>(
        &mut self,
        bundle: &mut BundleReader<R>,
        member: Member,
    ) -> Result<(), Error> {
        self.documents_bytes = self.documents_bytes.saturating_add(member.size_bytes);
        if self.documents_bytes > DOCUMENTS_BYTES_MAX {
            return Err(BundleError::TooLarge {
                origin: bundle.origin().to_owned(),
                name: member.kind.name(),
                size_bytes: self.documents_bytes,
                limit: DOCUMENTS_BYTES_MAX,
            }
            .into());
        }
        let bytes = bundle.read_member(CONFIG_BYTES_MAX)?;
        self.staged.documents.insert(member.digest, bytes);
        Ok(())
    }

    /// Takes the image of a layer. Where the store has one, it must be the same.
    fn take_image<R: Read>(
        &mut self,
        bundle: &mut BundleReader<R>,
        member: Member,
        layer: &FetchLayer,
    ) -> Result<(), Error> {
        let artifact = Artifact::Layer(layer.diff_id);
        if let Ok(stored) = self.importer.store.open(artifact) {
            bundle.skip_member()?;
            let (origin, found, made) =
                (bundle.origin().to_owned(), member.digest, stored.record().digest);
            if found != made {
                return Err(BundleError::NotMade { origin, artifact, found, made }.into());
            }
            return Ok(());
        }
        let limit = layer::image_bytes_max(&self.importer.limits);
        if member.size_bytes > limit {
            let (origin, name) = (bundle.origin().to_owned(), member.kind.name());
            let size_bytes = member.size_bytes;
            return Err(BundleError::TooLarge { origin, name, size_bytes, limit }.into());
        }
        self.begin(layer, member);
        let shown = FetchLayer { size: member.size_bytes, ..layer.clone() };
        let progress = Progress::begin(&self.importer.reporter, &shown, 0);
        let mut ingest = self.importer.run.ingest(limit)?;
        let copied = copy_sparse(&mut Watched::new(&mut *bundle, progress), &mut ingest);
        copied.map_err(|error| read_error(bundle, error))?;
        let expected =
            Expected { size_bytes: Some(member.size_bytes), digest: Some(member.digest) };
        self.staged.layers.insert(layer.diff_id, StagedFile { ingest, expected });
        Ok(())
    }

    /// Takes a compressed layer. Its image is built of it, and must be the one that the bundle has too, or the
    /// lock knows. Where the store has the image, only the layer is verified.
    fn take_blob<R: Read + Send>(
        &mut self,
        bundle: &mut BundleReader<R>,
        member: Member,
        layer: &FetchLayer,
    ) -> Result<(), Error> {
        let Importer { store, run, limits, reporter, .. } = self.importer;
        let artifact = Artifact::Layer(layer.diff_id);
        let staged = self.staged.layers.get(&layer.diff_id).map(|staged| staged.expected);
        if staged.is_none() && store.open(artifact).is_ok() {
            return verify_blob(bundle, layer, limits);
        }
        self.begin(layer, member);
        let progress = Progress::begin(reporter, layer, 0);
        let ingest = run.ingest(layer::image_bytes_max(limits))?;
        let built = layer::build(Watched::new(&mut *bundle, progress), layer, ingest, limits);
        // Where the bundle itself was wrong, that is the reason.
        let (ingest, warnings) =
            built.map_err(|error| bundle.take_error().map_or(error, Error::Bundle))?;
        let what = format!("layer `{}`", layer.digest);
        warn(reporter.as_ref(), &layer.origin.image, &what, &warnings);
        let made = ingest.digest()?;
        if let Some(found) = staged.and_then(|staged| staged.digest).filter(|&it| it != made) {
            let origin = bundle.origin().to_owned();
            return Err(BundleError::NotMade { origin, artifact, found, made }.into());
        }
        if let Some(&expected) = self.locked.get(&artifact).filter(|&&locked| locked != made) {
            return Err(Error::ArtifactDiffers { artifact, expected, actual: made });
        }
        let expected = Expected { size_bytes: None, digest: Some(made) };
        self.staged.layers.entry(layer.diff_id).or_insert(StagedFile { ingest, expected });
        Ok(())
    }

    fn begin(&self, layer: &FetchLayer, member: Member) {
        self.importer.reporter.report(Event::LayerStarted {
            diff_id: layer.diff_id,
            digest: layer.digest,
            size_bytes: member.size_bytes,
            image: layer.origin.image.clone(),
        });
    }
}

/// Reads a compressed layer to its end and checks that it holds the layer.
fn verify_blob<R: Read>(
    bundle: &mut BundleReader<R>,
    layer: &FetchLayer,
    limits: &Limits,
) -> Result<(), Error> {
    let unpack = |bundle: &mut BundleReader<R>| {
        let mut blob = BufReader::new(bundle);
        let mut tar = HashingReader::new(Decompressor::new(&mut blob, limits)?);
        io::copy(&mut tar, &mut io::sink())?;
        let (_, diff_id, _) = tar.finish();
        Ok(DiffId(diff_id))
    };
    let unpacked = unpack(bundle);
    // Where the bundle itself was wrong, that is the reason; its digest is known when all of it was read.
    if let Some(error) = bundle.take_error() {
        return Err(error.into());
    }
    bundle.skip_member()?;
    let digest = layer.digest;
    let unreadable = |error| ChangesetError::Read(ReadError::Input(error));
    let actual = unpacked.map_err(|error| Error::Layer { digest, source: unreadable(error) })?;
    if actual != layer.diff_id {
        let expected = layer.diff_id;
        return Err(Error::LayerDiffId { digest, expected, actual });
    }
    Ok(())
}

/// The store's error, if that is what came of a copy, or what was wrong with the bundle.
fn read_error<R: Read>(bundle: &mut BundleReader<R>, error: io::Error) -> Error {
    not_stored(error, |error| Error::Bundle(bundle.error_of(error)))
}

/// Copies all of `from`. Blocks of zeros are left as holes, as they are in an image that is built here.
fn copy_sparse(from: &mut impl Read, to: &mut Ingest) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut position = 0;
    loop {
        let count = read_full(from, &mut buffer)?;
        if count == 0 {
            return to.set_len(position);
        }
        for block in buffer[..count].chunks(BLOCK_BYTES) {
            if block.iter().any(|&byte| byte != 0) {
                to.write_at(position, block)?;
            }
            position += block.len() as u64;
        }
    }
}

/// Reads until `buffer` is full or the stream ends.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
