//! Media types: OCI's (`media-types.md`) and Docker's (distribution's `manifest-v2-2.md`).

use std::fmt;
use std::str::FromStr;

use crate::oci::document::error::DocumentError;

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI artifact manifest, which the specification has given up.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a request for a manifest or an index accepts.
pub const ACCEPTED: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Whether `media_type` is an image's config.
pub fn is_config(media_type: &str) -> bool {
    [OCI_CONFIG, DOCKER_CONFIG].contains(&media_type)
}

/// Whether `media_type` is one of Docker's schema 1 manifests.
pub fn is_schema_1(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

/// A media type without its parameters, in lower case: `Application/JSON; charset=utf-8` is
/// `application/json`.
pub fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// How a layer's tar is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerMediaType {
    /// As it is.
    Tar,
    /// In gzip.
    TarGzip,
    /// In Zstandard.
    TarZstd,
}

/// Whether layers that are to be had elsewhere only are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignLayers {
    /// They are refused by name.
    Refused,
    /// They are fetched from the registry as any other layer.
    Allowed,
}

impl LayerMediaType {
    /// What `media_type` of a layer's descriptor means.
    pub fn of(media_type: &str, foreign: ForeignLayers) -> Result<Self, DocumentError> {
        let (layer, is_foreign) = match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => (Self::Tar, false),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip" => (Self::TarGzip, false),
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => (Self::TarZstd, false),
            "application/vnd.oci.image.layer.nondistributable.v1.tar" => (Self::Tar, true),
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => (Self::TarGzip, true),
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd" => (Self::TarZstd, true),
            _ => return Err(DocumentError::LayerMediaType(media_type.to_owned())),
        };
        if is_foreign && foreign == ForeignLayers::Refused {
            return Err(DocumentError::ForeignLayer(media_type.to_owned()));
        }
        Ok(layer)
    }

    /// `tar`, `tar+gzip` or `tar+zstd`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarGzip => "tar+gzip",
            Self::TarZstd => "tar+zstd",
        }
    }
}

impl fmt::Display for LayerMediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LayerMediaType {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        [Self::Tar, Self::TarGzip, Self::TarZstd]
            .into_iter()
            .find(|layer| layer.as_str() == text)
            .ok_or_else(|| DocumentError::LayerMediaType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_and_oci_layers_are_the_same_thing() {
        let layer =
            |media_type: String| LayerMediaType::of(&media_type, ForeignLayers::Refused).unwrap();
        for (oci, docker, expected) in [
            ("tar", "tar", LayerMediaType::Tar),
            ("tar+gzip", "tar.gzip", LayerMediaType::TarGzip),
            ("tar+zstd", "tar.zstd", LayerMediaType::TarZstd),
        ] {
            assert_eq!(layer(format!("application/vnd.oci.image.layer.v1.{oci}")), expected);
            assert_eq!(
                layer(format!("application/vnd.docker.image.rootfs.diff.{docker}")),
                expected
            );
            assert_eq!(oci.parse::<LayerMediaType>().unwrap(), expected);
        }
    }

    #[test]
    fn a_foreign_layer_is_refused_by_name_unless_allowed() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let error = LayerMediaType::of(foreign, ForeignLayers::Refused).unwrap_err();
        assert!(matches!(error, DocumentError::ForeignLayer(name) if name == foreign));
        let allowed = LayerMediaType::of(foreign, ForeignLayers::Allowed).unwrap();
        assert_eq!(allowed, LayerMediaType::TarGzip);
    }

    #[test]
    fn parameters_do_not_change_a_media_type() {
        assert_eq!(essence("Application/JSON; charset=utf-8"), "application/json");
    }
}
