//! `gc`, and what `sync` collects: what is shown, what goes, and what never does.

mod processes;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

const DAY: u64 = 24 * 60 * 60;

/// A registry with two images that share a layer, and a project that names both.
fn world() -> (TestRegistry, Project) {
    let registry = TestRegistry::start();
    let [base, app, tool] = layers();
    serve(&registry, "app", "1", &two_platforms(&[&base, &app]));
    serve(&registry, "tool", "1", &two_platforms(&[&base, &tool]));
    let project = project_naming(&[]);
    name_images(&project, &registry, &["app", "tool"]);
    (registry, project)
}

fn layers() -> [Layer; 3] {
    ["/lib/base 0644 random=9000", "/app 0755 run", "/tool 0755 run"].map(Layer::new)
}

/// Writes these images, and no others, into `sandbox-images.toml`.
fn name_images(project: &Project, registry: &TestRegistry, names: &[&str]) {
    let host = registry.host();
    let lines = names.iter().map(|name| format!("{name} = \"{host}/{name}:1\"\n"));
    let text = format!("manifest-version = 1\n\n[images]\n{}", lines.collect::<String>());
    fs::write(project.directory().join("sandbox-images.toml"), text).unwrap();
}

const SYNC: [&str; 3] = ["sync", "--platform", "linux/amd64"];

fn sync(project: &Project, flags: &[&str]) -> Ran {
    project.run(&[&SYNC[..], flags].concat())
}

/// The program in `project`, with the store of `other`.
fn in_store_of(other: &Project, project: &Project, arguments: &[&str]) -> Ran {
    let store = other.store();
    let words = [&["--store", store.to_str().unwrap()], arguments].concat();
    Ran::of(&mut project.command_without_store(&words))
}

/// Exit code and what is printed, with a word for the directory of the test and for times.
fn seen(project: &Project, arguments: &[&str]) -> String {
    let Ran { code, stdout, stderr } = project.run(arguments);
    let folder = project.store().parent().unwrap().display().to_string();
    let text = format!("exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}").replace(&folder, "");
    let mut words = text.split("\"last_used\":");
    let first = words.next().unwrap().to_owned();
    words.fold(first, |text, rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{text}\"last_used\":0{rest}")
    })
}

fn root_files(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.store().join("v1/roots")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Changes the root of the project whose lock is at a path with this text in it.
fn edit_root(project: &Project, lock: &str, edit: impl Fn(&mut Value)) {
    for path in root_files(project) {
        let mut root: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if root["lock"].as_str().unwrap().contains(lock) {
            edit(&mut root);
            fs::write(path, serde_json::to_vec(&root).unwrap()).unwrap();
        }
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Makes what the project dropped so many days ago.
fn dropped_days_ago(project: &Project, days: u64) {
    edit_root(project, "project", |root| {
        for dropped in root["dropped"].as_array_mut().unwrap() {
            dropped["since"] = (seconds_now() - days * DAY).into();
        }
    });
}

/// How many layers and disks are there.
fn holds(project: &Project) -> (usize, usize) {
    (project.stored("layers").len(), project.stored("disks").len())
}

#[test]
fn a_dry_run_says_of_everything_why_and_leaves_the_tree_as_it_is() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    name_images(&project, &registry, &["app"]);
    project.run(&["lock"]).exits(0);
    edit_root(&project, "project", |root| root["wanted"] = Value::Array(Vec::new()));
    fs::write(project.store().join("v1/partial").join("5".repeat(64)), "begun").unwrap();
    let before = FileTree::read(&project.store());
    insta::assert_snapshot!(seen(&project, &["gc", "--dry-run"]), @"");
    let told = project.run(&["gc", "--dry-run", "--json"]).exits(0).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["schema"], &told["dry_run"]), (&"sandbox-images/gc/1".into(), &true.into()));
    let items = told["items"].as_array().unwrap();
    let files = |action: &str| {
        let counted = |item: &&Value| item["action"] == action && item["kind"] != "root";
        items.iter().filter(counted).count()
    };
    assert_eq!(told["removed"]["files"], files("remove"));
    assert_eq!(told["kept"]["files"], files("keep"));
    assert!(items.iter().all(|item| item["reason"].is_string()), "{told}");
    FileTree::read(&project.store()).assert_equals(&before, "the store", "the store before");

    insta::assert_snapshot!(seen(&project, &["gc"]), @"");
    assert_eq!(holds(&project), (2, 1));
    sync(&project, &["--check"]).exits(0);
    project.run(&["verify"]).exits(0);
}

