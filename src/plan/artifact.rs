//! The things a store holds, and their names.

use std::collections::BTreeSet;
use std::fmt;

use crate::oci::digest::{ChainId, DiffId, Digest};

/// One file that a store holds. Its name follows from what it is, so a store has no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Artifact {
    /// An index, a manifest, a config or a compressed layer, as the registry serves it.
    Blob(Digest),
    /// The EROFS image of one layer.
    Layer(DiffId),
    /// The merged metadata of a stack of layers.
    Fsmeta(ChainId),
    /// The VMDK text that joins an fsmeta and its layers into one disk.
    Disk(ChainId),
}

/// What a store holds now, as data.
pub type Inventory = BTreeSet<Artifact>;

impl Artifact {
    /// `blob`, `layer`, `fsmeta` or `disk`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Blob(_) => "blob",
            Self::Layer(_) => "layer",
            Self::Fsmeta(_) => "fsmeta",
            Self::Disk(_) => "disk",
        }
    }

    /// The digest in its name.
    pub const fn digest(&self) -> Digest {
        match *self {
            Self::Blob(digest)
            | Self::Layer(DiffId(digest))
            | Self::Fsmeta(ChainId(digest))
            | Self::Disk(ChainId(digest)) => digest,
        }
    }

    /// Where it lies, from the directory of the store's layout version. `f1` is the artifact format:
    /// an fsmeta holds block addresses of layer images, so files of two formats never mix.
    pub fn path(&self) -> String {
        let hex = self.digest().hex();
        match self {
            Self::Blob(_) => format!("blobs/sha256/{hex}"),
            Self::Layer(_) => format!("f1/layers/sha256/{hex}.erofs"),
            Self::Fsmeta(_) => format!("f1/fsmeta/sha256/{hex}.erofs"),
            Self::Disk(_) => format!("f1/disks/sha256/{hex}.vmdk"),
        }
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.digest())
    }
}
