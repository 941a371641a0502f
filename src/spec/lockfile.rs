//! `sandbox-images.lock`: every image of a project, pinned to digests.
//!
//! A [`Lock`] holds all that `sync` needs to decide offline what is missing: for each image and platform the
//! manifest, the config and the layers, with sizes and `diff_id`s. It is read tolerantly (any TOML layout, line
//! ends of any kind) and written canonically by [`Lock::render`]: fixed key order, bytewise sorted blocks, one
//! layer a line, so that a block that nobody touched keeps its bytes and merges without conflict.
//!
//! Each block carries a `sum` of its own canonical text. A block whose sum does not fit was edited by hand or
//! by a bot; it is kept as it is read, reported by [`Lock::is_consistent`], and written back with the sum it
//! had, so that nobody launders an edit by writing the file for another reason. The format is described in
//! `docs/lockfile.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::document::kind::Kind;
use crate::oci::document::layer_type::LayerType;
use crate::oci::platform::Platform;
use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::lockfile::merge::Settled;
use crate::spec::manifest_file::ImageSet;
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

mod write;

mod markers;

mod read;

pub mod artifacts;

pub mod merge;

#[cfg(test)]
mod tests;

/// The `version` that this tool reads and writes. Another one is refused.
pub const VERSION: u64 = 1;

/// The `revision` that this tool writes. A higher one can be read, never written.
pub const REVISION: u64 = 0;

/// Bytes of a lock. A thousand images of a hundred layers on two platforms are half of it.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// All images of a project, pinned.
#[derive(Debug, Clone, Default)]
pub struct Lock {
    revision: u64,
    artifact_format: Option<u64>,
    images: BTreeMap<ImageName, LockedImage>,
    /// What the file said beyond the images' content; nothing for images that were set since.
    blocks: BTreeMap<ImageName, Block>,
}

/// Where a block of the file is, and whether its sum fits.
#[derive(Debug, Clone)]
struct Block {
    name_span: Range<usize>,
    source_span: Range<usize>,
    /// The sum of the file, where it is not the sum of the content.
    wrong_sum: Option<WrongSum>,
}

/// What stands where a block's sum should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WrongSum {
    Missing,
    Other(Digest),
}

/// One image, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedImage {
    /// Where it comes from.
    pub source: ImageSource,
    /// What the source resolved to: an index or a manifest.
    pub digest: Digest,
    /// The kind of document that `digest` names.
    pub media_type: Kind,
    /// Bytes of that document.
    pub size: u64,
    /// Platforms that were wanted by default when the image was locked, and that it does not have.
    pub absent_platforms: BTreeSet<Platform>,
    /// The platforms that it is locked for.
    pub platforms: BTreeMap<Platform, LockedPlatform>,
}

/// One image on one platform, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPlatform {
    /// The manifest.
    pub manifest: LockedDocument,
    /// The config.
    pub config: LockedDocument,
    /// The digest of the merged metadata, if artifacts are locked.
    pub fsmeta: Option<Digest>,
    /// The layers, bottom to top.
    pub layers: Vec<LockedLayer>,
}

/// A manifest or a config, pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedDocument {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// A layer, pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedLayer {
    /// The digest of the compressed bytes, as the registry serves them.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Its media type.
    pub layer_type: LayerType,
    /// The digest of the EROFS image made of it, if artifacts are locked.
    pub erofs: Option<Digest>,
}

impl LockedPlatform {
    /// The `diff_id` of each layer, bottom to top.
    pub fn diff_ids(&self) -> impl Iterator<Item = DiffId> {
        self.layers.iter().map(|layer| layer.diff_id)
    }

    /// The identity of the stack: the name of its fsmeta and its disk.
    pub fn chain_id(&self) -> ChainId {
        ChainId::of(self.diff_ids())
    }
}

/// Why a text is not a lock that this tool can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file is larger than [`FILE_BYTES_MAX`].
    #[error("the lock has {size} bytes, at most {FILE_BYTES_MAX} are read")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// A merge left its markers.
    #[error("the lock has conflict markers")]
    ConflictMarkers {
        /// The line of the first marker.
        span: Range<usize>,
    },
    /// A conflict marker is where git leaves none.
    #[error("the lock has a conflict marker without its others")]
    LoneMarker {
        /// The marker's line.
        span: Range<usize>,
    },
    /// The file is of another major version.
    #[error("the lock has version {found}, this tool reads version {VERSION}")]
    Version {
        /// The version that the file names.
        found: u64,
        /// Where it does.
        span: Range<usize>,
    },
    /// The file is not what a lock should be.
    #[error("the lock has {} that cannot be read", match .0.len() {
        1 => "a line".to_owned(),
        count => format!("{count} places"),
    })]
    Invalid(Vec<Diagnostic>),
}

