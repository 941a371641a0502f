//! The files that make layers and configs an archive that `docker load` takes, as they are written.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::oci::digest::{DiffId, Digest};
use crate::oci::reference::{DOCKER_HUB, Reference};
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

/// The file that names the images.
pub const MANIFEST: &str = "manifest.json";

/// One image of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedImage {
    /// What it is called once it is loaded: name and tag.
    pub tag: String,
    /// Its config.
    pub config: Digest,
    /// Its layers, bottom to top.
    pub layers: Vec<DiffId>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageJson<'a> {
    config: String,
    repo_tags: Vec<&'a str>,
    layers: Vec<String>,
}

/// The bytes of `manifest.json`. Images of one config are one image with several tags.
pub(crate) fn manifest(images: &[SavedImage]) -> Vec<u8> {
    let mut by_config: BTreeMap<Digest, (Vec<&str>, &[DiffId])> = BTreeMap::new();
    for image in images {
        let (tags, _) = by_config.entry(image.config).or_insert((Vec::new(), &image.layers));
        if !tags.contains(&image.tag.as_str()) {
            tags.push(&image.tag);
        }
    }
    let images = by_config.into_iter().map(|(config, (repo_tags, layers))| ImageJson {
        config: config_name(config),
        repo_tags,
        layers: layers.iter().map(|&layer| layer_name(layer)).collect(),
    });
    let images: Vec<ImageJson<'_>> = images.collect();
    serde_json::to_vec(&images).expect("texts are always JSON")
}

/// The name of a config's file.
pub fn config_name(config: Digest) -> String {
    format!("{}.json", config.hex())
}

/// The name of the file of a layer that is not compressed.
pub fn layer_name(layer: DiffId) -> String {
    format!("{}.tar", layer.hex())
}

/// What an image of this source is called in an archive: the name and the tag that it comes from, and where
/// there is none, its name in `sandbox-images.toml`, as the tag `latest`.
pub fn tag(name: &ImageName, source: &ImageSource) -> String {
    let tagged = |reference: &Reference| {
        reference.without_digest().filter(|reference| reference.tag().is_some())
    };
    let found = match source {
        ImageSource::Registry(reference) => tagged(reference),
        ImageSource::DockerArchive(local) => local
            .selector
            .as_deref()
            .and_then(|selector| Reference::parse(selector, DOCKER_HUB).ok())
            .and_then(|reference| tagged(&reference)),
        ImageSource::OciLayout(_) => None,
    };
    found.map_or_else(|| format!("{name}:latest"), |reference| reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag_of(source: &str) -> String {
        let source = ImageSource::parse(source, DOCKER_HUB).unwrap();
        tag(&"base".parse().unwrap(), &source)
    }

    #[test]
    fn an_image_keeps_its_name_and_tag() {
        let digest = Digest::of("x");
        assert_eq!(tag_of("alpine:3.20"), "docker.io/library/alpine:3.20");
        assert_eq!(tag_of(&format!("ghcr.io/a/b:1@{digest}")), "ghcr.io/a/b:1");
        assert_eq!(tag_of(&format!("ghcr.io/a/b@{digest}")), "base:latest");
        assert_eq!(tag_of("docker-archive:./a.tar:b.io/app:2"), "b.io/app:2");
        assert_eq!(tag_of("docker-archive:./a.tar"), "base:latest");
        assert_eq!(tag_of("oci:./base:v1"), "base:latest");
    }

    #[test]
    fn images_of_one_config_are_one_with_two_tags() {
        let image = |tag: &str| SavedImage {
            tag: tag.to_owned(),
            config: Digest::of("config"),
            layers: vec![DiffId(Digest::of("layer"))],
        };
        let text = String::from_utf8(manifest(&[image("a:1"), image("b:2")])).unwrap();
        let (config, layer) = (Digest::of("config").hex(), Digest::of("layer").hex());
        assert_eq!(
            text,
            format!(
                r#"[{{"Config":"{config}.json","RepoTags":["a:1","b:2"],"Layers":["{layer}.tar"]}}]"#
            )
        );
    }
}
