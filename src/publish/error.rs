//! Why something was not published.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::erofs::reader::error::ReadError;
use crate::engine;
use crate::oci::digest::Digest;
use crate::oci::document::error::DocumentError;
use crate::plan::artifact::Artifact;
use crate::spec::source::ImageSource;
use crate::store;

/// Why something was not published. Each variant names the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::error::Error),
    /// The parts of the disk are not in the store, or not as they were.
    #[error(transparent)]
    Engine(#[from] engine::error::Error),
    /// An operation in the other program's place failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A name is taken by another kind of file.
    #[error("`{}` is {found}, not {expected}", path.display())]
    Unexpected {
        /// Which name.
        path: PathBuf,
        /// What is there, with an article.
        found: &'static str,
        /// What should be there, with an article.
        expected: &'static str,
    },
    /// A directory belongs to another user.
    #[error("`{}` belongs to user {owner}, and this is user {user}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// This user's number.
        user: u32,
    },
    /// A file is there with other bytes, and somebody else put it there.
    #[error("`{}` is there with other bytes, and was not published from this store", path.display())]
    Conflict {
        /// Which file.
        path: PathBuf,
    },
    /// A file is longer than such files are.
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Bytes that are read.
        limit: u64,
    },
    /// A layer has a hard link to a file of a lower layer, for which the other program has no form.
    #[error("{0} has a hard link to a file of a lower layer, which microsandbox cannot hold")]
    LowerLink(Artifact),
    /// A layer's image in the store is not what was written there.
    #[error("the image of {0} cannot be read")]
    Layer(Artifact, #[source] ReadError),
    /// A manifest or a config cannot be read.
    #[error("document {digest} cannot be read")]
    Document {
        /// Its digest.
        digest: Digest,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// A manifest or a config has bytes that a JSON text in JSON cannot have.
    #[error("document {0} is not UTF-8")]
    NotText(Digest),
    /// The manifest has another number of layers than the lock.
    #[error("manifest {manifest} has {actual} layers, the lock says {expected}")]
    Layers {
        /// The manifest.
        manifest: Digest,
        /// Layers by the lock.
        expected: usize,
        /// Layers of the manifest.
        actual: usize,
    },
    /// An image of a directory or an archive has no name that another program could ask for.
    #[error("`{0}` is in no registry, so microsandbox has no name for it")]
    Local(ImageSource),
    /// Another process kept a lock for longer than the caller wants to wait.
    #[error("waited {} s for `{}`, which another process uses", waited.as_secs(), path.display())]
    Busy {
        /// The lock, or the file that is in use.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// The note on what was published is damaged, so nobody knows what is ours.
    #[error("the note of what was published to `{}` cannot be read", cache.display())]
    Note {
        /// The place.
        cache: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A newer version of this program wrote the note.
    #[error(
        "the note of what was published to `{}` is of version {version}, this program reads {known}", cache.display()
    )]
    NoteTooNew {
        /// The place.
        cache: PathBuf,
        /// Its version.
        version: u32,
        /// The newest version that can be read.
        known: u32,
    },
}

impl Error {
    pub(super) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// What it means to the caller.
    pub fn kind(&self) -> engine::error::Kind {
        match self {
            Self::Store(error) => error.class().into(),
            Self::Engine(error) => error.kind(),
            Self::Layer(..) | Self::Document { .. } | Self::NotText(_) | Self::Layers { .. } => {
                engine::error::Kind::Integrity
            }
            Self::Busy { .. } => engine::error::Kind::Busy,
            _ => engine::error::Kind::Failed,
        }
    }

    /// The stable code of the diagnostic.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Io { .. } => "publish-io",
            Self::Unexpected { .. } | Self::Foreign { .. } | Self::TooLarge { .. } => {
                "publish-foreign"
            }
            Self::Conflict { .. } => "publish-conflict",
            Self::LowerLink(_) => "publish-lower-link",
            Self::Layer(..) | Self::Document { .. } | Self::NotText(_) => "artifact-damaged",
            Self::Layers { .. } => "lock-mismatch",
            Self::Local(_) => "publish-local",
            Self::Busy { .. } => "publish-busy",
            Self::Note { .. } | Self::NoteTooNew { .. } => "publish-note",
        }
    }

    /// What to do next, where that can be known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.help(),
            Self::Engine(error) => error.help(),
            Self::Io { .. } => {
                Some("see what the system says about that place, then run the command again")
            }
            Self::Unexpected { .. } | Self::TooLarge { .. } => {
                Some("move it away, or publish to another directory with `microsandbox=DIR`")
            }
            Self::Foreign { .. } => Some("run as the user who runs microsandbox"),
            Self::Conflict { .. } => Some(
                "microsandbox has pulled that layer itself: remove its images with `msb image rm`, or publish to another directory with `microsandbox=DIR`",
            ),
            Self::LowerLink(_) => Some("let `msb` pull the image itself"),
            Self::Local(_) => Some("push the image to a registry and name it from there"),
            Self::Busy { .. } => Some("wait for it to end, or raise `--wait-timeout`"),
            Self::Note { .. } => Some(
                "remove it from `publications` in the store: what it named stays in microsandbox's cache",
            ),
            Self::NoteTooNew { .. } => Some("use the version of sandbox-images that wrote it"),
            _ => None,
        }
    }
}
