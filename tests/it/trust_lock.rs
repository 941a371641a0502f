//! `trust-lock`: a sync with a fresh lock asks for no manifest, and is no less certain of its layers.

use std::fs;
use std::path::Path;

use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::spec::lockfile::{Lock, LockedPlatform};

use crate::support::fixture::locked_image_of_two_layers;
use crate::support::image::Image;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// A change to what is locked.
type Tamper = fn(&mut LockedPlatform);

/// A locked image whose user trusts locks.
struct Scene {
    registry: TestRegistry,
    project: Project,
    image: Image,
}

impl Scene {
    fn locked() -> Self {
        let (registry, project, image, _) = locked_image_of_two_layers();
        project.write_config("trust-lock = true\n");
        Self { registry, project, image }
    }

    fn synced() -> Self {
        let scene = Self::locked();
        scene.project.run(&["sync", "--locked"]).exits(0);
        scene.registry.clear_requests();
        scene
    }

    /// How often an index or a manifest was asked for.
    fn manifests_asked(&self) -> usize {
        self.registry.requests_to("/manifests/").len()
    }

    /// The blobs of the store.
    fn blobs(&self) -> usize {
        fs::read_dir(self.project.store().join("v1/blobs/sha256")).unwrap().count()
    }

    /// Changes what is locked for both platforms, with sums that fit.
    fn tamper(&self, change: Tamper) {
        let mut lock = Lock::parse(&self.project.lock_text()).unwrap();
        let mut image = lock.image("app").unwrap().clone();
        image.platforms.values_mut().for_each(change);
        lock.insert("app".parse().unwrap(), image);
        fs::write(self.project.lock_path(), lock.render()).unwrap();
    }
}

#[test]
fn a_cold_locked_sync_asks_for_no_manifest() {
    let scene = Scene::locked();
    scene.project.run(&["sync", "--locked"]).exits(0);
    assert_eq!(scene.manifests_asked(), 0);
    assert_eq!(scene.blobs(), 1, "the config");
    let trusting = scene.project.artifacts();

    let all: [&[&str]; 9] = [
        &["sync", "--check"],
        &["sync", "--frozen"],
        &["sync"],
        &["check", "--in-sync"],
        &["path", "app", "--json"],
        &["verify"],
        &["verify", "--deep"],
        &["gc"],
        &["sync", "--frozen", "--dry-run"],
    ];
    scene.registry.clear_requests();
    for arguments in all {
        scene.project.run(arguments).exits(0);
    }
    assert!(scene.registry.requests().is_empty());
    assert!(scene.project.run(&["list"]).text().contains("  synced  "));

    // Without the key the rest is missing, and only that is fetched.
    scene.project.write_config("");
    scene.project.run(&["sync", "--check"]).exits(4);
    scene.project.run(&["verify"]).exits(4);
    scene.project.run(&["sync", "--locked"]).exits(0);
    assert_eq!((scene.manifests_asked(), scene.registry.requests_to("/blobs/").len()), (2, 0));
    assert_eq!(scene.project.artifacts(), trusting);
    scene.project.run(&["verify"]).exits(0);
}

#[test]
fn a_config_that_disagrees_with_the_lock_is_refused() {
    let other = || Digest::of("other");
    let tampers: [(&str, Tamper); 3] = [
        ("a diff_id", |locked| locked.layers[1].diff_id = DiffId(Digest::of("other"))),
        ("the order of layers", |locked| locked.layers.swap(0, 1)),
        ("a layer less", |locked| locked.layers.truncate(1)),
    ];
    for (what, change) in tampers {
        let scene = Scene::locked();
        scene.tamper(change);
        let told = scene.project.run(&["sync", "--locked"]).exits(5).stderr;
        assert!(told.contains("error[lock-mismatch]"), "{what}: {told}");
        assert_eq!(scene.manifests_asked(), 0, "{what}");
        assert!(
            scene.project.stored("layers").is_empty(),
            "{what}: nothing is fetched on its word"
        );
    }
    // What only a manifest could refuse is found by what comes.
    let scene = Scene::locked();
    scene.tamper(|locked| locked.layers[1].digest = Digest::of("other"));
    scene.project.run(&["sync", "--locked"]).exits(1);
    assert!(scene.registry.requests_to(&other().to_string()).iter().all(|seen| seen.status == 404));
    let scene = Scene::locked();
    scene.tamper(|locked| locked.layers[1].digest = locked.layers[0].digest);
    scene.tamper(|locked| locked.layers[1].size = locked.layers[0].size);
    let told = scene.project.run(&["sync", "--locked"]).exits(5).stderr;
    assert!(told.contains("error[diff-id-mismatch]"), "{told}");
}