impl LockError {
    /// The same as diagnostics, at least one.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let error = |code| Diagnostic::error(code, Source::Lock, self.to_string());
        vec![match self {
            Self::Invalid(problems) => return problems.clone(),
            Self::TooLarge { .. } => error("too-large"),
            Self::ConflictMarkers { span } => error("conflict-markers")
                .at(span.clone())
                .help("run `sandbox-images lock` and commit the result"),
            Self::LoneMarker { span } => error("conflict-markers")
                .at(span.clone())
                .help("take one side's lock whole, then run `sandbox-images lock`"),
            Self::Version { span, .. } => error("unknown-version")
                .at(span.clone())
                .help("use the version of sandbox-images that wrote it"),
        }]
    }
}

impl Lock {
    /// A lock of no images.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of a lock.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        read::lock(text)
    }

    /// Reads the text of a lock in which a merge left its markers, for the project that wants `set`: pins
    /// that were not in conflict stay where they are.
    pub fn parse_conflicted(text: &str, set: &ImageSet) -> Result<Settled, LockError> {
        merge::settle(text, set)
    }

    /// The canonical text. What is equal renders equally; what was read from canonical text renders as it
    /// was.
    ///
    /// A lock of a higher revision must not be written: see [`Lock::is_newer`].
    pub fn render(&self) -> String {
        write::lock(self)
    }

    /// The images in the order of their names.
    pub fn images(&self) -> impl ExactSizeIterator<Item = (&ImageName, &LockedImage)> {
        self.images.iter()
    }

    /// The image named `name`.
    pub fn image(&self, name: &str) -> Option<&LockedImage> {
        self.images.get(name)
    }

    /// Pins `name` to `image`, in place of what it was pinned to.
    pub fn insert(&mut self, name: ImageName, image: LockedImage) {
        self.blocks.remove(&name);
        self.images.insert(name, image);
    }

    /// Takes `name` out of the lock.
    pub fn remove(&mut self, name: &str) -> Option<LockedImage> {
        self.blocks.remove(name);
        self.images.remove(name)
    }

    /// Takes from the image `name` the platforms that are not among `wanted`: what needs no network. The
    /// image stays as inconsistent as it was.
    pub fn retain_platforms(&mut self, name: &str, wanted: &BTreeSet<Platform>) {
        if let Some(image) = self.images.get_mut(name) {
            image.platforms.retain(|platform, _| wanted.contains(platform));
            image.absent_platforms.retain(|platform| wanted.contains(platform));
        }
    }

    /// The format of the artifacts whose digests are locked; `None` if none are.
    pub const fn artifact_format(&self) -> Option<u64> {
        self.artifact_format
    }

    /// Whether a newer tool wrote it, with a revision that this one can read and must not write.
    pub const fn is_newer(&self) -> bool {
        self.revision > REVISION
    }

    /// The revision that the file names.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the block of `name` has the sum of its content. False for a block that was edited.
    pub fn is_consistent(&self, name: &str) -> bool {
        self.blocks.get(name).is_none_or(|block| block.wrong_sum.is_none())
    }

    /// Where the file that was read names this image.
    pub fn name_span(&self, name: &str) -> Option<Range<usize>> {
        self.blocks.get(name).map(|block| block.name_span.clone())
    }

    /// Where the file that was read has this image's source.
    pub fn source_span(&self, name: &str) -> Option<Range<usize>> {
        self.blocks.get(name).map(|block| block.source_span.clone())
    }
}

/// Locks are equal if they pin the same; where the texts had it does not matter.
impl PartialEq for Lock {
    fn eq(&self, other: &Self) -> bool {
        let Self { revision, artifact_format, images, blocks: _ } = self;
        *revision == other.revision
            && *artifact_format == other.artifact_format
            && *images == other.images
    }
}

impl Eq for Lock {}
