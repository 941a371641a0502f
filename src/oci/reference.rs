//! Image references: `docker.io/library/alpine:3.20@sha256:…`.
//!
//! The grammar is the distribution project's (`reference/reference.go`, "Grammar"), the short names are
//! Docker's (`reference/normalize.go`): `alpine` is `docker.io/library/alpine`, `index.docker.io` is
//! `docker.io`, and a first component is a registry if it is `localhost`, holds a `.` or a `:`, or an
//! upper-case letter. A tag is never invented: who wants one asks for [`Reference::or_latest`].
//!
//! Three rules are stricter: a digest is `sha256:` and 64 lower-case hex digits; what stands for an address
//! or a port must be one; and what stands for a registry must be a host name that DNS can hold, where the
//! grammar reads `a_b.example/c` as a repository of no registry.

use core::net::Ipv6Addr;
use std::fmt;

use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::oci::digest::Digest;

/// The registry of names that have none, unless the caller says otherwise.
pub const DOCKER_HUB: &str = "docker.io";

/// Bytes of a repository: distribution's `RepositoryNameTotalLengthMax`.
pub const REPOSITORY_BYTES_MAX: usize = 255;

/// Bytes of a tag: the distribution specification, "Pulling manifests".
pub const TAG_BYTES_MAX: usize = 128;

/// Bytes of a host's name without its port: RFC 1035, section 2.3.4.
pub const HOST_BYTES_MAX: usize = 255;

/// What Docker Hub calls its official images' namespace.
const OFFICIAL: &str = "library";

/// Docker Hub's former name, which stands in many credential files and scripts.
const LEGACY_DOCKER_HUB: &str = "index.docker.io";

/// Where an image is: a registry, a repository in it, and perhaps a tag and a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

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

    fn new(text: &str, (problem, offset): Fault) -> Self {
        const SHOWN_CHARS_MAX: usize = 300;
        Self { problem, offset, text: text.chars().take(SHOWN_CHARS_MAX).collect() }
    }
}

/// A problem and its byte offset in the part that was looked at.
type Fault = (ReferenceProblem, usize);

