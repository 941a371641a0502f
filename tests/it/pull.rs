//! `pull`: one image without a project, by any of its names, and the images of a group.

mod layers;
mod library;
mod names;
mod policies;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::fixture::{project_naming, serve, two_platforms};
use crate::support::image::{Image, Layer};
use crate::support::project::{Project, Ran};
use crate::support::registry::auth::{Auth, Login};
use crate::support::registry::{Options, TestRegistry};

/// An image of two layers for both usual platforms.
fn image() -> Image {
    let base = Layer::new("/etc/motd 0644 hello\n/lib 0644 random=20000");
    two_platforms(&[&base, &Layer::new("/app 0755 data")])
}

/// A registry that holds [`image`] as `team/app:1`, and a user without any project.
fn scene() -> (TestRegistry, Project, String) {
    let registry = TestRegistry::start();
    serve(&registry, "team/app", "1", &image());
    let user = Project::new("manifest-version = 1\n");
    let reference = format!("{}/team/app:1", registry.host());
    (registry, user, reference)
}

/// The one image that a successful `pull --json` tells of.
fn pulled(ran: Ran) -> Value {
    let document: Value = serde_json::from_str(&ran.text()).unwrap();
    assert_eq!(document["schema"], "sandbox-images/pull/1");
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{document}");
    images[0].clone()
}

fn host() -> String {
    sandbox_images::oci::platform::Platform::host_linux().to_string()
}

