//! An image in a registry, and a project that names it: how most tests of the program begin.

use std::time::{Duration, Instant};

use super::image::{Described, Image, Layer};
use super::project::Project;
use super::registry::TestRegistry;

/// How long a test waits for what must come.
const WAIT_MAX: Duration = Duration::from_secs(30);

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

/// A project that names images, `[("app", "127.0.0.1:5000/team/app:1"), …]`.
pub(crate) fn project_naming(images: &[(&str, &str)]) -> Project {
    let lines: Vec<String> =
        images.iter().map(|(name, source)| format!("{name} = \"{source}\"\n")).collect();
    Project::new(&format!("manifest-version = 1\n\n[images]\n{}", lines.concat()))
}

/// A registry that serves one image as `app:1`, and a project that names it `app`.
pub(crate) fn registry_and_project(image: &Image) -> (TestRegistry, Project) {
    let registry = TestRegistry::start();
    serve(&registry, "app", "1", image);
    let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    (registry, project)
}

/// Waits until something that another process does is seen. What never comes fails the test.
pub(crate) fn wait_until(what: &str, mut is_seen: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_seen() {
        assert!(start.elapsed() < WAIT_MAX, "waited {WAIT_MAX:?} until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
