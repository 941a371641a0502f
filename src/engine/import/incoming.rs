//! A bundle that is being read: what is believed of each member, and what is kept of it.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use crate::archive::bundle::contents::{Member, MemberKind};
use crate::archive::bundle::error::BundleError;
use crate::archive::bundle::reader::BundleReader;
use crate::engine::context::warn;
use crate::engine::error::{Error, not_stored};
use crate::engine::import::staged::{Staged, StagedFile, copy_sparse};
use crate::engine::layer;
use crate::engine::progress::{Progress, Watched};
use crate::layer::builder::error::ChangesetError;
use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;
use crate::layer::read::ReadError;
use crate::oci::digest::{ChainId, DiffId, Digest, HashingReader};
use crate::oci::document::parsed::CONFIG_BYTES_MAX;
use crate::plan::action::{FetchLayer, Stack};
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter};
use crate::store::Store;
use crate::store::ingest::Expected;
use crate::store::run::Run;

/// Bytes of all documents of a bundle, which are held in memory: those of ten thousand images.
const DOCUMENTS_BYTES_MAX: u64 = 256 << 20;

/// Takes what a bundle holds.
pub(super) struct Incoming<'i> {
    /// What is there already.
    pub(super) store: &'i Store,
    /// Where files go.
    pub(super) run: &'i Run,
    /// What a layer may hold.
    pub(super) limits: &'i Limits,
    /// Who is told.
    pub(super) reporter: &'i Arc<dyn Reporter>,
    /// The compressed layers of its images, by their digests and by the layers that they hold.
    pub(super) blobs: BTreeMap<Digest, FetchLayer>,
    pub(super) layers: BTreeMap<DiffId, FetchLayer>,
    /// Its stacks of layers.
    pub(super) stacks: BTreeMap<ChainId, Stack>,
    /// The digests of artifacts by the lock.
    pub(super) locked: BTreeMap<Artifact, Digest>,
    /// Bytes of the documents so far.
    pub(super) documents_bytes: u64,
    /// What has come of it.
    pub(super) staged: Staged,
}

impl Incoming<'_> {
    /// Reads all of the bundle behind its lock.
    pub(super) fn read<R: Read + Send>(
        mut self,
        bundle: &mut BundleReader<R>,
    ) -> Result<Staged, Error> {
        while let Some(member) = bundle.next_member()? {
            match member.kind {
                MemberKind::Artifact(artifact) => self.take(bundle, member, artifact)?,
                // The list has each of them once, and they were read before.
                MemberKind::Marker | MemberKind::Index | MemberKind::Lock => {
                    bundle.skip_member()?;
                }
            }
        }
        Ok(self.staged)
    }

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
        if let Ok(stored) = self.store.open(artifact) {
            bundle.skip_member()?;
            let (origin, found, made) =
                (bundle.origin().to_owned(), member.digest, stored.sha256()?);
            if found != made {
                return Err(BundleError::NotMade { origin, artifact, found, made }.into());
            }
            return Ok(());
        }
        let limit = layer::image_bytes_max(self.limits);
        if member.size_bytes > limit {
            let (origin, name) = (bundle.origin().to_owned(), member.kind.name());
            let size_bytes = member.size_bytes;
            return Err(BundleError::TooLarge { origin, name, size_bytes, limit }.into());
        }
        self.begin(layer, member);
        let shown = FetchLayer { size: member.size_bytes, ..layer.clone() };
        let progress = Progress::begin(self.reporter, &shown, 0);
        let mut ingest = self.run.ingest(limit)?;
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
        let Self { store, run, limits, reporter, .. } = *self;
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
        let made = ingest.sha256()?;
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
        self.reporter.report(Event::LayerStarted {
            diff_id: layer.diff_id,
            digest: layer.digest,
            size_bytes: member.size_bytes,
            image: layer.origin.image.clone(),
            stored: false,
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
