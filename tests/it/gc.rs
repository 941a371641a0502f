//! `gc`, and what `sync` collects: what is shown, what goes, and what never does.

mod processes;
mod roots;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::file_tree::FileTree;
use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::Layer;
use crate::support::needs::needs;
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
    let folder = project.files().display().to_string();
    let text = project.run(arguments).to_string().replace(&folder, "");
    // Columns are as wide as the name of the directory makes them.
    let squeezed = |line: &str| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    let text: String = text.lines().map(squeezed).collect();
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
    insta::assert_snapshot!(seen(&project, &["gc", "--dry-run"]), @r###"
    exit 0
    --- stdout
    remove  blob  sha256:05439b95eb6100ac3f45e57277cb8626ca01dcbf9d0db588d8aac4a0470dc4fc  491 B  nobody wants it
    remove  blob  sha256:84a646aa97043f5fdb37d447657b9ec5b7a65b055ed475418be76280f675adf1  348 B  nobody wants it
    remove  blob  sha256:f6ee9679ed7b515bfca9966223f163eb39b0ce3bd93dbf4a71198327ef7d99f5  555 B  nobody wants it
    remove  layer  sha256:cc045c4611864ef31a4672a39b50609d765b9e4c94aa9384dbd961aa3bd86a9d  12.0 KiB  nobody wants it
    remove  fsmeta  sha256:67f3cbe17963511544dafc3e0ba2b99c4e105a7001dc6d5dffe897a06646a928  8.0 KiB  nobody wants it
    remove  disk  sha256:67f3cbe17963511544dafc3e0ba2b99c4e105a7001dc6d5dffe897a06646a928  597 B  nobody wants it
    keep  root  /project/sandbox-images.lock  its lock is there
    keep  blob  sha256:17f7a6063a99af34d5e68472e46a3616817e42d51d815387d26691c82d157db5  555 B  wanted by /project/sandbox-images.lock
    keep  blob  sha256:d47492e71e30f1e4478840eb465b5914f66794cdb443f1b071c2d0e1dedd1ebd  348 B  wanted by /project/sandbox-images.lock
    keep  blob  sha256:f58b6e6f7163d21cf357e1eb5b701ef9edf8cfda4f8d3ecd0dc9a411b53bacb5  491 B  wanted by /project/sandbox-images.lock
    keep  layer  sha256:4950089f98a47cd993c0baebc046acfc32e8a7eb3573a787f194d4d3586b80e0  12.0 KiB  wanted by /project/sandbox-images.lock
    keep  layer  sha256:bba7fcd228efc62fdb3c2223ffa71193767355a4525344e13ef27b194fbac91b  20.0 KiB  wanted by /project/sandbox-images.lock
    keep  fsmeta  sha256:8fd03365bfbb79eafbfa8a6455e189224b1385bac5b9fef4be94461c2f3dcdb7  8.0 KiB  wanted by /project/sandbox-images.lock
    keep  disk  sha256:8fd03365bfbb79eafbfa8a6455e189224b1385bac5b9fef4be94461c2f3dcdb7  597 B  wanted by /project/sandbox-images.lock
    keep  partial  partial/5555555555555555555555555555555555555555555555555555555555555555  5 B  used lately enough
    --- stderr
    would remove 6 files, 21.9 KiB; 8 would stay, 41.9 KiB in the store
    "###);
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

    insta::assert_snapshot!(seen(&project, &["gc"]), @r###"
    exit 0
    --- stdout
    --- stderr
    removed 6 files, 21.9 KiB; 8 stay, 41.9 KiB in the store
    "###);
    assert_eq!(holds(&project), (2, 1));
    sync(&project, &["--check"]).exits(0);
    project.run(&["verify"]).exits(0);
}

#[test]
fn an_empty_store_holds_nothing_to_collect() {
    let project = project_naming(&[]);
    insta::assert_snapshot!(seen(&project, &["gc", "--json"]), @r###"
    exit 0
    --- stdout
    {"schema":"sandbox-images/gc/1","dry_run":false,"removed":{"files":0,"bytes":0},"kept":{"files":0,"bytes":0},"items":[],"withdrawn":[]}
    --- stderr
    "###);
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
    assert!(dry.contains("would remove 6 files that nobody wants any more"), "{dry}");
    let dry = sync(&project, &["--dry-run", "--json"]).exits(0).stdout;
    let dry: Value = serde_json::from_str(&dry).unwrap();
    assert_eq!(dry["removed"].as_array().unwrap().len(), 6, "{dry}");
    let told = sync(&project, &[]).exits(0).stderr;
    assert!(told.contains("Removed 6 files that nobody wants any more"), "{told}");
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
    assert!(dry.contains("would remove 6 files"), "{dry}");
    project.run(&["lock"]).exits(0);
    let mut command = project.command(&[&SYNC[..], &["--prune"]].concat());
    Ran::of(command.env("CI", "1").env("SANDBOX_IMAGES_NO_GC", "1")).exits(0);
    assert_eq!(holds(&project), (2, 1));
    insta::assert_snapshot!(seen(&project, &["sync", "--prune", "--no-gc"]), @r###"
    exit 2
    --- stdout
    --- stderr
    error: the argument '--prune' cannot be used with '--no-gc'

    Usage: sandbox-images sync --prune

    For more information, try '--help'.
    "###);
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

#[test]
fn a_store_that_is_mounted_read_only_answers_and_leases_nothing() {
    if !needs(&["root", "unshare"]) {
        return;
    }
    let (_registry, project) = world();
    sync(&project, &[]).exits(0);
    let store = project.store().display().to_string();
    let mounted = format!(
        "mount --bind '{store}' '{store}' && mount -o remount,bind,ro '{store}' && exec \"$@\""
    );
    let read_only = |arguments: &[&str]| {
        let words = ["unshare", "--mount", "sh", "-c", &mounted, "sh"];
        Ran::of(&mut project.command_under(&words, arguments))
    };
    let path = ["path", "app", "--platform", "linux/amd64"];
    read_only(&path).exits(0);
    let pid = std::process::id().to_string();
    let told = read_only(&[&path[..], &["--lease-pid", &pid]].concat()).exits(1).stderr;
    assert!(told.starts_with("error[store-read-only]: "), "{told}");
    read_only(&["gc", "--dry-run"]).exits(0);
    read_only(&["roots", "list"]).exits(0);
    let told = read_only(&["gc"]).exits(1).stderr;
    assert!(told.starts_with("error[store-read-only]: "), "{told}");
    read_only(&SYNC).exits(0);
}
