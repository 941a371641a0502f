//! Archives of images, read by microsandbox.

use std::path::Path;

use microsandbox_image::{ImageLoadOptions, load_archive};

use crate::scene::Scene;

/// Demands that an archive holds the image of the scene, all of its layers.
async fn is_read(archive: &Path, layers: usize) {
    let cache = tempfile::tempdir().unwrap();
    let loaded = load_archive(cache.path(), archive, ImageLoadOptions::default()).await.unwrap();
    assert_eq!(loaded.len(), 1, "{}", archive.display());
    assert_eq!(loaded[0].metadata.layers.len(), layers, "{}", archive.display());
    assert_eq!(loaded[0].metadata.config.env, ["PATH=/bin", "NAME=value"]);
}

#[tokio::test]
async fn archives_of_skopeo_are_read() {
    let layers = ["base", "change"];
    let scene = Scene::with_layers(&layers);
    for form in ["docker-archive", "oci-archive"] {
        let archive = scene.folder().join(form);
        scene.skopeo_archive(form, &archive);
        is_read(&archive, layers.len()).await;
    }
}

#[tokio::test]
async fn archives_of_ours_are_read() {
    let layers = ["base", "change"];
    let scene = Scene::with_layers(&layers);
    scene.json(&["sync", "--platform", "all"]);
    for (name, words) in [
        ("saved.tar", &["--format", "docker-archive"][..]),
        ("layout.tar", &["--format", "oci"]),
        ("every-platform.tar", &["--format", "oci", "--platform", "all"]),
        ("bundle.tar", &["--content", "both"]),
    ] {
        let archive = scene.folder().join(name);
        let output = archive.to_str().unwrap();
        scene.json(&[&["export", "-o", output], words].concat());
        is_read(&archive, layers.len()).await;
    }
}
