//! The media types of layers: OCI's (`layer.md`, also "Non-Distributable Layers") and Docker's schema 2.
//!
//! Each has a short name (`tar+gzip`) for places where there are many layers and few types. A short name
//! stands for exactly one media type, so nothing is lost.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::oci::document::error::DocumentError;
use crate::oci::document::media_type::UnknownType;

/// What a layer's media type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerType(&'static Names);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Names {
    short: &'static str,
    media_type: &'static str,
    is_foreign: bool,
}

static KNOWN: [Names; 11] = [
    here("tar", "application/vnd.oci.image.layer.v1.tar"),
    here("tar+gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
    here("tar+zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    elsewhere("foreign.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar"),
    elsewhere("foreign.tar+gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    elsewhere("foreign.tar+zstd", "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
    here("docker.tar", "application/vnd.docker.image.rootfs.diff.tar"),
    here("docker.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    here("docker.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar.zstd"),
    elsewhere("docker.foreign.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar"),
    elsewhere(
        "docker.foreign.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ),
];

/// A layer that its image's repository holds.
const fn here(short: &'static str, media_type: &'static str) -> Names {
    Names { short, media_type, is_foreign: false }
}

/// A layer that its image's repository need not hold.
const fn elsewhere(short: &'static str, media_type: &'static str) -> Names {
    Names { short, media_type, is_foreign: true }
}

impl LayerType {
    /// Every type.
    pub fn all() -> impl Iterator<Item = Self> {
        KNOWN.iter().map(Self)
    }

    /// What `media_type` of a layer's descriptor means.
    pub fn from_media_type(media_type: &str) -> Result<Self, DocumentError> {
        let found = KNOWN.iter().find(|known| known.media_type == media_type);
        found.map(Self).ok_or_else(|| DocumentError::LayerMediaType(media_type.to_owned()))
    }

    /// The same, refusing by name a layer that is to be had elsewhere only.
    pub fn of_own_layer(media_type: &str) -> Result<Self, DocumentError> {
        let layer = Self::from_media_type(media_type)?;
        if layer.is_foreign() {
            return Err(DocumentError::ForeignLayer(media_type.to_owned()));
        }
        Ok(layer)
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        self.0.media_type
    }

    /// The short name, such as `tar+gzip`.
    pub const fn short(self) -> &'static str {
        self.0.short
    }

    /// Whether the layer is to be had from the `urls` of its descriptor, and perhaps nowhere else.
    pub const fn is_foreign(self) -> bool {
        self.0.is_foreign
    }
}

impl FromStr for LayerType {
    type Err = UnknownType;

    /// Reads a short name.
    fn from_str(short: &str) -> Result<Self, UnknownType> {
        let found = KNOWN.iter().find(|known| known.short == short);
        found
            .map(Self)
            .ok_or_else(|| UnknownType::new(short, KNOWN.iter().map(|known| known.short)))
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
        for known in &KNOWN {
            let layer: LayerType = known.short.parse().unwrap();
            assert_eq!(layer.media_type(), known.media_type);
            assert_eq!(LayerType::from_media_type(known.media_type).unwrap(), layer);
            assert_eq!(layer.to_string(), known.short);
        }
    }

    #[test]
    fn a_foreign_layer_is_known_and_refused_as_an_images_own() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert!(LayerType::from_media_type(foreign).unwrap().is_foreign());
        let error = LayerType::of_own_layer(foreign).unwrap_err();
        assert!(matches!(error, DocumentError::ForeignLayer(name) if name == foreign));
        let own = "application/vnd.oci.image.layer.v1.tar+zstd";
        assert_eq!(LayerType::of_own_layer(own).unwrap().short(), "tar+zstd");
    }

    #[test]
    fn an_unknown_type_is_refused_by_either_name() {
        let error = "tar+lz4".parse::<LayerType>().unwrap_err().to_string();
        assert!(
            error.starts_with("`tar+lz4` is none of the known types: tar, tar+gzip"),
            "{error}"
        );
        let error = LayerType::from_media_type("text/html").unwrap_err();
        assert!(matches!(error, DocumentError::LayerMediaType(name) if name == "text/html"));
    }
}
