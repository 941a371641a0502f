//! What holds around a store: limits, the umask, who owns it, how it is mounted, what time it is.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::scene::{Scene, succeeds_or_says_why};
use crate::support::file_tree::FileTree;
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::process::run_program;
use crate::support::project::{Project, Ran};
use crate::support::store_tree::store_tree;
use crate::support::tmpfs::Tmpfs;

/// Whoever is nobody on most machines.
const OTHER_USER: &str = "65534";

fn under(project: &Project, wrapper: &[&str], arguments: &[&str]) -> Ran {
    Ran::of(&mut project.command_under(wrapper, arguments))
}

/// Runs all that only reads, and a sync that has nothing to do, and expects that nothing is written.
fn serves_without_writing(project: &Project) {
    let before = FileTree::read(&project.store());
    for command in [&["path", "app"][..], &["list"], &["verify"], &["sync"], &["sync", "--check"]] {
        project.run(command).exits(0);
    }
    FileTree::read(&project.store()).assert_equals(&before, "the store", "the store before");
}

/// Makes the root of the project look as if it was written at `seconds`.
fn set_last_seen(store: &Path, seconds: u64) {
    for root in fs::read_dir(store.join("v1/roots")).unwrap() {
        let root = root.unwrap().path();
        let text = fs::read_to_string(&root).unwrap();
        let lines = text.lines().map(|line| match line.split_once("\"last_seen\":") {
            Some((before, _)) => format!("{before}\"last_seen\": {seconds}\n"),
            None => format!("{line}\n"),
        });
        fs::write(&root, lines.collect::<String>()).unwrap();
    }
}

/// Takes the disk away, so that there is something to do that needs no network.
fn remove_disk(project: &Project) {
    let disks = project.store().join("v1/f1/disks/sha256");
    fs::remove_file(disks.join(&project.stored("disks")[0])).unwrap();
}

#[test]
fn sixty_four_descriptors_are_enough_and_too_few_are_an_error() {
    if !needs(&["prlimit"]) {
        return;
    }
    let layers: Vec<Layer> =
        (0..12).map(|index| Layer::new(&format!("/l{index} 0644 random=20000"))).collect();
    let scene = Scene::of(&layers.iter().collect::<Vec<_>>());
    under(&scene.project, &["prlimit", "--nofile=64:64"], &["sync"]).exits(0);
    scene.heals("64 descriptors");
    for limit in [5, 8, 12, 16, 20, 24, 28, 32, 40, 48] {
        scene.empty();
        let limits = format!("--nofile={limit}:{limit}");
        let ran = under(&scene.project, &["prlimit", &limits], &["sync"]);
        succeeds_or_says_why(&ran, &format!("{limit} descriptors"));
        scene.heals(&format!("{limit} descriptors"));
        // A whole store must not look damaged to who cannot open it.
        let ran = under(&scene.project, &["prlimit", &limits], &["verify"]);
        assert!([0, 1].contains(&ran.code), "{limit} descriptors: {}", ran.stderr);
    }
}

#[test]
fn the_umask_has_no_say_in_the_program() {
    let scene = Scene::small();
    for umask in ["0777", "0", "077"] {
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        under(&scene.project, &["sh", "-c", &script], &["sync"]).exits(0);
        scene.heals(&format!("a umask of {umask}"));
        scene.empty();
    }
}

#[test]
fn the_umask_has_no_say_for_a_user_without_powers() {
    if !needs(&["root", "setpriv"]) {
        return;
    }
    let scene = Scene::small();
    let store = scene.project.store();
    let home = store.parent().unwrap().to_str().unwrap().to_owned();
    run_program("chown", ["-R", &format!("{OTHER_USER}:{OTHER_USER}"), &home]);
    let user = format!("--reuid={OTHER_USER}");
    for umask in ["0777", "0"] {
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let wrapper = ["setpriv", &user, "--clear-groups", "--inh-caps=-all", "sh", "-c", &script];
        for command in [&["sync"][..], &["verify"], &["path", "app"]] {
            under(&scene.project, &wrapper, command).exits(0);
        }
        assert_eq!(store_tree(&store), scene.golden);
        scene.empty();
    }
}

#[test]
fn a_read_only_store_serves_what_it_has() {
    if !needs(&["root", "mount"]) {
        return;
    }
    let scene = Scene::small();
    let tmpfs = Tmpfs::mount(&scene.project.store(), "size=8m");
    scene.project.run(&["sync"]).exits(0);
    // An old root would be written again, if it could be.
    set_last_seen(&scene.project.store(), 1_000_000);
    tmpfs.remount("ro");
    serves_without_writing(&scene.project);

    tmpfs.remount("rw");
    remove_disk(&scene.project);
    tmpfs.remount("ro");
    scene.registry.clear_requests();
    let ran = scene.project.run(&["sync"]).exits(1);
    assert!(ran.stderr.contains("error[store-read-only]"), "{}", ran.stderr);
    assert!(ran.stderr.contains("help: "), "{}", ran.stderr);
    assert!(scene.registry.requests().is_empty(), "it is said at once");
    tmpfs.remount("rw");
    scene.heals("a read-only mount");
}

