//! Images in archives: `oci:` of a tar, and `docker-archive:`, as other tools and other times write them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use flate2::write::GzEncoder;
use sandbox_images::oci::digest::Digest;
use serde_json::json;

use crate::support::archive::{docker_entries, file, layout_entries, link, write};
use crate::support::fixture::{project_naming, two_platforms};
use crate::support::image::{Compression, Family, Image, Layer};
use crate::support::layer_tar::{TarEntry, tar_of};
use crate::support::layer_text::layer_tar;
use crate::support::needs::needs;
use crate::support::process::{bounded, output};
use crate::support::project::Project;

const BASE: &str = "/etc/ 0755\n/etc/motd 0644 hello\n/bin/busybox 0755 random=70001";
const APP: &str = "/app 0755 run\n/etc/motd whiteout";

/// An image of two layers for one platform, packed so.
fn image(packing: Compression) -> Image {
    let [base, app] = [BASE, APP].map(|lines| Layer::packed(&layer_tar(lines), packing));
    Image::single(Family::Oci, "linux/amd64", &[&base, &app])
}

/// A project whose image `app` comes from a file beside its own.
fn project_of(source: &str, name: &str, bytes: &[u8]) -> Project {
    let project = project_naming(&[("app", source)]);
    fs::write(project.directory().join(name), bytes).unwrap();
    project
}

/// A project whose image `app` comes from this docker archive.
fn project_saved(entries: &[TarEntry]) -> Project {
    project_of("docker-archive:./app.tar", "app.tar", &tar_of(entries).unwrap())
}

/// What a project's store holds once it was locked and, with no network, synced.
#[track_caller]
fn synced(project: &Project) -> BTreeMap<String, Digest> {
    project.run(&["lock"]).exits(0);
    project.run(&["sync", "--offline", "--platform", "linux/amd64"]).exits(0);
    project.run(&["verify"]).exits(0);
    project.artifacts()
}

