//! Whether an artifact holds what such an artifact must hold, beyond the bytes that its record promises.
//!
//! A record says that a file is as it was committed. Here is judged whether it was right to commit it: a
//! layer's image is read whole, an fsmeta is compared with what its layers make, a disk with what joins its
//! parts. So what was built of a file that was damaged then, and was healed since, is found.

use std::collections::BTreeMap;
use std::io;

use crate::disk::erofs::format::BLOCK;
use crate::disk::erofs::layer::uuid;
use crate::disk::erofs::reader::Image;
use crate::disk::file::ReadAt;
use crate::engine::build::{changeset, disk_text, open_layer, open_layers, write_fsmeta};
use crate::engine::disk::Disk;
use crate::engine::error::Error;
use crate::oci::digest::{ChainId, DiffId, Digest, Hasher};
use crate::plan::artifact::Artifact;
use crate::store::Store;

/// The layers of stacks, bottom to top, by the stacks' identity.
pub type Stacks = BTreeMap<ChainId, Vec<DiffId>>;

/// Checks `artifact`, which is in `store`. An fsmeta whose layers are not among `stacks` is read, and its
/// device table compared with the layers' sizes; any other must be to the byte what its layers make.
pub fn check(store: &Store, artifact: Artifact, stacks: &Stacks) -> Result<(), Error> {
    match artifact {
        // Its name is the digest of its bytes; what they must hold follows from who names it.
        Artifact::Blob(_) => Ok(()),
        Artifact::Layer(diff_id) => layer(store, diff_id),
        Artifact::Fsmeta(chain_id) => match stacks.get(&chain_id) {
            Some(layers) => fsmeta(store, chain_id, layers),
            None => unknown_fsmeta(store, chain_id),
        },
        Artifact::Disk(chain_id) => {
            same(store, artifact, Digest::of(disk_text(&store.reader()?, chain_id)?))
        }
    }
}

/// The whole tree, all block ranges, and the superblock's own account of the image.
fn layer(store: &Store, diff_id: DiffId) -> Result<(), Error> {
    let image = open_layer(&store.reader()?, diff_id)?;
    let size_bytes = store.open(Artifact::Layer(diff_id))?.record().size_bytes;
    check_layer(diff_id, &image, size_bytes)?;
    changeset(diff_id, &image, 0).map(drop)
}

/// Checks that `image`, a file of so many bytes, says that it is the image of this layer.
pub(super) fn check_layer<R: ReadAt>(
    diff_id: DiffId,
    image: &Image<R>,
    size_bytes: u64,
) -> Result<(), Error> {
    let artifact = Artifact::Layer(diff_id);
    let wrong = |problem| Error::Structure { artifact, problem };
    let superblock = image.superblock();
    if superblock.uuid != uuid(diff_id) {
        return Err(wrong("has the superblock of another layer"));
    }
    if !image.devices().is_empty() {
        return Err(wrong("has a device table, which no layer has"));
    }
    if size_bytes != u64::from(superblock.blocks) * BLOCK {
        return Err(wrong("has another length than its superblock states"));
    }
    Ok(())
}

fn fsmeta(store: &Store, chain_id: ChainId, layers: &[DiffId]) -> Result<(), Error> {
    let artifact = Artifact::Fsmeta(chain_id);
    let mut bytes = Hashed(Hasher::new());
    write_fsmeta(artifact, &open_layers(&store.reader()?, layers)?, || (), &mut bytes)?;
    same(store, artifact, bytes.0.finish())
}

fn unknown_fsmeta(store: &Store, chain_id: ChainId) -> Result<(), Error> {
    Disk::open(store, chain_id)?;
    let artifact = Artifact::Fsmeta(chain_id);
    let unreadable = |error| Error::Stored(artifact, error);
    let image = Image::open(store.open(artifact)?).map_err(unreadable)?;
    image.tree(0).map(drop).map_err(unreadable)
}

fn same(store: &Store, artifact: Artifact, expected: Digest) -> Result<(), Error> {
    let actual = store.open(artifact)?.sha256()?;
    if actual == expected {
        return Ok(());
    }
    Err(Error::NotDerived { artifact, expected, actual })
}

/// Bytes of which only the digest is wanted.
struct Hashed(Hasher);

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
