//! A project whose image is synced, and a directory that stands for microsandbox's cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::platform::Platform;
use serde_json::Value;

use crate::support::file_tree::sha256_of;
use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// What microsandbox calls the digest in a file name.
pub(super) fn safe(digest: &str) -> String {
    digest.replace(':', "_")
}

/// The lease of an entry.
pub(super) fn lease(cache: &Path, entry: &str) -> PathBuf {
    let (folder, name) = entry.split_once('/').unwrap();
    cache.join(folder).join(".msb-leases").join(format!("{}.lock", Digest::of(name).hex()))
}

/// An image of these layers, synced.
pub(super) fn synced(layers: &[&Layer]) -> (TestRegistry, Project) {
    let (registry, project) = registry_and_project(&two_platforms(layers));
    project.run(&["sync"]).exits(0);
    (registry, project)
}

/// Two layers, of which the second changes the first.
pub(super) fn two_layers() -> [Layer; 2] {
    let base = Layer::new("/etc/ 0755\n/etc/motd 0644 hello\n/lib 0644 random=9000");
    [base, Layer::new("/etc/motd whiteout\n/app 0755 run")]
}

/// The cache of a project, which its runs publish to.
pub(super) fn cache_of(project: &Project) -> PathBuf {
    project.files().join("cache")
}

/// `microsandbox=DIR` for it.
pub(super) fn target(project: &Project) -> String {
    format!("microsandbox={}", cache_of(project).display())
}

/// Publishes all images of the lock.
pub(super) fn publish(project: &Project, flags: &[&str]) -> Ran {
    let target = target(project);
    project.run(&[&["publish", &target], flags].concat())
}

/// What `publish --json` says of its only image.
pub(super) fn published(project: &Project) -> Value {
    let document: Value = serde_json::from_str(&publish(project, &["--json"]).text()).unwrap();
    document["published"][0].clone()
}

/// What the lock says of the image `app` on this machine.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) index: String,
    pub(super) manifest: String,
    pub(super) config: String,
    pub(super) diff_ids: Vec<String>,
}

pub(super) fn locked(project: &Project) -> Locked {
    let lock: toml::Value = toml::from_str(&project.lock_text()).unwrap();
    let image = &lock["image"]["app"];
    let platform = &image["platform"][&Platform::host_linux().to_string()];
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    Locked {
        index: text(&image["digest"]),
        manifest: text(&platform["manifest"]["digest"]),
        config: text(&platform["config"]["digest"]),
        diff_ids: platform["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| text(&layer["diff-id"]))
            .collect(),
    }
}

/// Every file of a cache by its path, with what it holds; leases and locks are left out.
pub(super) fn files(cache: &Path) -> BTreeMap<String, Digest> {
    let mut files = BTreeMap::new();
    for folder in ["layers", "fsmeta", "vmdk", "manifests"] {
        for entry in fs::read_dir(cache.join(folder)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() && path.extension().is_none_or(|extension| extension != "lock") {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.insert(format!("{folder}/{name}"), sha256_of(&path).unwrap());
            }
        }
    }
    files
}
