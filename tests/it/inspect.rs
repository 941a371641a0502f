//! `inspect`: what it prints is an interface, field by field.

use std::fs;

use serde_json::Value;

use crate::support::image::{Compression, Family, Image, Layer};
use crate::support::layer_text::layer_tar;
use crate::support::project::{Project, Ran};

/// A project that is never asked, with these files beside it.
fn beside(files: &[(&str, &[u8])]) -> Project {
    let project = Project::new("manifest-version = 1\n");
    for (name, bytes) in files {
        fs::write(project.directory().join(name), bytes).unwrap();
    }
    project
}

/// The JSON on standard output, to be read by people: objects a line each, arrays of numbers on one.
fn json(ran: &Ran) -> String {
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    let Value::Object(fields) = value else { panic!("an object is printed") };
    let lines = fields.into_iter().map(|(key, value)| match value {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let items: Vec<String> = items.iter().map(|item| format!("  {item}\n")).collect();
            format!("{key}:\n{}", items.concat())
        }
        value => format!("{key}: {value}\n"),
    });
    lines.collect()
}

#[test]
fn a_reference_is_shown_with_what_it_leaves_out() {
    let project = beside(&[]);
    insta::assert_snapshot!(json(&project.run(&["inspect", "reference", "alpine:3.20"]).exits(0)), @"");
    let digest = format!("127.0.0.1:5000/a/b@sha256:{}", "0".repeat(64));
    insta::assert_snapshot!(json(&project.run(&["inspect", "reference", &digest]).exits(0)), @"");
}

#[test]
fn a_wrong_reference_exits_2_with_the_position() {
    let project = beside(&[]);
    insta::assert_snapshot!(json(&project.run(&["inspect", "reference", "alp ine", "--json"]).exits(2)), @"");
    let told = project.run(&["inspect", "reference", "alp ine"]).exits(2);
    assert_eq!(told.stdout, "", "without --json, errors are for people only");
}

#[test]
fn every_kind_of_manifest_is_shown() {
    let layer = Layer::new("/etc/motd 0644 hello");
    let both = [("linux/amd64", vec![&layer]), ("linux/arm64/v8", vec![&layer])];
    for (family, index, manifest) in [
        (Family::Oci, "oci-index", "oci-manifest"),
        (Family::Docker, "docker-list", "docker-manifest"),
    ] {
        let image = Image::in_family(family, &both);
        let amd64 = &image.platforms["linux/amd64"];
        let project = beside(&[
            ("index", image.root_bytes()),
            ("manifest", &image.blobs[&amd64.manifest.digest]),
        ]);
        let shown = |file: &str| {
            let text = project.run(&["inspect", "manifest", file]).text();
            serde_json::from_str::<Value>(&text).unwrap()
        };
        assert_eq!(shown("index")["kind"], index);
        assert_eq!(shown("index")["digest"], image.root.digest);
        assert_eq!(shown("manifest")["kind"], manifest);
        assert_eq!(shown("manifest")["config"]["digest"], amd64.config.digest);
        assert_eq!(shown("manifest")["layers"][0]["digest"], layer.digest);
        assert_eq!(shown("manifest")["layers"][0]["size"], layer.blob.len());
    }
}

#[test]
fn documents_are_shown_field_by_field() {
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","size":7,"platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222","size":8,"platform":{"os":"linux","architecture":"amd64"}}]}"#;
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","size":7},
        "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222","size":8}]}"#;
    let artifact = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example.sbom",
        "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},
        "layers":[]}"#;
    let project = beside(&[
        ("index", index.as_bytes()),
        ("manifest", manifest.as_bytes()),
        ("artifact", artifact.as_bytes()),
        ("broken", b"{"),
    ]);
    let shown =
        |file: &str, code| json(&project.run(&["inspect", "manifest", file, "--json"]).exits(code));
    insta::assert_snapshot!(shown("index", 0), @"");
    insta::assert_snapshot!(shown("manifest", 0), @"");
    insta::assert_snapshot!(shown("artifact", 0), @"");
    insta::assert_snapshot!(shown("broken", 5), @"");
}

/// An entry of every type, with all that can be said of one.
const LAYER: &str = "
    /etc/ 0755 mtime=1600000000.5
    /etc/motd 0644 uid=70000 gid=7 xattr:user.note=a\\xff hello
    /etc/link -> motd
    /etc/again => /etc/motd
    /not-\\xff-utf8 0600 x
    /dev/null char 1:3 0666
    /dev/disk block 259:300 0660
    /pipe fifo 0600
    /.wh..wh.plnk/7 0600 aufs
    /old/file whiteout
    /srv opaque
    / opaque
";

#[test]
fn a_layer_is_shown_entry_by_entry_in_the_order_of_its_tar() {
    let project = beside(&[("layer", &layer_tar(LAYER))]);
    let shown = project.run(&["inspect", "layer", "layer"]).exits(0);
    insta::assert_snapshot!(json(&shown), @"");
    let bytes = Layer::packed(&layer_tar(LAYER), Compression::Zstd);
    fs::write(project.directory().join("packed"), &bytes.blob).unwrap();
    let packed: Value =
        serde_json::from_str(&project.run(&["inspect", "layer", "packed"]).text()).unwrap();
    let plain: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(packed["compression"], "zstd");
    assert_eq!([&packed["digest"], &packed["diff_id"]], [&bytes.digest[..], &bytes.diff_id]);
    assert_eq!(packed["size"], bytes.blob.len());
    assert_eq!(packed["entries"], plain["entries"]);
}

#[test]
fn a_refused_layer_exits_5_with_entry_and_offset() {
    let above = layer_tar("/etc/ 0755\n/../up 0644 x");
    let project = beside(&[("above", &above), ("cut", &above[..700]), ("empty", b"")]);
    let shown =
        |words: &[&str]| json(&project.run(&[&["inspect"], words, &["--json"]].concat()).exits(5));
    insta::assert_snapshot!(shown(&["layer", "above"]), @"");
    insta::assert_snapshot!(shown(&["tree", "--layers", "above"]), @"");
    insta::assert_snapshot!(shown(&["layer", "cut"]), @"");
    insta::assert_snapshot!(shown(&["tree", "--erofs", "above"]), @"");
    project.run(&["inspect", "layer", "missing"]).exits(1);
}

#[test]
fn a_tree_is_shown_sorted_with_link_counts_and_inodes() {
    let low =
        layer_tar("/tmp/ 1777\n/old/file 0644 gone\n/a.b 0644 1\n/a/c 0644 2\n/motd 0644 hello");
    let high =
        layer_tar("/old/file whiteout\n/again => /motd\n/tmp/x -> /motd\n/dev/null char 1:3 0666");
    let project = beside(&[("low", &low), ("high", &high)]);
    let shown = project.run(&["inspect", "tree", "--layers", "low", "high"]).exits(0);
    insta::assert_snapshot!(json(&shown), @"");
    let conflict = layer_tar("/motd/below 0644 x");
    fs::write(project.directory().join("conflict"), conflict).unwrap();
    let told = project.run(&["inspect", "tree", "--layers", "low", "conflict", "--json"]).exits(5);
    insta::assert_snapshot!(json(&told), @"");
}
