//! What came of a bundle, before any of it has a name in the store.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::archive::bundle::error::BundleError;
use crate::disk::erofs::format::BLOCK_BYTES;
use crate::disk::file::{BlockFile as _, ReadAt};
use crate::engine::error::Error;
use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::ingest::{Expected, Ingest};
use crate::store::stored::StoredFile;

/// Bytes of a layer image that are read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What came of a bundle, verified and not published.
#[derive(Debug, Default)]
pub struct Staged {
    /// Indexes, manifests and configs.
    pub documents: BTreeMap<Digest, Vec<u8>>,
    /// Layer images that the store does not hold.
    pub(super) layers: BTreeMap<DiffId, StagedFile>,
    /// Merged metadata that the store does not hold.
    pub(super) fsmetas: BTreeMap<ChainId, StagedFile>,
    /// Disks that the store does not hold.
    pub(super) disks: BTreeMap<ChainId, String>,
    /// What the bundle says of artifacts that are made here, or are there already.
    pub(super) said: BTreeMap<Artifact, Digest>,
}

/// A file that is complete, and what it must still be when it is committed.
#[derive(Debug)]
pub(super) struct StagedFile {
    pub(super) ingest: Ingest,
    pub(super) expected: Expected,
}

/// An image of a layer, come with the bundle or in the store.
#[derive(Debug)]
pub(super) enum LayerFile<'s> {
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

impl Staged {
    /// The image of `layer`, where it is.
    pub(super) fn open_layer(&self, store: &Store, layer: DiffId) -> Result<LayerFile<'_>, Error> {
        match self.layers.get(&layer) {
            Some(file) => Ok(LayerFile::Staged(&file.ingest)),
            None => Ok(LayerFile::Stored(Box::new(store.open(Artifact::Layer(layer))?))),
        }
    }

    /// What `error` says of the bundle, if it is about a layer image that the bundle brought.
    pub(super) fn blame(&self, error: Error, origin: &str) -> Error {
        let artifact = match &error {
            Error::Stored(artifact, _)
            | Error::Overlay(artifact, _)
            | Error::Structure { artifact, .. } => *artifact,
            _ => return error,
        };
        match artifact {
            Artifact::Layer(layer) if self.layers.contains_key(&layer) => {
                let (origin, source) = (origin.to_owned(), Box::new(error));
                BundleError::LayerImage { origin, artifact, source }.into()
            }
            _ => error,
        }
    }
}

/// Copies all of `from`. Blocks of zeros are left as holes, as they are in an image that is built here.
pub(super) fn copy_sparse(from: &mut impl Read, to: &mut Ingest) -> io::Result<()> {
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
