//! What can go wrong in a store, and what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::store::content::ContentDigest;

/// Why an artifact that is named is not served: what `verify` reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// There is no record, or a record without a file.
    #[error("it is missing")]
    Missing,
    /// The file is shorter or longer than its record says.
    #[error("it has {actual} bytes, its record says {expected}")]
    Size {
        /// Bytes by the record.
        expected: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// The file's bytes are others than its record says.
    #[error("its digest is {actual}, its record says {expected}")]
    Digest {
        /// Digest by the record.
        expected: ContentDigest,
        /// Digest of the file.
        actual: ContentDigest,
    },
    /// The first block of an EROFS image does not fit the checksum in it.
    #[error("its superblock does not fit its checksum")]
    Superblock,
    /// The file or its record cannot be read, or the record is not one.
    #[error("it cannot be read: {reason}")]
    Unreadable {
        /// What the operating system or the parser said.
        reason: String,
    },
    /// Something else than a regular file has its name.
    #[error("it is {found}, not a regular file")]
    Unexpected {
        /// What has its name, with an article.
        found: &'static str,
    },
}

impl Damage {
    /// The class in reports: `missing`, `size`, `digest`, `unreadable` or `unexpected`.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Size { .. } => "size",
            Self::Digest { .. } | Self::Superblock => "digest",
            Self::Unreadable { .. } => "unreadable",
            Self::Unexpected { .. } => "unexpected",
        }
    }
}

/// What keeps artifacts alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeeperKind {
    /// What a project wants.
    Root,
    /// What a run or a virtual machine uses.
    Lease,
}

impl fmt::Display for KeeperKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Lease => "lease",
        })
    }
}

/// Why the store did not do what it was asked. Each variant names the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation that has no better variant failed.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// `EROFS`: the store lies on a read-only file system.
    #[error("cannot {action} `{path}`, the store is read-only")]
    ReadOnly {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// `ENOSPC` or `EDQUOT`: no bytes, no inodes or no quota left.
    #[error("cannot {action} `{path}`, no space is left")]
    NoSpace {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Which of the two it was.
        source: io::Error,
    },
    /// `EACCES` or `EPERM`: the store belongs to somebody else.
    #[error("cannot {action} `{path}`, this user may not")]
    Denied {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Which of the two it was.
        source: io::Error,
    },
    /// The store belongs to another user, and nobody said that this is meant.
    #[error("`{path}` belongs to user {owner}, and this is user {user}")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// This user's number.
        user: u32,
    },
    /// There is less room than the compressed bytes of what is missing need.
    #[error("`{path}` has {free_bytes} bytes free, and {needed_bytes} bytes are to be fetched")]
    Full {
        /// The store.
        path: PathBuf,
        /// Bytes that can be written there.
        free_bytes: u64,
        /// Compressed bytes that are missing.
        needed_bytes: u64,
    },
    /// A name of the store's layout is taken by another kind of file.
    #[error("`{path}` is {found}, not {expected}")]
    Unexpected {
        /// Which name.
        path: PathBuf,
        /// What is there, with an article.
        found: &'static str,
        /// What should be there, with an article.
        expected: &'static str,
    },
    /// The store does not hold the artifact.
    #[error("{artifact} is not in the store")]
    Missing {
        /// Which artifact.
        artifact: Artifact,
    },
    /// The store holds the artifact, but not as it was committed.
    #[error("{artifact} at `{path}` is damaged")]
    Damaged {
        /// Which artifact.
        artifact: Artifact,
        /// Its file.
        path: PathBuf,
        /// In which way.
        source: Box<Damage>,
    },
    /// What came in has not the size that was expected.
    #[error("{artifact} has {actual} bytes, not {expected}")]
    WrongSize {
        /// Which artifact.
        artifact: Artifact,
        /// Bytes that were expected.
        expected: u64,
        /// Bytes that came in.
        actual: u64,
    },
    /// What came in has not the digest that was expected.
    #[error("{artifact} has digest {actual}, not {expected}")]
    WrongDigest {
        /// Which artifact.
        artifact: Artifact,
        /// Digest that was expected.
        expected: Digest,
        /// Digest of what came in.
        actual: ContentDigest,
    },
    /// More bytes than the caller allowed.
    #[error("`{path}` would grow beyond {limit} bytes")]
    TooLarge {
        /// The file that is read or written.
        path: PathBuf,
        /// Bytes that were allowed.
        limit: u64,
    },
    /// A root or a lease is damaged, and may keep anything.
    #[error("`{path}` is no {kind}")]
    KeeperDamaged {
        /// Its file.
        path: PathBuf,
        /// What it should be.
        kind: KeeperKind,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A newer version of this program wrote a root or a lease.
    #[error("`{path}` is a {kind} of version {version}, this program reads {known}")]
    KeeperTooNew {
        /// Its file.
        path: PathBuf,
        /// What it is.
        kind: KeeperKind,
        /// Its version.
        version: u32,
        /// The newest version that can be read.
        known: u32,
    },
    /// Another process kept a guard for longer than the caller wants to wait.
    #[error("waited {} s for {what}, which {holder} holds", waited.as_secs())]
    Busy {
        /// What is guarded.
        what: String,
        /// Who holds it, as far as is known.
        holder: String,
        /// How long this process waited.
        waited: Duration,
    },
}