/// The names in a directory of the store's layout.
fn names_in(user: &Project, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(user.store().join("v1").join(folder)).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn an_image_is_pulled_whole_and_described() {
    let (_registry, user, reference) = scene();
    let found = pulled(user.run(&["pull", &reference, "--json"]));
    let image = image();
    let platform = &image.platforms[&host()];
    assert_eq!(found["image"], "app");
    assert_eq!(found["source"], reference);
    assert_eq!(found["digest"], image.root.digest);
    assert_eq!(found["manifest"], platform.manifest.digest);
    assert_eq!(found["cached"], false);
    let layers = found["layers"].as_array().unwrap();
    let diff_ids: Vec<&str> = layers.iter().map(|l| l["diff_id"].as_str().unwrap()).collect();
    assert_eq!(diff_ids, platform.diff_ids);
    let files = layers.iter().map(|layer| &layer["path"]).chain([&found["disk"], &found["fsmeta"]]);
    for file in files {
        assert!(Path::new(file.as_str().unwrap()).is_file(), "{file}");
    }
    assert_eq!(
        found["config"],
        json!({
            "env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "cmd": ["/bin/sh"], "entrypoint": [],
            "workdir": "/", "user": "", "ports": [], "volumes": [], "labels": {},
            "stop_signal": null,
        })
    );
    let disk = user.run(&["pull", &reference]).text();
    assert_eq!(disk, found["disk"], "for people, the disk alone is data");
    user.run(&["verify"]).exits(0);
    assert!(!user.lock_path().exists(), "no lock is made");
}

#[test]
fn what_was_pulled_is_kept_for_thirty_days() {
    let (_registry, user, reference) = scene();
    user.run(&["pull", &reference]).exits(0);
    let roots: Value =
        serde_json::from_str(&user.run(&["roots", "list", "--json"]).text()).unwrap();
    let root = &roots["roots"][0];
    assert_eq!(root["state"], "expires");
    assert_eq!(root["lock"], format!("{reference} {}", host()));
    let days = (root["ends"].as_u64().unwrap() - root["last_seen"].as_u64().unwrap()) / 86400;
    assert_eq!(days, 30);
    let artifacts = user.artifacts();
    user.run(&["gc", "--max-age", "0s"]).exits(0);
    assert_eq!(user.artifacts(), artifacts);

    let name = root["lock"].as_str().unwrap();
    for id in [name, &root["id"].as_str().unwrap()[..12]] {
        user.run(&["roots", "add", id]).exits(0);
        user.run(&["pull", &reference, "--policy", "always"]).exits(0);
        let roots = user.run(&["roots", "list", "--json"]).text();
        assert!(roots.contains(r#""state":"pinned""#), "a pull lets no pin go: {roots}");
    }
    user.run(&["roots", "remove", name]).exits(0);
    user.run(&["gc"]).exits(0);
    assert!(user.artifacts().is_empty(), "nobody wants it any more");
}

#[test]
fn an_index_gives_the_platform_that_is_named() {
    let registry = TestRegistry::start();
    let layer = |text: &str| Layer::new(&format!("/arch 0644 {text}"));
    let layers = ["amd64", "arm64", "v7", "v6"].map(layer);
    let [amd64, arm64, v7, v6] = &layers;
    let image = Image::multi(&[
        ("linux/amd64", vec![amd64]),
        ("linux/arm64", vec![arm64]),
        ("linux/arm/v7", vec![v7]),
        ("linux/arm/v6", vec![v6]),
    ]);
    serve(&registry, "app", "1", &image);
    let user = Project::new("");
    let reference = format!("{}/app:1", registry.host());
    for (named, found) in [
        ("linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v8", "linux/arm/v7"),
        ("host", &host()),
    ] {
        let pulled = pulled(user.run(&["pull", &reference, "--platform", named, "--json"]));
        assert_eq!(pulled["manifest"], image.platforms[found].manifest.digest, "{named}");
    }
    let ran = user.run(&["pull", &reference, "--platform", "linux/s390x"]).exits(1);
    assert!(
        ran.stderr.contains("linux/arm64") && ran.stderr.contains("error[no-platform]"),
        "{ran:?}"
    );
}

#[test]
fn a_private_registry_is_shown_what_docker_has_stored() {
    let login = Login { user: "ann", password: "secret" };
    let registry =
        TestRegistry::start_with(Options { auth: Auth::Bearer(Some(login.clone())), tls: false });
    serve(&registry, "team/app", "1", &image());
    let user = Project::new("");
    let reference = format!("{}/team/app:1", registry.host());
    let denied = user.run(&["pull", &reference]).exits(6);
    assert!(names_in(&user, "refs").is_empty(), "{denied:?}");

    let docker = user.files().join("home/.docker");
    fs::create_dir_all(&docker).unwrap();
    let auth = login.basic().replace("Basic ", "");
    let json = json!({ "auths": { registry.host(): { "auth": auth } } });
    fs::write(docker.join("config.json"), json.to_string()).unwrap();
    user.run(&["pull", &reference]).exits(0);
}

#[test]
fn wrong_bytes_are_refused_and_nothing_is_noted() {
    let registry = TestRegistry::start();
    let mut layer = Layer::new("/etc/motd 0644 hello");
    layer.diff_id = format!("sha256:{}", "0".repeat(64));
    serve(&registry, "app", "1", &two_platforms(&[&layer]));
    let user = Project::new("");
    let ran = user.run(&["pull", &format!("{}/app:1", registry.host())]).exits(5);
    assert!(ran.stderr.contains("error[diff-id-mismatch]"), "{ran:?}");
    assert_eq!(user.artifacts().len(), 0);
    assert_eq!((names_in(&user, "refs").len(), names_in(&user, "roots").len()), (0, 0));
}

#[test]
fn a_layout_is_pulled_with_no_network() {
    let user = Project::new("");
    image().write_layout(&user.directory().join("layout"), "v1").unwrap();
    let found = pulled(user.run(&["pull", "oci:./layout:v1", "--offline", "--json"]));
    assert_eq!((found["image"].as_str(), found["cached"].as_bool()), (Some("layout"), Some(false)));
    fs::remove_dir_all(user.directory().join("layout")).unwrap();
    let again = pulled(user.run(&["pull", "oci:layout:v1", "--policy", "never", "--json"]));
    assert_eq!(again["cached"], true);
}

#[test]
fn a_group_is_pulled_by_its_lock_and_else_by_its_tags() {
    let registry = TestRegistry::start();
    for name in ["a", "b", "c"] {
        let layer = Layer::new(&format!("/name 0644 {name}"));
        serve(&registry, name, "1", &two_platforms(&[&layer]));
    }
    let host = registry.host();
    let project = project_naming(&[("c", &format!("{host}/c:1"))]);
    let group =
        |name: &str| format!("[images.{name}]\nimage = \"{host}/{name}:1\"\ngroups = [\"ci\"]\n");
    let text = format!("[images]\nc = \"{host}/c:1\"\n{}{}", group("a"), group("b"));
    fs::write(project.directory().join("sandbox-images.toml"), &text).unwrap();
    let names = |ran: Ran| -> Vec<String> {
        let document: Value = serde_json::from_str(&ran.text()).unwrap();
        let images = document["images"].as_array().unwrap().iter();
        images.map(|image| image["image"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(project.run(&["pull", "--group", "ci", "--json"])), ["a", "b"]);
    assert!(!project.lock_path().exists());

    project.run(&["lock"]).exits(0);
    let locked = project.lock_text();
    serve(&registry, "a", "1", &two_platforms(&[&Layer::new("/name 0644 moved")]));
    let seen = registry.requests().len();
    project.run(&["pull", "--group", "ci"]).exits(0);
    assert_eq!(registry.requests().len(), seen, "the lock is fresh and the store whole");
    project.run(&["pull", "--group", "ci", "--policy", "always"]).exits(0);
    assert_eq!(registry.requests_to("/a/manifests/1").len(), 3, "pull, lock, pull");
    assert_eq!(project.lock_text(), locked);

    let unknown = project.run(&["pull", "--group", "nightly"]).exits(2);
    assert!(unknown.stderr.contains("groups are: ci"), "{unknown:?}");
}

#[test]
fn an_image_and_a_group_are_not_pulled_at_once() {
    let (registry, user, reference) = scene();
    for arguments in [&["pull", &reference, "--group", "ci"][..], &["pull"]] {
        user.run(arguments).exits(2);
    }
    user.run(&["pull", "No/Such"]).exits(2);
    user.run(&["pull", &reference, "--layers-format", "dir"]).exits(2);
    assert!(registry.requests().is_empty() && !user.store().exists());
}
