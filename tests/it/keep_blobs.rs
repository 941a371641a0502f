//! `keep-blobs` and `sync --fetch-only`: compressed layers stay in the store, and a later sync builds of them with
//! no network at all.

mod fetch_only;

mod keeping;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sandbox_images::oci::digest::Digest;

use crate::support::fixture::locked_image_of_two_layers;
use crate::support::image::Layer;
use crate::support::project::Project;
use crate::support::registry::TestRegistry;

/// An image of two small layers, locked.
struct Scene {
    registry: TestRegistry,
    project: Project,
    layers: [Layer; 2],
}

impl Scene {
    fn locked() -> Self {
        let (registry, project, _, layers) = locked_image_of_two_layers();
        Self { registry, project, layers }
    }

    /// The same, by a user who keeps blobs.
    fn keeping() -> Self {
        let scene = Self::locked();
        scene.project.write_config("keep-blobs = true\n");
        scene
    }

    /// Requests for layers so far.
    fn fetched(&self) -> usize {
        self.layers.iter().map(|layer| self.registry.requests_to(&layer.digest).len()).sum()
    }

    /// How many of the layers are in the store as blobs with the right bytes.
    fn kept(&self) -> usize {
        let is_kept =
            |layer: &&Layer| fs::read(blob(&self.project, layer)).is_ok_and(|it| it == layer.blob);
        self.layers.iter().filter(is_kept).count()
    }

    /// Removes all that is built and its records: what is fetched stays.
    fn unbuild(&self) {
        for folder in
            ["layers", "fsmeta", "disks", "records/layer", "records/fsmeta", "records/disk"]
        {
            let folder = self.project.store().join("v1/f1").join(folder);
            fs::remove_dir_all(folder).expect("a folder is removed");
        }
    }
}

/// Where the blob of `layer` lies, or would lie.
fn blob(project: &Project, layer: &Layer) -> PathBuf {
    let hex = layer.digest.strip_prefix("sha256:").expect("a digest is SHA-256");
    project.store().join("v1/blobs/sha256").join(hex)
}

/// What a sync that nothing disturbs builds, by kind and name.
fn built_directly(scene: &Scene) -> BTreeMap<String, Digest> {
    let other = Project::new(
        &fs::read_to_string(scene.project.directory().join("sandbox-images.toml"))
            .expect("the project has its file"),
    );
    fs::write(other.lock_path(), scene.project.lock_text()).expect("the lock is copied");
    other.run(&["sync"]).exits(0);
    other.artifacts()
}

/// Flips a bit of a file that nobody may write to.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("a file can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).expect("a file is removed");
    fs::write(path, bytes).expect("a damaged file is written");
}
