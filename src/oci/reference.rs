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

pub mod error;

mod grammar;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::oci::digest::Digest;
use crate::oci::reference::error::{Fault, REPOSITORY_BYTES_MAX, ReferenceError, ReferenceProblem};
use crate::oci::reference::grammar::{Parts, at, check_host, check_repository, check_tag};

/// The registry of names that have none, unless the caller says otherwise.
pub const DOCKER_HUB: &str = "docker.io";

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