#[test]
fn a_fetch_for_later_asks_for_no_manifest_either() {
    let mut scene = Scene::locked();
    scene.project.run(&["sync", "--fetch-only", "--locked"]).exits(0);
    assert_eq!((scene.manifests_asked(), scene.blobs()), (0, 3));
    scene.registry.stop();
    scene.project.run(&["sync", "--frozen"]).exits(0);
    scene.project.run(&["sync", "--check"]).exits(0);
}

/// Publishes to a directory that stands for microsandbox's cache.
fn publish(project: &Project, cache: &Path, flags: &[&str]) -> Ran {
    let target = format!("microsandbox={}", cache.display());
    project.run(&[&["publish", &target], flags].concat())
}

#[test]
fn what_needs_a_manifest_fetches_it_or_names_it() {
    let scene = Scene::synced();
    let cache = scene.project.files().join("cache");
    let told = publish(&scene.project, &cache, &["--offline"]).exits(4).stderr;
    assert!(told.contains("error[document-missing]: app: its index `"), "{told}");
    let manifest = &scene.image.platforms["linux/amd64"].manifest.digest;
    assert!(told.contains(&format!("its manifest `{manifest}` is not in the store")), "{told}");
    assert!(told.contains("help: run the same command with a network"), "{told}");
    assert!(!cache.exists());

    publish(&scene.project, &cache, &[]).exits(0);
    assert_eq!((scene.manifests_asked(), scene.registry.requests().len()), (2, 2));
    assert!(cache.join("manifests").exists());
    publish(&scene.project, &cache, &["--offline"]).exits(0);
    scene.project.run(&["gc"]).exits(0);
    assert_eq!(scene.blobs(), 3, "the lock names them");
}

#[test]
fn an_export_fetches_the_manifests_too() {
    let scene = Scene::synced();
    let export = |name: &str, flags: &[&str]| {
        let path = scene.project.files().join(name);
        scene.project.run(&[&["export", "-o", path.to_str().unwrap()], flags].concat())
    };
    let offline = ["--content", "artifacts", "--offline"];
    let told = export("a.tar", &offline).exits(4).stderr;
    assert!(told.contains("error[document-missing]: app: its index `"), "{told}");
    export("b.tar", &[]).exits(0);
    assert_eq!(scene.manifests_asked(), 2);
    export("c.tar", &offline).exits(0);
}

#[test]
fn a_sync_that_publishes_fetches_what_that_needs() {
    let scene = Scene::locked();
    let target = format!("--publish=microsandbox={}", scene.project.files().join("a").display());
    scene.project.run(&["sync", "--locked", &target]).exits(0);
    assert_eq!(scene.manifests_asked(), 2);

    let scene = Scene::synced();
    let told = scene.project.run(&["sync", "--offline", &target]).exits(4).stderr;
    assert!(told.contains("error[document-missing]"), "{told}");
}

#[test]
fn a_manifest_that_disagrees_is_refused_by_what_needs_it() {
    let scene = Scene::locked();
    scene.tamper(|locked| locked.layers[1].size += 1);
    let cache = scene.project.files().join("cache");
    let told = publish(&scene.project, &cache, &[]).exits(5).stderr;
    assert!(told.contains("error[lock-mismatch]"), "{told}");
}

#[test]
fn a_stale_image_is_resolved_as_ever() {
    let scene = Scene::locked();
    fs::remove_file(scene.project.lock_path()).unwrap();
    scene.project.run(&["sync"]).exits(0);
    assert!(scene.manifests_asked() > 0);
    scene.project.run(&["sync", "--check"]).exits(0);
    scene.project.run(&["verify", "--registry"]).exits(0);
}
