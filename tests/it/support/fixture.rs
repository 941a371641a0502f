//! An image in a registry, and a project that names it: how most tests of the program begin.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::image::{Image, Layer};
use super::project::Project;
use super::registry::TestRegistry;
pub(crate) use super::serving::{serve, two_platforms};

/// How long a test waits for what must come.
const WAIT_MAX: Duration = Duration::from_secs(30);

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

/// An image of two small layers in a registry, and a project that has it locked. The registry has forgotten that
/// it was asked.
pub(crate) fn locked_image_of_two_layers() -> (TestRegistry, Project, Image, [Layer; 2]) {
    let layers = [Layer::new("/lib 0644 random=9000"), Layer::new("/app 0755 run")];
    let image = two_platforms(&[&layers[0], &layers[1]]);
    let (registry, project) = registry_and_project(&image);
    project.run(&["lock"]).exits(0);
    registry.clear_requests();
    (registry, project, image, layers)
}

/// A project with a lock that is never written again, and whose registry nobody asks.
pub(crate) fn project_of_pinned_lock() -> Project {
    let project = project_naming(&[("alpine", "docker.io/library/alpine:3.20")]);
    let lock = include_str!("../../data/locks/v1.lock");
    fs::write(project.lock_path(), lock).expect("the lock is written");
    project
}

/// Replaces a part of a file.
#[track_caller]
pub(crate) fn edit(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).expect("the file can be read");
    let edited = text.replace(old, new);
    assert_ne!(edited, text, "`{old}` in {text}");
    fs::write(path, edited).expect("the file is written");
}

/// Waits until something that another process does is seen. What never comes fails the test.
pub(crate) fn wait_until(what: &str, mut is_seen: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_seen() {
        assert!(start.elapsed() < WAIT_MAX, "waited {WAIT_MAX:?} until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
