//! No room: said before work where it can be known, and survived wherever it ends.

use std::fs;
use std::path::Path;

use super::scene::{Scene, succeeds_or_says_why, times};
use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::project::Ran;
use crate::support::registry::TestRegistry;
use crate::support::tmpfs::Tmpfs;

/// Room for all that these tests do.
const PLENTY: &str = "size=64m,nr_inodes=4096";

/// A layer that is a hundred times as large as its blob, so that nothing is seen to be short before work.
fn unpacks_large() -> Layer {
    let text = "all work and no play ".repeat(6000);
    Layer::new(&format!("/etc/ 0755\n/etc/motd 0644 hello\n/book 0644 {text}"))
}

/// Syncs into a store on a file system with these options, and then, with room again, once more.
fn sync_on(scene: &Scene, options: &str) -> Ran {
    let store = scene.project.store();
    let tmpfs = Tmpfs::mount(&store, options);
    let ran = scene.project.run(&["sync"]);
    succeeds_or_says_why(&ran, options);
    if ran.code == 1 {
        let is_known = ["error[store-no-space]", "error[store-full]"];
        assert!(is_known.iter().any(|code| ran.stderr.contains(code)), "{options}: {}", ran.stderr);
        assert!(ran.stderr.contains(&store.display().to_string()), "{options}: {}", ran.stderr);
    }
    tmpfs.remount(PLENTY);
    scene.heals(options);
    ran
}

/// Tries all sizes until one of them is enough; how many were not.
fn too_small(scene: &Scene, options: impl Fn(u64) -> String) -> u64 {
    const SIZE_MAX: u64 = 400;
    let mut size = 2;
    while sync_on(scene, &options(size)).code != 0 {
        size += 1;
        assert!(size < SIZE_MAX, "something takes more and more room");
    }
    size - 2
}

#[test]
fn a_disk_of_any_size_is_filled_without_harm() {
    if !needs(&["root", "mount"]) {
        return;
    }
    let scene = Scene::of(&[&unpacks_large()]);
    assert!(too_small(&scene, |pages| format!("size={}k,nr_inodes=4096", pages * 4)) > 20);
}

#[test]
fn inodes_run_out_without_harm() {
    if !needs(&["root", "mount"]) {
        return;
    }
    let scene = Scene::of(&[&unpacks_large()]);
    assert!(too_small(&scene, |inodes| format!("size=64m,nr_inodes={inodes}")) > 20);
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_fetched() {
    if !needs(&["root", "mount"]) {
        return;
    }
    let layer = Layer::new("/lib 0644 random=300000");
    let scene = Scene::of(&[&layer]);
    let store = scene.project.store();
    let sync = |kibibytes: u32| {
        let _tmpfs = Tmpfs::mount(&store, &format!("size={kibibytes}k"));
        let ran = scene.project.run(&["sync"]);
        (ran, fs::read_dir(&store).unwrap().count())
    };

    let (refused, files) = sync(200);
    let refused = refused.exits(1);
    assert!(refused.stderr.contains("error[store-full]"), "{}", refused.stderr);
    let text = format!("`{}` has 204800 bytes free, and ", store.display());
    assert!(refused.stderr.contains(&text), "{}", refused.stderr);
    assert_eq!((files, scene.registry.requests().len()), (0, 0), "nothing was begun");

    let (tight, _) = sync(800);
    assert!(tight.exits(0).stderr.contains("819200 bytes free"), "a warning");
    let (roomy, _) = sync(4000);
    assert!(!roomy.exits(0).stderr.contains("bytes free"), "no warning");
}

#[test]
fn a_store_on_a_failing_disk_says_so_and_heals() {
    if !needs(&["strace"]) {
        return;
    }
    let scene = Scene::small();
    let faults = [
        ("pwrite64", "EDQUOT"),
        ("pwrite64", "EIO"),
        ("fdatasync", "EIO"),
        ("fsync", "EIO"),
        ("/^rename", "EIO"),
        ("/^mkdir", "ENOSPC"),
        ("fchmod", "EIO"),
    ];
    for (call, error) in faults {
        let mut failed = 0;
        for when in 1..=times("SANDBOX_IMAGES_TEST_FAULTS", 4) {
            let during = format!("{error} of {call} number {when}");
            let (trace, inject) =
                (format!("trace={call}"), format!("inject={call}:error={error}:when={when}"));
            let strace = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let ran = Ran::of(&mut scene.project.command_under(&strace, &["sync"]));
            succeeds_or_says_why(&ran, &during);
            failed += i32::from(ran.code != 0);
            scene.heals(&during);
            scene.empty();
        }
        assert!(failed > 0, "{error} of {call} was never noticed");
    }
}

#[test]
fn a_full_disk_costs_one_image_and_not_the_others() {
    if !needs(&["root", "mount"]) {
        return;
    }
    let large = format!("/book 0644 {}", "all work and no play ".repeat(40_000));
    let (small, large) = (Layer::new("/a 0644 small"), Layer::new(&large));
    let registry = TestRegistry::start();
    for (name, layer) in [("small", &small), ("large", &large)] {
        let image = two_platforms(&[layer]);
        serve(&registry, name, "1", &image);
    }
    let at = |name: &str| format!("{}/{name}:1", registry.host());
    let images = [("large", at("large")), ("small", at("small"))];
    let images = images.each_ref().map(|(name, source)| (*name, source.as_str()));
    let project = project_naming(&images);
    project.run(&["lock"]).exits(0);
    let _tmpfs = Tmpfs::mount(&project.store(), "size=500k");

    let ran = project.run(&["sync"]).exits(1);

    assert!(ran.stderr.contains("error[store-no-space]: large: "), "{}", ran.stderr);
    assert!(!ran.stderr.contains("small: "), "{}", ran.stderr);
    let disk = project.run(&["path", "small"]).text();
    assert!(Path::new(&disk).is_file());
    project.run(&["path", "large"]).exits(4);
}