#[test]
fn a_store_of_another_user_is_read_and_not_added_to_unless_that_is_meant() {
    if !needs(&["root"]) {
        return;
    }
    let scene = Scene::small();
    let (project, store) = (&scene.project, scene.project.store());
    project.run(&["sync"]).exits(0);
    set_last_seen(&store, 1_000_000);
    run_program("chown", ["-R", OTHER_USER, store.to_str().unwrap()]);
    serves_without_writing(project);

    remove_disk(project);
    let refused = project.run(&["sync"]).exits(1);
    assert!(refused.stderr.contains("error[store-foreign]"), "{}", refused.stderr);
    let text = format!("`{}` belongs to user {OTHER_USER}, and this is user 0", store.display());
    assert!(refused.stderr.contains(&text), "{}", refused.stderr);
    assert!(refused.stderr.contains("`allow-foreign-owner = true`"), "{}", refused.stderr);

    project.write_config("allow-foreign-owner = true\n");
    scene.heals("another owner, who is allowed");
}

#[test]
fn a_clock_that_is_wrong_by_decades_harms_nothing() {
    let scene = Scene::small();
    let store = scene.project.store();
    let years = |years: u64| Duration::from_hours(24 * 365 * years);
    for (year, since_1970) in [(1970, Duration::ZERO), (2100, years(130))] {
        scene.project.run(&["sync"]).exits(0);
        set_last_seen(&store, since_1970.as_secs());
        for name in scene.golden.keys() {
            let file = File::open(store.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + since_1970).unwrap();
        }
        for command in [&["path", "app"][..], &["list"], &["sync", "--check"]] {
            scene.project.run(command).exits(0);
        }
        scene.heals(&format!("files of {year}"));
        let root = fs::read_dir(store.join("v1/roots")).unwrap().next().unwrap().unwrap().path();
        let text = format!("\"last_seen\": {},", since_1970.as_secs());
        let root = fs::read_to_string(root).unwrap();
        assert!(!root.replace('\n', ",").contains(&text), "it was seen today: {root}");
        scene.empty();
    }
}

/// Takes from each record what an older version did not write: then it says nothing of its artifact.
fn make_records_older(store: &Path) {
    for kind in ["blob", "layer", "fsmeta", "disk"] {
        for record in fs::read_dir(store.join("v1/f1/records").join(kind)).unwrap() {
            let record = record.unwrap().path();
            let text = fs::read_to_string(&record).unwrap();
            let (older, _) = text.split_once(",\"sum\":").unwrap();
            fs::remove_file(&record).unwrap();
            fs::write(record, format!("{older}}}\n")).unwrap();
        }
    }
}

#[test]
fn older_and_newer_versions_of_the_program_share_a_store() {
    let scene = Scene::small();
    let (project, store) = (&scene.project, scene.project.store());
    project.run(&["sync"]).exits(0);
    let hex = "c".repeat(64);
    let root = format!("v1/roots/{hex}.json");
    let newer = [
        ("v2/layers".to_owned(), "layer"),
        ("v1/f2/layers/sha256".to_owned(), "layer"),
        ("v1/f2/records/layer".to_owned(), "record"),
        ("v1/refs".to_owned(), "{\"version\":9}"),
        ("v1/publications".to_owned(), "{\"version\":9}"),
        ("v1/roots".to_owned(), "{\"version\":9}"),
    ]
    .map(|(folder, text)| {
        fs::create_dir_all(store.join(&folder)).unwrap();
        fs::write(store.join(&folder).join(format!("{hex}.json")), text).unwrap();
        (format!("{folder}/{hex}.json"), text)
    });
    serves_without_writing(project);
    let ran = project.run(&["gc"]).exits(1);
    assert!(ran.stderr.contains("error[keeper-too-new]"), "{}", ran.stderr);
    fs::remove_file(store.join(&root)).unwrap();
    project.run(&["gc"]).exits(0);
    for (path, text) in newer.iter().filter(|(path, _)| *path != root) {
        assert_eq!(fs::read_to_string(store.join(path)).unwrap(), *text, "{path}");
        fs::remove_file(store.join(path)).unwrap();
    }
    for folder in ["v2", "v1/f2", "v1/publications"] {
        fs::remove_dir_all(store.join(folder)).unwrap();
    }
    fs::remove_file(store.join(format!("v1/guards/publication-{hex}"))).unwrap();
    make_records_older(&store);
    assert!(project.run(&["path", "app"]).code != 0);
    scene.heals("records of an older version");
}

#[test]
fn a_large_image_is_synced_in_256_mib() {
    if !needs(&["prlimit"]) {
        return;
    }
    let mut layers = vec![Layer::new("/lib 0644 random=100000000")];
    let files: Vec<String> =
        (0..20_000).map(|file| format!("/d{}/{file} 0644 x\n", file % 50)).collect();
    layers.push(Layer::new(&files.concat()));
    layers.extend((0..6).map(|index| Layer::new(&format!("/l{index} 0644 random=9000000"))));
    let scene = Scene::of(&layers.iter().collect::<Vec<_>>());
    // All private memory, touched or not: heap, stacks and mappings.
    let bound = ["prlimit", "--data=268435456"];
    under(&scene.project, &bound, &["sync", "-j", "16"]).exits(0);
    under(&scene.project, &bound, &["verify"]).exits(0);
    scene.heals("256 MiB of memory");
}