impl Reference {
    /// Reads `text`. A name without a registry is taken from `default_registry`, itself a host with
    /// perhaps a port; official images' `library/` is added at Docker Hub only.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, ReferenceError> {
        Self::read(text, default_registry).map_err(|fault| ReferenceError::new(text, fault))
    }

    fn read(text: &str, default_registry: &str) -> Result<Self, Fault> {
        let parts = Parts::of(text);
        if let Some(offset) = text.find("://") {
            return Err((ReferenceProblem::Scheme, offset));
        }
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err((ReferenceProblem::ImageId, 0));
        }
        let registry = match &parts.registry {
            Some(range) => {
                check_host(&text[range.clone()]).map_err(at(range.start))?;
                &text[range.clone()]
            }
            None => default_registry,
        };
        let registry = canonical_registry(registry).to_owned();
        let name = &text[parts.repository.clone()];
        check_repository(name).map_err(at(parts.repository.start))?;
        let repository = if registry == DOCKER_HUB && !name.contains('/') {
            format!("{OFFICIAL}/{name}")
        } else {
            name.to_owned()
        };
        if repository.len() > REPOSITORY_BYTES_MAX {
            return Err((ReferenceProblem::RepositoryTooLong, parts.repository.start));
        }
        let tag = parts.tag.map(|range| {
            check_tag(&text[range.clone()]).map_err(at(range.start))?;
            Ok(text[range].to_owned())
        });
        let digest = parts.digest.map(|range| {
            let start = range.start;
            text[range].parse().map_err(|_| (ReferenceProblem::Digest, start))
        });
        Ok(Self { registry, repository, tag: tag.transpose()?, digest: digest.transpose()? })
    }

    /// The registry's host and perhaps port, such as `docker.io` or `[::1]:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in it, such as `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one. It wins over the tag.
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same image at exactly this digest; the tag stays, as a comment.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// The same tag without a digest; `None` if there is no tag.
    pub fn without_digest(&self) -> Option<Self> {
        self.tag.is_some().then(|| Self { digest: None, ..self.clone() })
    }

    /// The same tag and digest of another repository. Neither name is checked.
    #[must_use]
    pub(crate) fn moved(&self, registry: &str, repository: String) -> Self {
        Self { registry: registry.to_owned(), repository, ..self.clone() }
    }

    /// The same reference, with the tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Whether this image is in `scope`: a registry, or a registry and the first whole components of
    /// its repository, such as `ghcr.io/acme`.
    pub fn is_within(&self, scope: &str) -> bool {
        let (host, path) = scope.split_once('/').unwrap_or((scope, ""));
        canonical_registry(host) == self.registry
            && (path.is_empty()
                || self
                    .repository
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// Checks that `text` names a registry: a host and perhaps a port, such as `localhost:5000`.
pub fn check_registry(text: &str) -> Result<(), ReferenceError> {
    check_host(text).map_err(|fault| ReferenceError::new(text, fault))
}

/// The one name of a registry that has several.
pub fn canonical_registry(registry: &str) -> &str {
    match registry {
        LEGACY_DOCKER_HUB => DOCKER_HUB,
        other => other,
    }
}

/// Where the parts of a reference are in its text, before anything is checked.
struct Parts {
    registry: Option<Range<usize>>,
    repository: Range<usize>,
    tag: Option<Range<usize>>,
    digest: Option<Range<usize>>,
}

impl Parts {
    fn of(text: &str) -> Self {
        let (name_end, digest) = match text.find('@') {
            Some(sign) => (sign, Some(sign + 1..text.len())),
            None => (text.len(), None),
        };
        let repository_start = match text[..name_end].find('/') {
            Some(slash) if is_registry(&text[..slash]) => slash + 1,
            _ => 0,
        };
        let (repository_end, tag) = match text[repository_start..name_end].find(':') {
            Some(colon) => {
                let colon = repository_start + colon;
                (colon, Some(colon + 1..name_end))
            }
            None => (name_end, None),
        };
        Self {
            registry: (repository_start > 0).then(|| 0..repository_start - 1),
            repository: repository_start..repository_end,
            tag,
            digest,
        }
    }
}

/// Docker's rule for the first component of a name (`splitDockerDomain`).
fn is_registry(component: &str) -> bool {
    component == "localhost"
        || component.contains(['.', ':'])
        || component.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Moves a fault found in a part to its place in the whole text.
fn at(start: usize) -> impl Fn(Fault) -> Fault {
    move |(problem, offset)| (problem, start + offset)
}

fn check_host(text: &str) -> Result<(), Fault> {
    let host_end = if text.starts_with('[') {
        let end = text.find(']').ok_or((ReferenceProblem::Host, 0))?;
        let address = &text[1..end];
        if address.contains('.') || address.parse::<Ipv6Addr>().is_err() {
            return Err((ReferenceProblem::Host, 1));
        }
        end + 1
    } else {
        let end = text.find(':').unwrap_or(text.len());
        check_host_name(&text[..end])?;
        end
    };
    match text[host_end..].strip_prefix(':') {
        Some(port) => check_port(port).map_err(at(host_end + 1)),
        None if host_end == text.len() => Ok(()),
        None => Err((ReferenceProblem::Host, host_end)),
    }
}

fn check_host_name(name: &str) -> Result<(), Fault> {
    if name.len() > HOST_BYTES_MAX {
        return Err((ReferenceProblem::HostTooLong, HOST_BYTES_MAX));
    }
    let mut start = 0;
    for label in name.split('.') {
        if label.is_empty() || label.starts_with('-') {
            return Err((ReferenceProblem::Host, start));
        }
        let wrong = label.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let wrong = wrong.or_else(|| label.ends_with('-').then(|| label.len() - 1));
        if let Some(offset) = wrong {
            return Err((ReferenceProblem::Host, start + offset));
        }
        start += label.len() + 1;
    }
    Ok(())
}

fn check_port(port: &str) -> Result<(), Fault> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err((ReferenceProblem::Port, 0)),
    }
}

fn check_repository(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err((ReferenceProblem::Empty, 0));
    }
    if let Some(offset) = name.find(|c: char| c.is_ascii_uppercase()) {
        return Err((ReferenceProblem::UpperCase, offset));
    }
    let mut start = 0;
    for component in name.split('/') {
        check_component(component).map_err(at(start))?;
        start += component.len() + 1;
    }
    Ok(())
}

/// A component is words of letters and digits, joined by `.`, `_`, `__` or any number of dashes.
fn check_component(component: &str) -> Result<(), Fault> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let mut offset = 0;
    loop {
        let word = bytes[offset..].iter().take_while(|byte| is_word(**byte)).count();
        if word == 0 {
            return Err((ReferenceProblem::Repository, offset));
        }
        offset += word;
        match &bytes[offset..] {
            [] => return Ok(()),
            [b'-', rest @ ..] => offset += 1 + rest.iter().take_while(|b| **b == b'-').count(),
            [b'_', b'_', ..] => offset += 2,
            [b'_' | b'.', ..] => offset += 1,
            _ => return Err((ReferenceProblem::Repository, offset)),
        }
    }
}

fn check_tag(tag: &str) -> Result<(), Fault> {
    if tag.is_empty() || tag.starts_with(['.', '-']) {
        return Err((ReferenceProblem::Tag, 0));
    }
    if let Some(offset) = tag.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c))) {
        return Err((ReferenceProblem::Tag, offset));
    }
    if tag.len() > TAG_BYTES_MAX {
        return Err((ReferenceProblem::TagTooLong, TAG_BYTES_MAX));
    }
    Ok(())
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text, DOCKER_HUB)
    }
}

/// The canonical form: with registry and official namespace, reading as the same reference.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