#[test]
fn an_empty_store_holds_nothing_to_collect() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(seen(&project, &["gc", "--json"]), @"");
    assert!(!project.store().exists());
}

#[test]
fn a_project_keeps_what_another_dropped() {
    let (registry, project) = world();
    let other = project_naming(&[]);
    name_images(&other, &registry, &["tool"]);
    sync(&project, &[]).exits(0);
    in_store_of(&project, &other, &SYNC).exits(0);
    name_images(&project, &registry, &["app"]);
    sync(&project, &["--prune"]).exits(0);
    assert_eq!(holds(&project), (3, 2));
    project.run(&["gc"]).exits(0);
    assert_eq!(holds(&project), (3, 2));
    in_store_of(&project, &other, &["sync", "--check", "--platform", "linux/amd64"]).exits(0);

    name_images(&other, &registry, &[]);
    in_store_of(&project, &other, &[&SYNC[..], &["--prune"]].concat()).exits(0);
    assert_eq!(holds(&project), (2, 1), "whose last keeper it was takes it");
}

#[test]
fn sync_takes_after_a_week_what_the_project_dropped() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    name_images(&project, &registry, &["app"]);
    sync(&project, &[]).exits(0);
    assert_eq!(holds(&project), (3, 2), "at once nothing goes");
    dropped_days_ago(&project, 6);
    sync(&project, &[]).exits(0);
    assert_eq!(holds(&project), (3, 2), "nor after six days");

    dropped_days_ago(&project, 8);
    for flags in [&["--no-gc"][..], &["--offline"], &["--frozen"], &["--check"], &["--dry-run"]] {
        sync(&project, flags).exits(0);
        assert_eq!(holds(&project), (3, 2), "{flags:?}");
    }
    let with = |name, value| Ran::of(project.command(&SYNC).env(name, value)).exits(0);
    with("CI", "true");
    with("SANDBOX_IMAGES_NO_GC", "1");
    project.write_config("[gc]\nauto = false\n");
    sync(&project, &[]).exits(0);
    assert_eq!(holds(&project), (3, 2), "nobody asked for it");

    project.write_config("");
    let dry = sync(&project, &["--dry-run"]).exits(0).stderr;
    assert!(dry.contains("would remove 5 files that nobody wants any more"), "{dry}");
    let dry = sync(&project, &["--dry-run", "--json"]).exits(0).stdout;
    let dry: Value = serde_json::from_str(&dry).unwrap();
    assert_eq!(dry["removed"].as_array().unwrap().len(), 5, "{dry}");
    let told = sync(&project, &[]).exits(0).stderr;
    assert!(told.contains("Removed 5 files that nobody wants any more"), "{told}");
    assert_eq!(holds(&project), (2, 1));
    let root = fs::read_to_string(&root_files(&project)[0]).unwrap();
    assert!(root.contains("\"dropped\": []"), "what went is forgotten: {root}");
}

#[test]
fn prune_takes_it_now_also_in_ci_and_before_the_lock_is_written_says_so() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    name_images(&project, &registry, &["app"]);
    let dry = sync(&project, &["--dry-run", "--prune"]).exits(0).stderr;
    assert!(dry.contains("would remove 5 files"), "{dry}");
    project.run(&["lock"]).exits(0);
    let mut command = project.command(&[&SYNC[..], &["--prune"]].concat());
    Ran::of(command.env("CI", "1").env("SANDBOX_IMAGES_NO_GC", "1")).exits(0);
    assert_eq!(holds(&project), (2, 1));
    insta::assert_snapshot!(seen(&project, &["sync", "--prune", "--no-gc"]), @"");
}

#[test]
fn limits_spare_what_was_used_lately() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    name_images(&project, &registry, &[]);
    project.run(&["lock"]).exits(0);
    edit_root(&project, "project", |root| root["wanted"] = Value::Array(Vec::new()));
    project.run(&["gc", "--max-age", "1d"]).exits(0);
    project.run(&["gc", "--max-size", "1GiB"]).exits(0);
    project.write_config("[gc]\nmax-age = '1d'\n");
    project.run(&["gc"]).exits(0);
    assert_eq!(holds(&project), (3, 2));

    let old = SystemTime::now() - Duration::from_secs(3 * DAY);
    let [_, app, _] = layers();
    let hex = app.diff_id.trim_start_matches("sha256:");
    let record = project.store().join(format!("v1/f1/records/layer/{hex}.json"));
    File::open(record).unwrap().set_modified(old).unwrap();
    project.run(&["gc"]).exits(0);
    assert_eq!(holds(&project), (2, 2), "by age");
    project.run(&["gc", "--max-size", "20kB"]).exits(0);
    assert_eq!(holds(&project).1, 0, "by size, what is cheapest to restore first");
    assert!(holds(&project).0 > 0);
    project.run(&["gc", "--max-age", "0s"]).exits(0);
    assert_eq!(holds(&project), (0, 0));
}