/// What a layout directory of the image gives.
fn from_directory(image: &Image) -> BTreeMap<String, Digest> {
    let project = project_naming(&[("app", "oci:./layout")]);
    image.write_layout(&project.directory().join("layout"), "v1").unwrap();
    synced(&project)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn a_tar_of_a_layout_is_that_layout_in_any_order_and_packing() {
    let layers = [Layer::new(BASE), Layer::new(APP)];
    let image = two_platforms(&[&layers[0], &layers[1]]);
    let expected = from_directory(&image);
    let entries = layout_entries(&image, "v1");
    let turned: Vec<TarEntry> = entries.iter().rev().cloned().collect();
    let plain = tar_of(&entries).unwrap();
    let mut locks = Vec::new();
    for bytes in [
        gzipped(&plain),
        zstd::stream::encode_all(&plain[..], 3).unwrap(),
        tar_of(&turned).unwrap(),
        plain,
    ] {
        let project = project_of("oci:./app.tar:v1", "app.tar", &bytes);
        assert_eq!(synced(&project), expected);
        locks.push(project.lock_text());
    }
    assert!(locks.iter().all(|lock| *lock == locks[0]), "{locks:?}");
    assert!(locks[0].contains(&image.root.digest), "the pin is the index's own digest");
}

#[test]
fn a_docker_archive_gives_the_disk_of_its_layers_in_any_order() {
    let image = image(Compression::Plain);
    let expected = from_directory(&image);
    let entries = docker_entries(&[(&["app:1"], &image)]);
    let turned: Vec<TarEntry> = entries.iter().rev().cloned().collect();
    let mut locks = Vec::new();
    for entries in [entries, turned] {
        let project = project_saved(&entries);
        assert_eq!(synced(&project), expected);
        locks.push(project.lock_text());
    }
    assert_eq!(locks[0], locks[1]);
    // The manifest that is made for it; its rule is in `docs/lockfile.md`.
    let pin = "sha256:0846cb130947f27b969f2ad806c9eeaaf55a23615cba4a9cfaa9b4a249c7e437";
    assert!(locks[0].contains(&format!("digest = \"{pin}\"")), "{}", locks[0]);
    assert!(locks[0].contains("type = \"tar\""), "{}", locks[0]);
}

#[test]
fn a_compressed_docker_archive_is_the_same_image() {
    let entries = docker_entries(&[(&["app:1"], &image(Compression::Plain))]);
    let plain = project_saved(&entries);
    let packed = gzipped(&tar_of(&entries).unwrap());
    let packed = project_of("docker-archive:./app.tar", "app.tar", &packed);
    assert_eq!(synced(&packed), synced(&plain));
    assert_eq!(packed.lock_text(), plain.lock_text());
}

#[test]
fn compressed_layers_are_named_by_their_own_bytes() {
    let expected = from_directory(&image(Compression::Plain));
    for packing in [Compression::Gzip, Compression::Zstd] {
        let image = image(packing);
        let project = project_saved(&docker_entries(&[(&["app:1"], &image)]));
        assert_eq!(synced(&project), expected);
        let lock = project.lock_text();
        for layer in &image.platforms["linux/amd64"].layers {
            assert!(lock.contains(&format!("digest = \"{}\"", layer.digest)), "{lock}");
        }
    }
}

#[test]
fn the_oldest_form_links_to_layers_that_two_images_share() {
    let image = image(Compression::Plain);
    let platform = &image.platforms["linux/amd64"];
    let layer = |place: usize| image.blobs[&platform.layers[place].digest].clone();
    let manifest = json!([{
        "Config": "app.json",
        "RepoTags": null,
        "Layers": ["one/layer.tar", "two/layer.tar"],
    }]);
    let entries = [
        file("one/VERSION", "1.0"),
        link("one/layer.tar", "../zero/layer.tar"),
        file("two/layer.tar", layer(1)),
        file("zero/layer.tar", layer(0)),
        file("app.json", image.blobs[&platform.config.digest].clone()),
        file("manifest.json", manifest.to_string()),
        file("repositories", "{}"),
    ];
    assert_eq!(synced(&project_saved(&entries)), from_directory(&image));
}

#[test]
fn an_archive_that_is_both_is_read_as_either() {
    let image = image(Compression::Plain);
    let mut entries = layout_entries(&image, "1");
    let platform = &image.platforms["linux/amd64"];
    let path = |digest: &str| digest.replacen("sha256:", "blobs/sha256/", 1);
    let layers: Vec<String> = platform.layers.iter().map(|layer| path(&layer.digest)).collect();
    let manifest = json!([{
        "Config": path(&platform.config.digest), "RepoTags": ["app:1"], "Layers": layers,
    }]);
    entries.push(file("manifest.json", manifest.to_string()));
    let bytes = tar_of(&entries).unwrap();
    let as_layout = project_of("oci:./app.tar:1", "app.tar", &bytes);
    let as_docker = project_of("docker-archive:./app.tar:app:1", "app.tar", &bytes);
    assert_eq!(synced(&as_docker), synced(&as_layout));
}

#[test]
fn of_several_images_one_is_named() {
    let (one, other) = (image(Compression::Plain), image(Compression::Gzip));
    let third = Image::single(Family::Oci, "linux/amd64", &[&Layer::new("/x 0644 x")]);
    let images: [(&[&str], &Image); 3] = [
        (&["docker.io/library/app:latest", "app:1"], &one),
        (&["b.io/app:2"], &other),
        (&[], &third),
    ];
    let bytes = tar_of(&docker_entries(&images)).unwrap();
    let project = |source: &str| project_of(source, "all.tar", &bytes);

    let told = project("docker-archive:./all.tar").run(&["lock"]).exits(1).stderr;
    let names = "@2, app:1, b.io/app:2, docker.io/library/app:latest";
    assert!(
        told.contains(&format!("holds 3 images, so one has to be named; there is {names}")),
        "{told}"
    );
    let told = project("docker-archive:./all.tar:app:3").run(&["lock"]).exits(1).stderr;
    assert!(told.contains(&format!("holds no image `app:3`; there is {names}")), "{told}");

    for (selector, image) in
        [("app", &one), ("app:1", &one), ("b.io/app:2", &other), ("@2", &third)]
    {
        let project = project(&format!("docker-archive:./all.tar:{selector}"));
        project.run(&["lock"]).exits(0);
        let config = &image.platforms["linux/amd64"].config.digest;
        assert!(project.lock_text().contains(config), "{selector}");
    }
}

#[test]
fn a_pin_moves_only_by_update_and_a_changed_archive_is_told() {
    let entries = |lines: &str| {
        let layer = Layer::packed(&layer_tar(lines), Compression::Plain);
        docker_entries(&[(&["app:1"], &Image::single(Family::Oci, "linux/amd64", &[&layer]))])
    };
    let project = project_saved(&entries("/version 0644 1"));
    project.run(&["lock"]).exits(0);
    let before = project.lock_text();
    project.run(&["outdated", "--exit-code"]).exits(0);

    write(&project.directory().join("app.tar"), &entries("/version 0644 2"));

    project.run(&["lock"]).exits(0);
    assert_eq!(project.lock_text(), before, "nobody looks at the archive of a fresh lock");
    let told = project.run(&["sync", "--offline"]).exits(1).stderr;
    assert!(told.contains("error[archive-changed]"), "{told}");
    assert!(project.stored("disks").is_empty());
    project.run(&["outdated", "--exit-code"]).exits(4);
    project.run(&["update", "app"]).exits(0);
    assert_ne!(project.lock_text(), before);
    project.run(&["sync", "--offline"]).exits(0);

    fs::remove_file(project.directory().join("app.tar")).unwrap();
    project.run(&["check", "--in-sync"]).exits(0);
    project.run(&["sync", "--frozen"]).exits(0);
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_not_stored() {
    let image = image(Compression::Plain);
    let mut entries = docker_entries(&[(&["app:1"], &image)]);
    let name = image.platforms["linux/amd64"].layers[1].digest.replacen("sha256:", "", 1) + ".tar";
    for entry in entries.iter_mut().filter(|entry| entry.path == name.as_bytes()) {
        *entry = file(&name, layer_tar("/app 0755 RUN\n/etc/motd whiteout"));
    }
    let project = project_saved(&entries);
    project.run(&["lock"]).exits(0);
    let told = project.run(&["sync", "--offline"]).exits(5).stderr;
    assert!(told.contains("error[digest-mismatch]"), "{told}");
    assert!(project.stored("disks").is_empty());
}

#[test]
fn archives_that_no_tool_writes_are_refused() {
    let good = || docker_entries(&[(&["app:1"], &image(Compression::Plain))]);
    let with = |more: &[TarEntry]| [good(), more.to_vec()].concat();
    let without = |name: &str| {
        good().into_iter().filter(|entry| entry.path != name.as_bytes()).collect::<Vec<_>>()
    };
    let replaced =
        |text: &str| [without("manifest.json"), vec![file("manifest.json", text)]].concat();
    let huge = " ".repeat(5 << 20);
    for (entries, told) in [
        (
            with(&[file("../../etc/passwd", "x")]),
            "entry `../../etc/passwd` of `./app.tar` leads out of the archive",
        ),
        (
            with(&[link("a", "/etc/passwd")]),
            "entry `a` of `./app.tar` is a link out of the archive",
        ),
        (
            with(&[file("manifest.json", "[]")]),
            "entry `manifest.json` of `./app.tar` is there twice",
        ),
        (
            without("manifest.json"),
            "`./app.tar` is not a docker archive: it has no `manifest.json`",
        ),
        (replaced("[]"), "holds 0 images, so one has to be named"),
        (replaced(r#"[{"Config":"a","Config":"b"}]"#), "duplicate key `Config`"),
        (replaced(r#"[{"Config":"missing"}]"#), "cannot read `./app.tar/missing`"),
        (replaced(&huge), "more than the 4194304 that are allowed"),
    ] {
        let project = project_saved(&entries);
        let ran = project.run(&["lock"]);
        assert!(ran.stderr.contains(told) && [1, 5].contains(&ran.code), "{told}\n{ran:?}");
        assert!(!project.lock_path().exists());
    }
    let loops = [link("layer", "layer"), file("manifest.json", r#"[{"Config":"layer"}]"#)];
    let told = project_saved(&loops).run(&["lock"]).exits(1).stderr;
    assert!(told.contains("stands behind more links than Linux follows"), "{told}");
    let whole = tar_of(&good()).unwrap();
    let cut = project_of("docker-archive:./app.tar", "app.tar", &whole[..whole.len() / 2]);
    let told = cut.run(&["lock"]).exits(1).stderr;
    assert!(told.contains("error[archive]"), "{told}");
}

#[test]
fn what_skopeo_writes_is_the_same_disk() {
    if !needs(&["skopeo"]) {
        return;
    }
    let image = image(Compression::Gzip);
    let expected = from_directory(&image);
    for (transport, source) in [
        ("docker-archive:app.tar:example.com/app:1", "docker-archive:./app.tar:example.com/app:1"),
        ("oci-archive:app.tar:v1", "oci:./app.tar:v1"),
        ("oci:app:v1", "oci:./app:v1"),
    ] {
        let project = project_naming(&[("app", source)]);
        image.write_layout(&project.directory().join("layout"), "v1").unwrap();
        let mut skopeo = bounded("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "oci:layout:v1", transport]);
        let copied = output(skopeo.current_dir(project.directory()));
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        assert_eq!(synced(&project), expected, "{transport}");
    }
}
