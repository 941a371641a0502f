//! An image in a registry of this process. It depends on [`image`](super::image) and
//! [`registry`](super::registry) alone, so that the examples can include it.

use super::image::{Described, Image, Layer};
use super::registry::TestRegistry;

/// An image of these layers for both platforms that a project locks by default.
pub(crate) fn two_platforms(layers: &[&Layer]) -> Image {
    Image::multi(&[("linux/amd64", layers.to_vec()), ("linux/arm64", layers.to_vec())])
}

/// Holds an image as `repository:tag`, all its documents and layers.
pub(crate) fn serve(registry: &TestRegistry, repository: &str, tag: &str, image: &Image) {
    for bytes in image.blobs.values() {
        registry.put_blob(bytes.clone());
    }
    let hold = |tag: &str, document: &Described| {
        let bytes = image.blobs[&document.digest].clone();
        registry.put_manifest(repository, tag, &document.media_type, bytes);
    };
    for platform in image.platforms.values() {
        hold(&platform.manifest.digest, &platform.manifest);
    }
    hold(tag, &image.root);
}
