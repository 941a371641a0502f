//! Images that a registry or a layout has and that cannot be what is wanted.

use std::fs;

use serde_json::json;

use super::scene::{locked, plain, shows, warns};
use crate::support::fixture::{edit, project_naming, registry_and_project, serve, two_platforms};
use crate::support::image::{Family, Image};
use crate::support::project::Project;
use crate::support::registry::fault::{Effect, Fault};
use crate::support::registry::{OCI_INDEX, OCI_MANIFEST, TestRegistry};

/// `sync` for one platform, whatever this machine's own is.
const SYNC: [&str; 3] = ["sync", "--platform", "linux/amd64"];

#[test]
fn a_platform_that_was_asked_for_is_not_there() {
    let registry = TestRegistry::start();
    let layer = plain("/a 0644 a");
    serve(&registry, "app", "1", &two_platforms(&[&layer]));
    let project = Project::new(&format!(
        "[images.app]\nimage = \"{}/app:1\"\nplatforms = [\"linux/riscv64\", \"linux/amd64\"]\n",
        registry.host()
    ));
    insta::assert_snapshot!(shows(&project, &["no-platform"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[no-platform]: app: cannot use `127.0.0.1:PORT/app:1`: no image for linux/riscv64; there is linux/amd64, linux/arm64
    help: name those that exist in `platforms` of the image, or take another image
    "###);
}

#[test]
fn a_default_platform_that_is_not_there_is_a_warning() {
    let layer = plain("/a 0644 a");
    let image = Image::multi(&[("linux/amd64", vec![&layer])]);
    let (_registry, project) = registry_and_project(&image);
    insta::assert_snapshot!(warns(&project, &["platform"], &["lock"]), @r"
    exit 0
    --- stdout
    --- stderr
       Warning app: `127.0.0.1:PORT/app:1` has no image for linux/arm64
      Resolved app 6ccf00fad988 (linux/amd64)
        Locked 1 image, 1 of them resolved now
    ");
}

#[test]
fn a_config_that_names_another_platform_than_the_index() {
    let registry = TestRegistry::start();
    let layer = plain("/a 0644 a");
    let image = Image::single(Family::Oci, "linux/amd64", &[&layer]);
    serve(&registry, "app", "amd64", &image);
    let mut listed = image.root.json();
    listed["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed] });
    registry.put_manifest("app", "1", OCI_INDEX, index.to_string());
    let project = project_naming(&[("app", &format!("{}/app:1", registry.host()))]);
    insta::assert_snapshot!(shows(&project, &["platform-mismatch"], &["lock"]), @r###"
    exit 5
    --- stdout
    --- stderr
    error[platform-mismatch]: app: cannot use `127.0.0.1:PORT/app:1`: config is for `linux/amd64` instead of `linux/arm64`
    "###);
}

#[test]
fn something_that_is_no_image() {
    let registry = TestRegistry::start();
    let chart = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.cncf.helm.chart",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" },
        "layers": [],
    });
    registry.put_manifest("chart", "1", OCI_MANIFEST, chart.to_string());
    let project = project_naming(&[("chart", &format!("{}/chart:1", registry.host()))]);
    insta::assert_snapshot!(shows(&project, &["unsupported-image"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[unsupported-image]: chart: cannot use `http://127.0.0.1:PORT/v2/chart/manifests/1`: `application/vnd.oci.empty.v1+json` is an artifact, not an image
    "###);
}

#[test]
fn a_layout_that_cannot_be_used() {
    let project = project_naming(&[("base", "oci:images/base")]);
    insta::assert_snapshot!(shows(&project, &["layout"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[layout]: base: cannot read `images/base`: No such file or directory (os error 2)
    "###);
    let layer = plain("/a 0644 a");
    let folder = project.directory().join("images/base");
    fs::create_dir_all(&folder).unwrap();
    two_platforms(&[&layer]).write_layout(&folder, "v1").unwrap();
    let wishes = project.directory().join("sandbox-images.toml");
    edit(&wishes, "images/base", "images/base:v2");
    insta::assert_snapshot!(shows(&project, &["layout"], &["lock"]), @r###"
    exit 1
    --- stdout
    --- stderr
    error[layout]: base: `DIR/project/images/base` holds no image `v2`; there is v1
    "###);
}

#[test]
fn a_layer_that_unpacks_to_something_else() {
    let mut layer = plain("/a 0644 a");
    layer.diff_id = format!("sha256:{}", "0".repeat(64));
    let (_registry, project) = locked(&[&layer]);
    insta::assert_snapshot!(shows(&project, &["diff-id-mismatch"], &SYNC), @r###"
    exit 5
    --- stdout
    --- stderr
    error[diff-id-mismatch]: app: layer `sha256:DIGEST` has diff_id `sha256:DIGEST`, the lock says `sha256:DIGEST`
    help: find out who changed the image, the mirror or the lock before you lock again
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn a_layer_that_is_served_with_other_bytes() {
    let layer = plain("/a 0644 a");
    let (registry, project) = locked(&[&layer]);
    registry.fault(Fault::on(&layer.digest, Effect::FlipAt(600)));
    insta::assert_snapshot!(shows(&project, &["digest-mismatch"], &SYNC), @r###"
    exit 5
    --- stdout
    --- stderr
    error[digest-mismatch]: app: layer `sha256:DIGEST` from `127.0.0.1:PORT/app:1` has digest `sha256:DIGEST`
    help: find out who changed the image, the mirror or the lock before you lock again
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn more_layers_than_this_machine_allows() {
    let (_registry, project) = locked(&[&plain("/a 0644 a"), &plain("/b 0644 b")]);
    project.write_config("[limits]\nlayers-max = 1\n");
    insta::assert_snapshot!(shows(&project, &["layer-limit"], &[&SYNC[..], &["-j", "1"]].concat()), @r###"
    exit 1
    --- stdout
    --- stderr
       Fetched layer 52e62870d5b2 of app, 2.0 KiB
       Fetched layer 2fbcb67c853c of app, 2.0 KiB
    error[layer-limit]: app: cannot use `127.0.0.1:PORT/app:1`: more than 1 layers in one image (`limits.layers-max` in the user's `config.toml` raises this)
    note: not synced: app (linux/amd64)
    "###);
}

#[test]
fn an_image_that_was_never_pulled() {
    let project = project_naming(&[]);
    let arguments = ["pull", "alpine:3.20", "--platform", "linux/amd64", "--policy", "never"];
    insta::assert_snapshot!(shows(&project, &["not-pulled"], &arguments), @r###"
    exit 4
    --- stdout
    --- stderr
    error[not-pulled]: alpine: `docker.io/library/alpine:3.20` was not pulled into this store for linux/amd64
    help: pull it once with `--policy if-missing`, by the same name and for the same platform
    "###);
}
