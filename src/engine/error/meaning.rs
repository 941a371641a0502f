//! What a failure means to who asked: its kind, its stable code, and what to do next.

use crate::disk::dm::DmError;
use crate::disk::vmdk::VmdkError;
use crate::engine::error::{Error, Kind};
use crate::oci::document::error::DocumentError;
use crate::registry::error::ErrorKind;
use crate::store::error::Class;

impl From<Class> for Kind {
    fn from(class: Class) -> Self {
        match class {
            Class::Failed => Self::Failed,
            Class::Missing => Self::Missing,
            Class::Integrity => Self::Integrity,
            Class::Busy => Self::Busy,
        }
    }
}

impl Error {
    /// What this means to the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Registry(error) => match error.kind() {
                ErrorKind::Integrity => Kind::Integrity,
                ErrorKind::Denied => Kind::Denied,
                _ => Kind::Failed,
            },
            Self::Store(error) => error.class().into(),
            Self::Archive(error) if error.is_integrity() => Kind::Integrity,
            Self::Bundle(error) if error.is_integrity() => Kind::Integrity,
            Self::Document { source, .. } if source.is_integrity() => Kind::Integrity,
            Self::Chain(_)
            | Self::LayerDigest { .. }
            | Self::LayerDiffId { .. }
            | Self::Stored(..)
            | Self::PartSize { .. }
            | Self::ArtifactDiffers { .. }
            | Self::Structure { .. }
            | Self::NotDerived { .. }
            | Self::Overlay(..) => Kind::Integrity,
            Self::OtherFormat(_) => Kind::Stale,
            Self::Offline { .. } | Self::NoNetwork(_) | Self::NotPulled { .. } => Kind::Missing,
            _ => Kind::Failed,
        }
    }

    /// The stable code of the diagnostic.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => match error.kind() {
                ErrorKind::Network => "network",
                ErrorKind::Certificate => "tls-certificate",
                ErrorKind::RateLimited => "rate-limited",
                ErrorKind::Denied => "denied",
                ErrorKind::NotFound => "not-found",
                ErrorKind::Integrity => "digest-mismatch",
                ErrorKind::Unsupported => "unsupported-image",
                ErrorKind::Protocol => "registry-protocol",
                ErrorKind::Settings => "tls-setup",
            },
            Self::Store(error) => error.code(),
            Self::Archive(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Chain(_) => "lock-mismatch",
            Self::Document { source: DocumentError::PlatformMismatch { .. }, .. } => {
                "platform-mismatch"
            }
            Self::Document { source: DocumentError::NoPlatform { .. }, .. }
            | Self::NoPlatform { .. } => "no-platform",
            Self::Document { .. } => "unsupported-image",
            Self::Offline { .. } | Self::NoNetwork(_) => "offline",
            Self::NotPulled { .. } => "not-pulled",
            Self::LayerDigest { .. } => "digest-mismatch",
            Self::LayerDiffId { .. } => "diff-id-mismatch",
            Self::Layer { source, .. } => source.code(),
            Self::TooManyLayers { .. } => "layer-limit",
            Self::Stored(..)
            | Self::Overlay(..)
            | Self::PartSize { .. }
            | Self::Structure { .. }
            | Self::NotDerived { .. } => "artifact-damaged",
            Self::Merge(_, source) => source.code(),
            Self::LayerImage { .. } | Self::Fsmeta(..) => "erofs",
            Self::TooLong(..) | Self::Vmdk(..) | Self::DmTable(..) => "disk",
            Self::ArtifactDiffers { .. } => "artifact-mismatch",
            Self::OtherFormat(_) => "artifact-format",
            Self::Output { .. } => "output",
            Self::Skipped { .. } => "skipped",
            Self::Aborted(_) | Self::NotOpened(_) => "aborted",
        }
    }

    /// What to do next, where that can be known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.help(),
            Self::Archive(error) => error.help(),
            Self::Bundle(error) => error.help(),
            Self::LayerDigest { .. } | Self::LayerDiffId { .. } | Self::Chain(_) => {
                Some("find out who changed the image, the mirror or the lock before you lock again")
            }
            Self::Document { source: DocumentError::NoPlatform { .. }, .. }
            | Self::NoPlatform { .. } => {
                Some("name those that exist in `platforms` of the image, or take another image")
            }
            Self::ArtifactDiffers { .. } => Some(
                "`sandbox-images verify --repair` makes the file again; if it is the same, find out whether the lock was edited or is of another build of this tool",
            ),
            Self::Output { .. } => Some(
                "see that there is room and that this user may write there, then run the command again",
            ),
            Self::OtherFormat(_) => Some(
                "use the sandbox-images that wrote it, or write the lock anew with `lock --artifacts` or `--no-artifacts`",
            ),
            Self::Stored(..)
            | Self::Overlay(..)
            | Self::PartSize { .. }
            | Self::Structure { .. }
            | Self::NotDerived { .. } => Some(
                "run `sandbox-images verify --deep --repair`: what is damaged is moved away and made again",
            ),
            Self::NotPulled { .. } => Some(
                "pull it once with `--policy if-missing`, by the same name and for the same platform",
            ),
            Self::Offline { .. } => Some(
                "run `sandbox-images sync` once with a network, or bring the store of a host that has one",
            ),
            Self::Registry(error) => match error.kind() {
                ErrorKind::Denied => Some("log in with `docker login`, or check the name"),
                ErrorKind::Certificate => Some(
                    "name its authority as `ca` of the registry in `config.toml`, or by `SSL_CERT_FILE`",
                ),
                ErrorKind::RateLimited => Some("come back later, log in, or name a mirror"),
                _ => None,
            },
            Self::Vmdk(_, VmdkError::Name(_)) => Some(
                "a VMDK names files by `A-Z a-z 0-9 . _ / -` alone: use another `--store` or output, or `--format raw`",
            ),
            Self::DmTable(_, DmError::Name(_)) => {
                Some("use a `--store` without such characters, or `--format raw`")
            }
            _ => None,
        }
    }
}