/// How serious an [`Error`] is: what decides the program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something did not work: exit code 1.
    Failed,
    /// The store lacks something: exit code 4.
    Missing,
    /// Bytes are not what they should be: exit code 5.
    Integrity,
    /// Another process was in the way: exit code 7.
    Busy,
}

impl Error {
    /// The variant that fits what the operating system said about `action` on `path`.
    pub(super) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        let (path, source) = (path.as_ref().to_owned(), source.into());
        match Errno::from_io_error(&source) {
            Some(Errno::ROFS) => Self::ReadOnly { action, path },
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace { action, path, source },
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied { action, path, source },
            _ => Self::Io { action, path, source },
        }
    }

    /// How serious it is.
    pub const fn class(&self) -> Class {
        match self {
            Self::Missing { .. } => Class::Missing,
            Self::Damaged { .. } | Self::WrongSize { .. } | Self::WrongDigest { .. } => {
                Class::Integrity
            }
            Self::Busy { .. } => Class::Busy,
            _ => Class::Failed,
        }
    }

    /// The stable code of the diagnostic.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "store-io",
            Self::ReadOnly { .. } => "store-read-only",
            Self::NoSpace { .. } => "store-no-space",
            Self::Denied { .. } => "store-denied",
            Self::Foreign { .. } => "store-foreign",
            Self::Full { .. } => "store-full",
            Self::Unexpected { .. } => "store-unexpected-file",
            Self::Missing { .. } => "artifact-missing",
            Self::Damaged { .. } => "artifact-damaged",
            Self::WrongSize { .. } => "size-mismatch",
            Self::WrongDigest { .. } => "digest-mismatch",
            Self::TooLarge { .. } => "too-large",
            Self::KeeperDamaged { .. } => "keeper-damaged",
            Self::KeeperTooNew { .. } => "keeper-too-new",
            Self::Busy { .. } => "store-busy",
        }
    }

    /// What to do next, where the store can know.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } if is_shortage(source) => Some(
                "raise the limit (`ulimit -n` for open files), or work on less at once with `-j`",
            ),
            Self::Io { .. } => {
                Some("see what the system says about that disk or file, then run the command again")
            }
            Self::ReadOnly { .. } => {
                Some("mount it writable, or choose another one with `--store`")
            }
            Self::NoSpace { .. } | Self::Full { .. } => Some(
                "free space (or inodes, or quota) there, or choose another place with `--store`",
            ),
            Self::Denied { .. } => {
                Some("run as the user who owns the store, or choose another one with `--store`")
            }
            Self::Foreign { .. } => Some(
                "run as that user, choose another one with `--store`, or set `allow-foreign-owner = true` in config.toml",
            ),
            Self::Unexpected { .. } => Some("move it away, or choose another place with `--store`"),
            Self::Missing { .. } => Some("run `sandbox-images sync`"),
            Self::Damaged { .. } => {
                Some("run `sandbox-images sync` with a network: what is damaged is made again")
            }
            Self::KeeperDamaged { kind: KeeperKind::Root, .. } => Some(
                "sync its project again, or remove it with `sandbox-images roots remove`; until then nothing is deleted",
            ),
            Self::KeeperDamaged { kind: KeeperKind::Lease, .. } => {
                Some("remove it when no sandbox uses the store; until then nothing is deleted")
            }
            Self::KeeperTooNew { .. } => {
                Some("use the version of sandbox-images that wrote it; this one deletes nothing")
            }
            Self::Busy { .. } => Some("wait for it to end, or raise `--wait-timeout`"),
            _ => None,
        }
    }

    /// Whether the fault lies with one file, so that the others can still be judged. Running out of
    /// descriptors or memory says nothing about the file that was next: read as damage, it would make
    /// a healthy store look empty.
    pub(super) fn is_about_the_file(&self) -> bool {
        let Self::Io { source, .. } = self else {
            return matches!(
                self,
                Self::Denied { .. } | Self::Unexpected { .. } | Self::TooLarge { .. }
            );
        };
        !is_shortage(source)
    }
}

/// Whether this process or the machine has run out of descriptors or memory.
fn is_shortage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(errno: Errno, code: &str, text: &str) {
        let error = Error::io("write", "/store/v1/tmp/x", errno);
        assert_eq!((error.code(), error.to_string().as_str()), (code, text));
        assert_eq!(error.class(), Class::Failed);
    }

    #[test]
    fn an_error_of_the_operating_system_becomes_one_that_says_what_to_do() {
        let no_space = "cannot write `/store/v1/tmp/x`, no space is left";
        check(Errno::NOSPC, "store-no-space", no_space);
        check(Errno::DQUOT, "store-no-space", no_space);
        check(
            Errno::ROFS,
            "store-read-only",
            "cannot write `/store/v1/tmp/x`, the store is read-only",
        );
        check(Errno::ACCESS, "store-denied", "cannot write `/store/v1/tmp/x`, this user may not");
        check(Errno::IO, "store-io", "cannot write `/store/v1/tmp/x`");
    }

    #[test]
    fn running_out_of_descriptors_is_no_damage_of_a_file() {
        assert!(Error::io("open", "x", Errno::IO).is_about_the_file());
        assert!(Error::io("open", "x", Errno::ACCESS).is_about_the_file());
        assert!(!Error::io("open", "x", Errno::MFILE).is_about_the_file());
    }
}
