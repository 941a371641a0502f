//! The media types that a lock can hold, each with the form it has there.
//!
//! A layer's type is written short (`tar+gzip`), because there are many layers and few types. Each short
//! name stands for exactly one media type, so nothing is lost.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::oci::document::media_type;

/// Why a text is not one of the types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of the known types: {known}")]
pub struct MediaTypeError {
    found: String,
    known: String,
}

impl MediaTypeError {
    fn new<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Self {
        const SHOWN_CHARS_MAX: usize = 128;
        Self {
            found: found.chars().take(SHOWN_CHARS_MAX).collect(),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}

/// What an image's digest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RootType {
    /// An OCI index.
    OciIndex,
    /// An OCI manifest.
    OciManifest,
    /// A Docker manifest list.
    DockerList,
    /// A Docker manifest, schema 2.
    DockerManifest,
}

impl RootType {
    const ALL: [Self; 4] =
        [Self::OciIndex, Self::OciManifest, Self::DockerList, Self::DockerManifest];

    /// The media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciIndex => media_type::OCI_INDEX,
            Self::OciManifest => media_type::OCI_MANIFEST,
            Self::DockerList => media_type::DOCKER_LIST,
            Self::DockerManifest => media_type::DOCKER_MANIFEST,
        }
    }

    /// Whether it lists manifests, rather than being one.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

impl FromStr for RootType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let known = Self::ALL.into_iter();
        let found = known.clone().find(|known| known.as_str() == text);
        found.ok_or_else(|| MediaTypeError::new(text, known.map(Self::as_str)))
    }
}

impl fmt::Display for RootType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for RootType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a layer's media type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerType(&'static (&'static str, &'static str));

/// Short name and media type of every kind of layer: image-spec `layer.md` ("+gzip", "+zstd" and
/// "Non-Distributable Layers") and Docker's schema 2.
static LAYER_TYPES: [(&str, &str); 11] = [
    ("tar", "application/vnd.oci.image.layer.v1.tar"),
    ("tar+gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
    ("tar+zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ("foreign.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar"),
    ("foreign.tar+gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    ("foreign.tar+zstd", "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
    ("docker.tar", "application/vnd.docker.image.rootfs.diff.tar"),
    ("docker.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ("docker.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar.zstd"),
    ("docker.foreign.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar"),
    ("docker.foreign.tar+gzip", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
];

impl LayerType {
    /// The type with this media type.
    pub fn from_media_type(media_type: &str) -> Result<Self, MediaTypeError> {
        let found = LAYER_TYPES.iter().find(|(_, known)| *known == media_type);
        found.map(Self).ok_or_else(|| {
            MediaTypeError::new(media_type, LAYER_TYPES.iter().map(|(_, known)| *known))
        })
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        self.0.1
    }

    /// The short name, such as `tar+gzip`.
    pub const fn short(self) -> &'static str {
        self.0.0
    }
}

impl FromStr for LayerType {
    type Err = MediaTypeError;

    fn from_str(short: &str) -> Result<Self, MediaTypeError> {
        let found = LAYER_TYPES.iter().find(|(known, _)| *known == short);
        found
            .map(Self)
            .ok_or_else(|| MediaTypeError::new(short, LAYER_TYPES.iter().map(|(known, _)| *known)))
    }
}

impl fmt::Display for LayerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short())
    }
}

impl Serialize for LayerType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.media_type())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_and_a_media_type_name_each_other() {
        for (short, media_type) in LAYER_TYPES {
            let kind: LayerType = short.parse().unwrap();
            assert_eq!((kind.short(), kind.media_type()), (short, media_type));
            assert_eq!(LayerType::from_media_type(media_type), Ok(kind));
        }
        for kind in RootType::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_type_is_refused_with_the_known_ones() {
        let error = "tar+lz4".parse::<LayerType>().unwrap_err().to_string();
        assert!(
            error.starts_with("`tar+lz4` is none of the known types: tar, tar+gzip"),
            "{error}"
        );
        assert!("text/html".parse::<RootType>().is_err());
    }
}