#[test]
fn one_lock_alone_is_refused_where_another_lives() {
    let (registry, project) = world();
    let other = project_naming(&[]);
    name_images(&other, &registry, &["tool"]);
    name_images(&project, &registry, &["app"]);
    sync(&project, &[]).exits(0);
    in_store_of(&project, &other, &SYNC).exits(0);
    let told = project.run(&["gc", "--only-this-lock"]).exits(4);
    assert!(told.stderr.starts_with("error[gc-refused]: others keep things in this store: /"));
    assert_eq!(holds(&project), (3, 2));

    fs::remove_file(other.lock_path()).unwrap();
    edit_root(&project, "project", |root| root["last_seen"] = 1.into());
    let kept = root_files(&project).len();
    assert_eq!(kept, 2, "both were there");
    project.run(&["gc", "--only-this-lock"]).exits(0);
    assert_eq!(holds(&project), (2, 1), "a root that ended keeps nothing");

    in_store_of(&project, &other, &SYNC).exits(0);
    project.run(&["gc", "--only-this-lock", "--drop-other-roots"]).exits(0);
    assert_eq!((holds(&project), root_files(&project).len()), ((2, 1), 1));
    sync(&project, &["--check"]).exits(0);
    insta::assert_snapshot!(seen(&project, &["gc", "--drop-other-roots"]), @"");
}

#[test]
fn a_project_that_moved_is_kept_for_a_month() {
    let (_registry, project) = world();
    sync(&project, &[]).exits(0);
    let away = project.store().parent().unwrap().join("away");
    fs::rename(project.lock_path(), &away).unwrap();
    let gc = || project.run(&["gc"]).exits(0);
    edit_root(&project, "project", |root| root["last_seen"] = (seconds_now() - 29 * DAY).into());
    gc();
    assert_eq!(holds(&project), (3, 2));
    edit_root(&project, "project", |root| root["last_seen"] = (seconds_now() + 3650 * DAY).into());
    gc();
    assert_eq!(holds(&project), (3, 2), "a clock that was ahead ends nothing");
    edit_root(&project, "project", |root| root["last_seen"] = (seconds_now() - 31 * DAY).into());
    gc();
    assert_eq!(holds(&project), (0, 0));
    assert!(root_files(&project).is_empty());
    fs::rename(away, project.lock_path()).unwrap();
    sync(&project, &["--locked"]).exits(0);
}

#[test]
fn a_root_that_cannot_be_read_is_named_and_sync_goes_on() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    let roots = project.store().join("v1/roots");
    fs::write(roots.join(format!("{}.json", "a".repeat(64))), "{").unwrap();
    insta::assert_snapshot!(seen(&project, &["gc"]), @"");
    name_images(&project, &registry, &["app"]);
    let told = sync(&project, &["--prune"]).exits(0).stderr;
    assert!(told.contains("Warning nothing was removed: `"), "{told}");
    assert_eq!(holds(&project), (3, 2));
    project.run(&["roots", "remove", &"a".repeat(64)]).exits(0);
    project.run(&["gc"]).exits(0);
}

#[test]
fn a_launcher_keeps_what_it_was_given() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    let mut sandbox = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = sandbox.id().to_string();
    let path = ["path", "tool", "--platform", "linux/amd64", "--lease-pid", &pid];
    let disk = PathBuf::from(project.run(&path).text());
    name_images(&project, &registry, &["app"]);
    sync(&project, &["--prune"]).exits(0);
    assert!(disk.exists());
    let told = project.run(&["gc", "--only-this-lock"]).exits(4).stderr;
    assert!(told.contains(&format!("others keep things in this store: process {pid}")), "{told}");
    project.run(&["gc", "--only-this-lock", "--drop-other-roots"]).exits(0);
    assert!(disk.exists(), "what runs keeps what it uses");

    sandbox.kill().unwrap();
    sandbox.wait().unwrap();
    sync(&project, &["--prune"]).exits(0);
    assert!(!disk.exists());
    name_images(&project, &registry, &["app", "tool"]);
    sync(&project, &[]).exits(0);
    let told = project.run(&path).exits(2).stderr;
    assert!(told.starts_with(&format!("error[no-process]: there is no process {pid}")), "{told}");
}
