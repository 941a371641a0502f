//! The things a store holds, and their names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::oci::digest::{ChainId, DiffId, Digest};

/// The format of layer images, fsmetas and disks: what is made of the same content by another format has
/// other bytes.
pub const FORMAT: u32 = 1;

/// Why a text does not name an artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of artifact and its digest")]
pub struct ArtifactError(String);

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
            Self::Layer(_) => format!("f{FORMAT}/layers/sha256/{hex}.erofs"),
            Self::Fsmeta(_) => format!("f{FORMAT}/fsmeta/sha256/{hex}.erofs"),
            Self::Disk(_) => format!("f{FORMAT}/disks/sha256/{hex}.vmdk"),
        }
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.digest())
    }
}

impl FromStr for Artifact {
    type Err = ArtifactError;

    /// Reads what [`Artifact`]'s `Display` writes, such as `layer sha256:…`.
    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        const SHOWN_CHARS_MAX: usize = 96;
        let wrong = || ArtifactError(text.chars().take(SHOWN_CHARS_MAX).collect());
        let (kind, digest) = text.split_once(' ').ok_or_else(wrong)?;
        let digest = digest.parse().map_err(|_| wrong())?;
        match kind {
            "blob" => Ok(Self::Blob(digest)),
            "layer" => Ok(Self::Layer(DiffId(digest))),
            "fsmeta" => Ok(Self::Fsmeta(ChainId(digest))),
            "disk" => Ok(Self::Disk(ChainId(digest))),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Artifact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Artifact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_reads_what_it_writes() {
        let digest = Digest::of("x");
        for artifact in [
            Artifact::Blob(digest),
            Artifact::Layer(DiffId(digest)),
            Artifact::Fsmeta(ChainId(digest)),
            Artifact::Disk(ChainId(digest)),
        ] {
            assert_eq!(artifact.to_string().parse(), Ok(artifact));
        }
    }

    #[test]
    fn other_texts_name_no_artifact() {
        for text in ["", "layer", "layer ../../x", "tree sha256:00"] {
            assert!(text.parse::<Artifact>().is_err(), "{text}");
        }
    }
}
