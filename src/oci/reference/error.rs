//! Why a text is not a reference, and how long one may be.

use std::fmt;

/// Bytes of a repository: distribution's `RepositoryNameTotalLengthMax`.
pub const REPOSITORY_BYTES_MAX: usize = 255;

/// Bytes of a tag: the distribution specification, "Pulling manifests".
pub const TAG_BYTES_MAX: usize = 128;

/// Bytes of a host's name without its port: RFC 1035, section 2.3.4.
pub const HOST_BYTES_MAX: usize = 255;

/// What is wrong with a text that should have been a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferenceProblem {
    /// There is nothing where a name should be.
    Empty,
    /// 64 hex digits are an image's ID on one machine, not a name.
    ImageId,
    /// It begins as a URL does.
    Scheme,
    /// The registry is not a host name or an address in brackets.
    Host,
    /// The host's name exceeds [`HOST_BYTES_MAX`].
    HostTooLong,
    /// The registry's port is not a number from 1 to 65535.
    Port,
    /// The repository has an upper-case letter.
    UpperCase,
    /// The repository has a character or a separator where none may be.
    Repository,
    /// The repository exceeds [`REPOSITORY_BYTES_MAX`].
    RepositoryTooLong,
    /// The tag is empty, or has a character that none may have.
    Tag,
    /// The tag exceeds [`TAG_BYTES_MAX`].
    TagTooLong,
    /// The digest is not `sha256:` and 64 lower-case hex digits.
    Digest,
}

impl fmt::Display for ReferenceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a name is missing",
            Self::ImageId => "64 hex digits are an image ID of one machine, not a name",
            Self::Scheme => {
                "a reference begins with the registry, without a scheme such as `https://`"
            }
            Self::Host => "the registry is not a host name",
            Self::HostTooLong => "the registry's name is longer than 255 bytes",
            Self::Port => "the registry's port is not a number from 1 to 65535",
            Self::UpperCase => "a repository has lower-case letters only",
            Self::Repository => {
                "a repository is words of a-z and 0-9, joined by `/`, `.`, `_`, `__` or dashes"
            }
            Self::RepositoryTooLong => "the repository is longer than 255 bytes",
            Self::Tag => {
                "a tag is letters, digits, `_`, `.` and `-`, and starts with none of the last two"
            }
            Self::TagTooLong => "the tag is longer than 128 bytes",
            Self::Digest => "a digest is `sha256:` and 64 lower-case hex digits",
        })
    }
}

/// Why a text is not a reference, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (byte {offset} of `{text}`)")]
pub struct ReferenceError {
    problem: ReferenceProblem,
    offset: usize,
    text: String,
}

impl ReferenceError {
    /// What is wrong.
    pub const fn problem(&self) -> ReferenceProblem {
        self.problem
    }

    /// The first byte of the text that is wrong; its length, if something is missing at its end.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn new(text: &str, (problem, offset): Fault) -> Self {
        const SHOWN_CHARS_MAX: usize = 300;
        Self { problem, offset, text: text.chars().take(SHOWN_CHARS_MAX).collect() }
    }
}

/// A problem and its byte offset in the part that was looked at.
pub(super) type Fault = (ReferenceProblem, usize);
