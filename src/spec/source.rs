//! Where an image comes from: a registry, an OCI layout or a docker archive.
//!
//! The text forms are those of the containers tools: a reference, `oci:PATH[:NAME]` and
//! `docker-archive:PATH[:REFERENCE]`, where the path ends at its first colon. A [`ImageSource`] writes
//! itself canonically, so equal sources are equal texts in the lock.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::oci::reference::Reference;
use crate::oci::reference::error::ReferenceError;

/// Bytes of the path or of the selector of a local source: Linux's `PATH_MAX`.
const LOCAL_BYTES_MAX: usize = 4096;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageSource {
    /// A repository of a registry. It has a tag, a digest or both.
    Registry(Reference),
    /// An OCI layout.
    OciLayout(LocalSource),
    /// An archive as `docker save` writes it.
    DockerArchive(LocalSource),
}

/// A file or directory that holds images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalSource {
    /// The path as it was written: relative to the folder of `sandbox-images.toml`, or absolute.
    pub path: String,
    /// Which of its images, if it holds several: the `org.opencontainers.image.ref.name` of a layout, the
    /// `RepoTags` of an archive.
    pub selector: Option<String>,
}

/// Why a text is not a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageSourceError {
    /// It is not a reference either.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// There is nothing where the path should be.
    #[error("the path is missing")]
    NoPath,
    /// There is a colon and nothing behind it.
    #[error("the name after the path is missing")]
    NoSelector,
    /// Path or selector hold a control character.
    #[error("a path holds no control characters")]
    ControlCharacter,
    /// Path or selector are too long.
    #[error("a path has at most {LOCAL_BYTES_MAX} bytes")]
    TooLong,
}

impl ImageSourceError {
    /// The first byte of the text that is wrong, where that is known.
    pub const fn offset(&self) -> Option<usize> {
        match self {
            Self::Reference(error) => Some(error.offset()),
            _ => None,
        }
    }
}

impl ImageSource {
    /// Reads `text`; a name without a registry is taken from `default_registry`, a reference with neither
    /// tag nor digest means the tag `latest`.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, ImageSourceError> {
        if let Some(rest) = text.strip_prefix(OCI_LAYOUT) {
            return LocalSource::parse(rest).map(Self::OciLayout);
        }
        if let Some(rest) = text.strip_prefix(DOCKER_ARCHIVE) {
            return LocalSource::parse(rest).map(Self::DockerArchive);
        }
        let reference = Reference::parse(text, default_registry)?;
        Ok(Self::Registry(reference.or_latest()))
    }

    /// The reference, if the image comes from a registry.
    pub const fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Registry(reference) => Some(reference),
            Self::OciLayout(_) | Self::DockerArchive(_) => None,
        }
    }

    /// The same source without a digest, so that it names what its tag does; `None` if a digest is all that
    /// there is.
    pub fn without_digest(&self) -> Option<Self> {
        match self {
            Self::Registry(reference) => reference.without_digest().map(Self::Registry),
            Self::OciLayout(_) | Self::DockerArchive(_) => Some(self.clone()),
        }
    }

    /// Whether it names a digest, so that no tag moves it.
    pub fn is_pinned(&self) -> bool {
        self.reference().is_some_and(|reference| reference.digest().is_some())
    }

    /// Whether the image is on this machine, so that resolving it needs no network.
    pub const fn is_local(&self) -> bool {
        self.reference().is_none()
    }
}

const OCI_LAYOUT: &str = "oci:";
const DOCKER_ARCHIVE: &str = "docker-archive:";

impl LocalSource {
    fn parse(text: &str) -> Result<Self, ImageSourceError> {
        let (path, selector) = match text.split_once(':') {
            Some((_, "")) => return Err(ImageSourceError::NoSelector),
            Some((path, selector)) => (path, Some(selector)),
            None => (text, None),
        };
        if path.is_empty() {
            return Err(ImageSourceError::NoPath);
        }
        if text.chars().any(char::is_control) {
            return Err(ImageSourceError::ControlCharacter);
        }
        if path.len().max(selector.map_or(0, str::len)) > LOCAL_BYTES_MAX {
            return Err(ImageSourceError::TooLong);
        }
        Ok(Self { path: path.to_owned(), selector: selector.map(str::to_owned) })
    }
}

impl fmt::Display for LocalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.selector.iter().try_for_each(|selector| write!(f, ":{selector}"))
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::OciLayout(local) => write!(f, "{OCI_LAYOUT}{local}"),
            Self::DockerArchive(local) => write!(f, "{DOCKER_ARCHIVE}{local}"),
        }
    }
}

impl Serialize for ImageSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: &str) -> ImageSource {
        let source = ImageSource::parse(text, "docker.io").unwrap();
        assert_eq!(source.to_string(), canonical);
        assert_eq!(ImageSource::parse(canonical, "else.where"), Ok(source.clone()));
        source
    }

    #[test]
    fn a_source_is_written_canonically() {
        check("alpine", "docker.io/library/alpine:latest");
        check("ghcr.io/acme/tool:1.4", "ghcr.io/acme/tool:1.4");
        check("oci:./images/base:v1", "oci:./images/base:v1");
        check("oci:/srv/base", "oci:/srv/base");
        check("docker-archive:a.tar:app:1.0", "docker-archive:a.tar:app:1.0");
    }

    #[test]
    fn a_path_ends_at_its_first_colon() {
        let ImageSource::OciLayout(local) = check("oci:a:r.io/b:c", "oci:a:r.io/b:c") else {
            panic!("an OCI layout")
        };
        assert_eq!(local.path, "a");
        assert_eq!(local.selector.as_deref(), Some("r.io/b:c"));
    }

    #[test]
    fn what_is_not_a_source_is_refused() {
        let refused = |text| ImageSource::parse(text, "docker.io").unwrap_err();
        assert_eq!(refused("oci:"), ImageSourceError::NoPath);
        assert_eq!(refused("oci::v1"), ImageSourceError::NoPath);
        assert_eq!(refused("oci:a:"), ImageSourceError::NoSelector);
        assert_eq!(refused("oci:a\nb"), ImageSourceError::ControlCharacter);
        assert_eq!(refused("docker-archive:"), ImageSourceError::NoPath);
        assert_eq!(refused("acme/Tool").offset(), Some(5));
    }
}
