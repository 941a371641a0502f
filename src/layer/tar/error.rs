//! Why a tar is refused, and where in it.

use crate::layer::limits::LimitExceeded;
use crate::layer::show::DisplayBytes;

/// A refused tar: what is wrong, at which header, and in which entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarError {
    /// What is wrong.
    pub kind: TarErrorKind,
    pub(super) offset_bytes: u64,
    pub(super) entry: Option<Box<[u8]>>,
}

impl TarError {
    /// Where the header block that is refused, or whose entry is, starts in the uncompressed tar.
    pub fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// The entry's name as far as it was known, as raw bytes: show it with [`DisplayBytes`].
    pub fn entry(&self) -> Option<&[u8]> {
        self.entry.as_deref()
    }

    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl std::fmt::Display for TarError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.entry {
            Some(name) => write!(f, "entry `{}`", DisplayBytes(name))?,
            None => write!(f, "header")?,
        }
        write!(f, " at byte {} of the tar: {}", self.offset_bytes, self.kind)
    }
}

impl std::error::Error for TarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

/// What is wrong with a tar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarErrorKind {
    /// The header's sum fits neither as unsigned nor as signed bytes: damage, or not a tar at all.
    #[error("the header's checksum is wrong, so this is damaged or not a tar")]
    Checksum,
    /// A number in a header is neither octal nor base-256, or does not fit 64 bits.
    #[error("the header's field `{0}` is not a number that fits")]
    Number(&'static str),
    /// A size is below zero.
    #[error("the size {0} is negative")]
    NegativeSize(i64),
    /// An owner that Linux cannot store; it is never wrapped.
    #[error("the {field} {value} is not between 0 and 4294967295")]
    Owner {
        /// `uid` or `gid`.
        field: &'static str,
        /// What the tar says.
        value: i64,
    },
    /// A device number beyond Linux's 12 and 20 bits.
    #[error("the device number {major}:{minor} does not fit Linux's 12 and 20 bits")]
    Device {
        /// What the tar says.
        major: i64,
        /// What the tar says.
        minor: i64,
    },
    /// A kind of entry that no container engine unpacks; skipping it could lose data.
    #[error("the typeflag `{}` is unknown", DisplayBytes(&[*.0]))]
    Typeflag(u8),
    /// A PAX header whose records are not framed as POSIX has it.
    #[error("the PAX header has a malformed record at its byte {0}")]
    PaxRecord(usize),
    /// A PAX record with a value that its key does not allow.
    #[error("the PAX record `{}` has a malformed value", DisplayBytes(.0))]
    PaxValue(Box<[u8]>),
    /// A name with a NUL, which programs in C and others would read differently.
    #[error("the PAX record `{0}` holds a NUL")]
    NulInName(&'static str),
    /// Two extension headers of one kind stand before one entry.
    #[error("two {0} headers stand before one entry")]
    ExtensionTwice(&'static str),
    /// A PAX header and a GNU header both give the name, or both the link target.
    #[error("a PAX header and a GNU header both give the {0}")]
    ExtensionsDisagree(&'static str),
    /// A PAX global header stands between an extension header and its entry.
    #[error("a PAX global header stands between an extension header and its entry")]
    GlobalBetween,
    /// An extension header with no entry behind it.
    #[error("an extension header has no entry")]
    ExtensionWithoutEntry,
    /// A sparse file whose map is malformed, unordered, or does not fit its size or its stored bytes.
    #[error("the sparse map {0}")]
    SparseMap(&'static str),
    /// One block of zeros is followed by something else than a second.
    #[error("one zero block stands between entries where an archive's end has two")]
    LoneZeroBlock,
    /// The tar ends inside of a header or of an entry's data.
    #[error("the tar ends within {0}")]
    Truncated(&'static str),
    /// Too much of something.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl TarErrorKind {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Checksum => "tar-checksum",
            Self::Number(_) | Self::NegativeSize(_) => "tar-number",
            Self::Owner { .. } => "tar-owner",
            Self::Device { .. } => "tar-device",
            Self::Typeflag(_) => "tar-typeflag",
            Self::PaxRecord(_) | Self::PaxValue(_) => "tar-pax",
            Self::NulInName(_) => "tar-name",
            Self::ExtensionTwice(_)
            | Self::ExtensionsDisagree(_)
            | Self::GlobalBetween
            | Self::ExtensionWithoutEntry => "tar-extension",
            Self::SparseMap(_) => "tar-sparse",
            Self::LoneZeroBlock => "tar-zero-block",
            Self::Truncated(_) => "tar-truncated",
            Self::Limit(_) => "layer-limit",
        }
    }
}
