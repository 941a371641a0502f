//! Media types: OCI's (`media-types.md`) and Docker's (distribution's `manifest-v2-2.md`).

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

/// A text that names none of the types that are known at its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of the known types: {known}")]
pub struct UnknownType {
    found: String,
    known: String,
}

impl UnknownType {
    pub(super) fn new<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Self {
        const SHOWN_CHARS_MAX: usize = 128;
        Self {
            found: found.chars().take(SHOWN_CHARS_MAX).collect(),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_do_not_change_a_media_type() {
        assert_eq!(essence("Application/JSON; charset=utf-8"), "application/json");
    }
}
