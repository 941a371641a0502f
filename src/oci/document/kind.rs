//! What a document is, before it is read.

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::oci::document::error::DocumentError;
use crate::oci::document::json;
use crate::oci::document::media_type;
use crate::oci::document::media_type::UnknownType;

/// What some registries announce every manifest as.
const SAYS_NOTHING: [&str; 4] = ["", "application/json", "application/octet-stream", "text/plain"];

/// What an image's digest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// OCI image index.
    OciIndex,
    /// OCI image manifest.
    OciManifest,
    /// Docker manifest list.
    DockerList,
    /// Docker image manifest, schema 2.
    DockerManifest,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::OciIndex, Self::OciManifest, Self::DockerList, Self::DockerManifest];

    /// What `bytes` are, which were announced as `announced`. Refuses schema 1, the manifest of something
    /// that is not an image, and what contradicts itself or its announcement.
    pub fn of(bytes: &[u8], announced: Option<&str>) -> Result<Self, DocumentError> {
        let probe: Probe = json::read(bytes)?;
        let announced = announced
            .map(media_type::essence)
            .filter(|announced| !SAYS_NOTHING.contains(&announced.as_str()));
        let kind = probe.kind(announced.as_deref())?;
        match announced {
            Some(announced) if announced != kind.media_type() => {
                Err(DocumentError::MediaType { announced, actual: kind.media_type().to_owned() })
            }
            _ => probe.check_image().map(|()| kind),
        }
    }

    /// The media type of such a document.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OciIndex => media_type::OCI_INDEX,
            Self::OciManifest => media_type::OCI_MANIFEST,
            Self::DockerList => media_type::DOCKER_LIST,
            Self::DockerManifest => media_type::DOCKER_MANIFEST,
        }
    }

    /// `oci-index`, `oci-manifest`, `docker-list` or `docker-manifest`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciIndex => "oci-index",
            Self::OciManifest => "oci-manifest",
            Self::DockerList => "docker-list",
            Self::DockerManifest => "docker-manifest",
        }
    }

    /// The kind that a media type names.
    pub fn from_media_type(media_type: &str) -> Result<Self, UnknownType> {
        let known = || Self::ALL.into_iter();
        known()
            .find(|kind| kind.media_type() == media_type)
            .ok_or_else(|| UnknownType::new(media_type, known().map(Self::media_type)))
    }

    /// Whether it lists images, and is not one.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The fields that tell one kind of document from another.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<ConfigProbe>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigProbe {
    media_type: Option<String>,
}

impl Probe {
    /// What this says it is, or, if it says nothing, what its form and its announcement make it.
    fn kind(&self, announced: Option<&str>) -> Result<Kind, DocumentError> {
        let said = self.media_type.as_deref().or(announced);
        let has_image = self.layers.is_some() || self.config.is_some();
        let is_index = self.manifests.is_some();
        if self.is_schema_1(said) {
            return Err(DocumentError::SchemaOne);
        }
        if is_index && has_image {
            return Err(DocumentError::Ambiguous);
        }
        if said == Some(media_type::OCI_ARTIFACT) {
            return Err(DocumentError::Artifact(media_type::OCI_ARTIFACT.to_owned()));
        }
        let formed = match (is_index, has_image) {
            (true, _) => Kind::OciIndex,
            (false, true) => Kind::OciManifest,
            (false, false) => return Err(DocumentError::Unknown),
        };
        match said {
            None => Ok(formed),
            Some(said) => Kind::from_media_type(said)
                .ok()
                .filter(|kind| kind.is_index() == is_index)
                .ok_or_else(|| DocumentError::MediaType {
                    announced: said.to_owned(),
                    actual: formed.media_type().to_owned(),
                }),
        }
    }

    fn is_schema_1(&self, said: Option<&str>) -> bool {
        self.fs_layers.is_some()
            || self.schema_version == Some(1)
            || said.is_some_and(media_type::is_schema_1)
    }

    /// Checks that the config is an image's, and not that of a chart, a signature or the like.
    fn check_image(&self) -> Result<(), DocumentError> {
        let Some(config) = &self.config else { return Ok(()) };
        let media_type = config.media_type.as_deref().unwrap_or_default();
        if media_type::is_config(media_type) {
            Ok(())
        } else {
            Err(DocumentError::Artifact(media_type.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_a_media_type_name_each_other() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_media_type(kind.media_type()), Ok(kind));
        }
        let error = Kind::from_media_type("text/html").unwrap_err().to_string();
        assert!(error.starts_with("`text/html` is none of the known types: "), "{error}");
    }
}
