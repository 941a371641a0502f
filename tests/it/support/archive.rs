//! Archives of images, as other tools write them: the entries first, so that a test can turn them around,
//! add some, or spoil one before it writes them.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::image::{Image, PlatformImage};
use super::layer_tar::{TarEntry, TarKind, tar_of};

/// A regular file of an archive.
pub(crate) fn file(path: &str, content: impl Into<Vec<u8>>) -> TarEntry {
    TarEntry::new(path, TarKind::File(content.into()), 0o644)
}

/// A symbolic link of an archive.
pub(crate) fn link(path: &str, target: &str) -> TarEntry {
    TarEntry::new(path, TarKind::Symlink(target.into()), 0o777)
}

/// What `tar -C LAYOUT -c .` writes of a layout of this image, as `oci-archive:` and buildx have it.
pub(crate) fn layout_entries(image: &Image, tag: &str) -> Vec<TarEntry> {
    let directory = tempfile::tempdir().expect("a temporary directory is made");
    image.write_layout(directory.path(), tag).expect("a layout is written");
    let folder = |path| TarEntry::new(path, TarKind::Directory, 0o755);
    let mut entries = vec![folder("./"), folder("./blobs/"), folder("./blobs/sha256/")];
    for (digest, bytes) in &image.blobs {
        entries.push(file(&blob_path(digest), bytes.clone()));
    }
    for name in ["index.json", "oci-layout"] {
        let content = fs::read(directory.path().join(name)).expect("the layout is there");
        entries.push(file(&format!("./{name}"), content));
    }
    entries
}

fn blob_path(digest: &str) -> String {
    digest.replacen("sha256:", "./blobs/sha256/", 1)
}

/// The files of `docker save`, the older form: a config and layers named by their digests, and
/// `manifest.json`. Each image is its only platform, under these tags.
pub(crate) fn docker_entries(images: &[(&[&str], &Image)]) -> Vec<TarEntry> {
    let mut entries: Vec<TarEntry> = Vec::new();
    let mut manifest = Vec::new();
    let named = |digest: &str, ending: &str| {
        format!("{}{ending}", digest.strip_prefix("sha256:").expect("a digest"))
    };
    for (tags, image) in images {
        let PlatformImage { config, layers, .. } =
            image.platforms.values().next().expect("a platform");
        let config_name = named(&config.digest, ".json");
        let mut files = vec![file(&config_name, image.blobs[&config.digest].clone())];
        let mut layer_files = Vec::new();
        for layer in layers {
            let name = named(&layer.digest, ".tar");
            files.push(file(&name, image.blobs[&layer.digest].clone()));
            layer_files.push(name);
        }
        for file in files {
            if !entries.iter().any(|entry| entry.path == file.path) {
                entries.push(file);
            }
        }
        manifest.push(json!({ "Config": config_name, "RepoTags": tags, "Layers": layer_files }));
    }
    entries.push(file("manifest.json", json!(manifest).to_string()));
    entries
}

/// Writes a tar of these entries.
pub(crate) fn write(path: &Path, entries: &[TarEntry]) {
    let tar = tar_of(entries).expect("writing to memory cannot fail");
    fs::write(path, tar).expect("an archive is written");
}
