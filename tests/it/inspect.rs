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
    insta::assert_snapshot!(json(&project.run(&["inspect", "reference", "alpine:3.20"]).exits(0)), @r###"
    canonical: "docker.io/library/alpine:3.20"
    digest: null
    registry: "docker.io"
    repository: "library/alpine"
    schema: "sandbox-images/inspect-reference/1"
    tag: "3.20"
    "###);
    let digest = format!("127.0.0.1:5000/a/b@sha256:{}", "0".repeat(64));
    insta::assert_snapshot!(json(&project.run(&["inspect", "reference", &digest]).exits(0)), @r###"
    canonical: "127.0.0.1:5000/a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"
    registry: "127.0.0.1:5000"
    repository: "a/b"
    schema: "sandbox-images/inspect-reference/1"
    tag: null
    "###);
}

#[test]
fn a_wrong_reference_exits_2_with_the_position() {
    let project = beside(&[]);
    insta::assert_snapshot!(json(&project.run(&["inspect", "reference", "alp ine", "--json"]).exits(2)), @r###"
    diagnostics:
      {"code":"invalid-reference","file":null,"help":null,"message":"a repository is words of a-z and 0-9, joined by `/`, `.`, `_`, `__` or dashes (byte 3 of `alp ine`)","range":null,"severity":"error"}
    error: {"code":"invalid-reference","entry":null,"message":"a repository is words of a-z and 0-9, joined by `/`, `.`, `_`, `__` or dashes (byte 3 of `alp ine`)","offset":3}
    exit_code: 2
    schema: "sandbox-images/failure/1"
    "###);
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
    insta::assert_snapshot!(shown("index", 0), @r###"
    config: null
    digest: "sha256:6ef7ae3fd13b3a4ed2c32063ce6c1057b0a18d9401758100aeca3fb41a29c9a7"
    kind: "oci-index"
    layers: []
    media_type: "application/vnd.oci.image.index.v1+json"
    platforms: ["linux/amd64","linux/arm64"]
    schema: "sandbox-images/inspect-manifest/1"
    size: 520
    "###);
    insta::assert_snapshot!(shown("manifest", 0), @r###"
    config: {"digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","media_type":"application/vnd.oci.image.config.v1+json","size":7}
    digest: "sha256:d4d25730e87947abecdd737a1ca9d6f59c3ced2aafd52044175d3837761336aa"
    kind: "oci-manifest"
    layers:
      {"digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222","media_type":"application/vnd.oci.image.layer.v1.tar+gzip","size":8}
    media_type: "application/vnd.oci.image.manifest.v1+json"
    platforms: []
    schema: "sandbox-images/inspect-manifest/1"
    size: 415
    "###);
    insta::assert_snapshot!(shown("artifact", 0), @r###"
    config: null
    digest: "sha256:f808ed8e7ee3c643fa7f6c2a87b634247bb978858112008351c39098624d77c1"
    kind: "artifact"
    layers: []
    media_type: "application/vnd.oci.image.manifest.v1+json"
    platforms: []
    schema: "sandbox-images/inspect-manifest/1"
    size: 303
    "###);
    insta::assert_snapshot!(shown("broken", 5), @r###"
    diagnostics:
      {"code":"invalid-manifest","file":null,"help":null,"message":"`broken`: document is not the expected JSON: EOF while parsing an object at line 1 column 1","range":null,"severity":"error"}
    error: {"code":"invalid-manifest","entry":null,"message":"document is not the expected JSON: EOF while parsing an object at line 1 column 1","offset":null}
    exit_code: 5
    schema: "sandbox-images/failure/1"
    "###);
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
    insta::assert_snapshot!(json(&shown), @r###"
    compression: "none"
    diff_id: "sha256:4aee4fc66ffb6ad335f3460b0cd05260e8a31776d95162ce69fa1212690798e0"
    digest: "sha256:4aee4fc66ffb6ad335f3460b0cd05260e8a31776d95162ce69fa1212690798e0"
    entries:
      {"dev":null,"gid":0,"link":null,"mode":493,"mtime":[1600000000,500000000],"path":"etc","sha256":null,"size":0,"type":"dir","uid":0,"xattrs":{}}
      {"dev":null,"gid":7,"link":null,"mode":420,"mtime":[1700000000,0],"path":"etc/motd","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"type":"file","uid":70000,"xattrs":{"user.note":"Yf8="}}
      {"dev":null,"gid":0,"link":"motd","mode":511,"mtime":[1700000000,0],"path":"etc/link","sha256":null,"size":0,"type":"symlink","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":"etc/motd","mode":420,"mtime":[1700000000,0],"path":"etc/again","sha256":null,"size":0,"type":"hardlink","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":null,"mode":384,"mtime":[1700000000,0],"path":{"base64":"bm90Lf8tdXRmOA=="},"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1,"type":"file","uid":0,"xattrs":{}}
      {"dev":[1,3],"gid":0,"link":null,"mode":438,"mtime":[1700000000,0],"path":"dev/null","sha256":null,"size":0,"type":"char","uid":0,"xattrs":{}}
      {"dev":[259,300],"gid":0,"link":null,"mode":432,"mtime":[1700000000,0],"path":"dev/disk","sha256":null,"size":0,"type":"block","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":null,"mode":384,"mtime":[1700000000,0],"path":"pipe","sha256":null,"size":0,"type":"fifo","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":null,"mode":384,"mtime":[1700000000,0],"path":".wh..wh.plnk/7","sha256":"a459ec5c72925a04303745251fed229d42f304fc476e375de299e715e9941574","size":4,"type":"file","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":null,"mode":0,"mtime":[1700000000,0],"path":"old/file","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"type":"whiteout","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":null,"mode":0,"mtime":[1700000000,0],"path":"srv","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"type":"opaque","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"link":null,"mode":0,"mtime":[1700000000,0],"path":"","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"type":"opaque","uid":0,"xattrs":{}}
    schema: "sandbox-images/inspect-layer/1"
    size: 11776
    "###);
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
    insta::assert_snapshot!(shown(&["layer", "above"]), @r###"
    diagnostics:
      {"code":"entry-name","file":null,"help":null,"message":"`above`: entry `../up` at byte 512 is refused: the name leads out of the root","range":null,"severity":"error"}
    error: {"code":"entry-name","entry":"../up","message":"entry `../up` at byte 512 is refused: the name leads out of the root","offset":512}
    exit_code: 5
    schema: "sandbox-images/failure/1"
    "###);
    insta::assert_snapshot!(shown(&["tree", "--layers", "above"]), @r###"
    diagnostics:
      {"code":"entry-name","file":null,"help":null,"message":"`above`: entry `../up` at byte 512 is refused: the name leads out of the root","range":null,"severity":"error"}
    error: {"code":"entry-name","entry":"../up","message":"entry `../up` at byte 512 is refused: the name leads out of the root","offset":512}
    exit_code: 5
    schema: "sandbox-images/failure/1"
    "###);
    insta::assert_snapshot!(shown(&["layer", "cut"]), @r###"
    diagnostics:
      {"code":"tar-truncated","file":null,"help":null,"message":"`cut`: header at byte 512 of the tar: the tar ends within a header","range":null,"severity":"error"}
    error: {"code":"tar-truncated","entry":null,"message":"header at byte 512 of the tar: the tar ends within a header","offset":512}
    exit_code: 5
    schema: "sandbox-images/failure/1"
    "###);
    insta::assert_snapshot!(shown(&["tree", "--erofs", "above"]), @r###"
    diagnostics:
      {"code":"erofs","file":null,"help":null,"message":"`above`: the image has 2560 bytes and needs 4096","range":null,"severity":"error"}
    error: {"code":"erofs","entry":null,"message":"the image has 2560 bytes and needs 4096","offset":null}
    exit_code: 5
    schema: "sandbox-images/failure/1"
    "###);
    let told = project.run(&["inspect", "layer", "missing"]).exits(1).stderr;
    assert!(told.contains("cannot read `missing`: "), "{told}");
    for (subject, words) in [("layer", "`cut`: "), ("manifest", "`cut`: ")] {
        let told = project.run(&["inspect", subject, "cut"]).exits(5).stderr;
        assert!(told.contains(words), "{told}");
        let mut command = project.command(&["inspect", subject, "-"]);
        let cut = fs::File::open(project.directory().join("cut")).unwrap();
        let told = Ran::of(command.stdin(cut)).exits(5).stderr;
        assert!(told.contains("standard input: "), "{told}");
    }
}

#[test]
fn a_tree_is_shown_sorted_with_link_counts_and_inodes() {
    let low =
        layer_tar("/tmp/ 01777\n/old/file 0644 gone\n/a.b 0644 1\n/a/c 0644 2\n/motd 0644 hello");
    let high =
        layer_tar("/old/file whiteout\n/again => /motd\n/tmp/x -> /motd\n/dev/null char 1:3 0666");
    let project = beside(&[("low", &low), ("high", &high)]);
    let shown = project.run(&["inspect", "tree", "--layers", "low", "high"]).exits(0);
    insta::assert_snapshot!(json(&shown), @r###"
    entries:
      {"dev":null,"gid":0,"ino":1,"link":null,"mode":493,"mtime":[0,0],"nlink":6,"path":"","sha256":null,"size":0,"type":"dir","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":2,"link":null,"mode":493,"mtime":[0,0],"nlink":2,"path":"a","sha256":null,"size":0,"type":"dir","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":3,"link":null,"mode":420,"mtime":[1700000000,0],"nlink":1,"path":"a.b","sha256":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","size":1,"type":"file","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":4,"link":null,"mode":420,"mtime":[1700000000,0],"nlink":1,"path":"a/c","sha256":"d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35","size":1,"type":"file","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":5,"link":null,"mode":420,"mtime":[1700000000,0],"nlink":2,"path":"again","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"type":"file","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":6,"link":null,"mode":493,"mtime":[0,0],"nlink":2,"path":"dev","sha256":null,"size":0,"type":"dir","uid":0,"xattrs":{}}
      {"dev":[1,3],"gid":0,"ino":7,"link":null,"mode":438,"mtime":[1700000000,0],"nlink":1,"path":"dev/null","sha256":null,"size":0,"type":"char","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":5,"link":null,"mode":420,"mtime":[1700000000,0],"nlink":2,"path":"motd","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5,"type":"file","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":8,"link":null,"mode":493,"mtime":[0,0],"nlink":2,"path":"old","sha256":null,"size":0,"type":"dir","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":9,"link":null,"mode":1023,"mtime":[1700000000,0],"nlink":2,"path":"tmp","sha256":null,"size":0,"type":"dir","uid":0,"xattrs":{}}
      {"dev":null,"gid":0,"ino":10,"link":"/motd","mode":511,"mtime":[1700000000,0],"nlink":1,"path":"tmp/x","sha256":null,"size":0,"type":"symlink","uid":0,"xattrs":{}}
    schema: "sandbox-images/inspect-tree/1"
    "###);
    let conflict = layer_tar("/motd/below 0644 x");
    fs::write(project.directory().join("conflict"), conflict).unwrap();
    let told = project.run(&["inspect", "tree", "--layers", "low", "conflict", "--json"]).exits(5);
    insta::assert_snapshot!(json(&told), @r###"
    diagnostics:
      {"code":"merge-not-directory","file":null,"help":null,"message":"`motd` is a directory in layer 1 but not in the layers below","range":null,"severity":"error"}
    error: {"code":"merge-not-directory","entry":null,"message":"`motd` is a directory in layer 1 but not in the layers below","offset":null}
    exit_code: 5
    schema: "sandbox-images/failure/1"
    "###);
}
