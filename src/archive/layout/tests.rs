//! Layouts as other tools write them, and as they should not be.

#![expect(clippy::disallowed_methods, reason = "the tests write the layouts that they read")]

use std::fs;
use std::io::read_to_string;
use std::path::Path;

use super::*;

/// A layout with the blobs `layer` and a manifest, which `entries` name.
fn layout(names: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let entries: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                r#"{{"mediaType":"{OCI_INDEX}","digest":"{}","size":{},
                "annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}"#,
                put(root, IMAGES),
                IMAGES.len()
            )
        })
        .collect();
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    fs::write(root.join("index.json"), index).unwrap();
    directory
}

fn open(path: &Path) -> Result<Layout, Error> {
    Layout::open(Files::in_directory(path)?)
}

const IMAGES: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

fn put(root: &Path, text: &str) -> Digest {
    let digest = Digest::of(text);
    fs::write(root.join("blobs/sha256").join(digest.hex()), text).unwrap();
    digest
}

#[test]
fn the_only_image_needs_no_name() {
    let directory = layout(&["v1"]);
    let layout = open(directory.path()).unwrap();
    let entry = layout.resolve(None).unwrap();
    assert_eq!(entry, layout.resolve(Some("v1")).unwrap());
    let root = layout.read_document::<Root>(entry).unwrap();
    assert_eq!(root.bytes(), IMAGES.as_bytes());
}

#[test]
fn of_several_images_one_has_to_be_named() {
    let directory = layout(&["v2", "v1"]);
    let layout = open(directory.path()).unwrap();
    assert!(layout.resolve(Some("v2")).is_ok());
    let error = layout.resolve(None).unwrap_err().to_string();
    assert!(error.ends_with("holds 2 images, so one has to be named; there is v1, v2"), "{error}");
    let error = layout.resolve(Some("v3")).unwrap_err().to_string();
    assert!(error.ends_with("holds no image `v3`; there is v1, v2"), "{error}");
}

#[test]
fn a_blob_is_opened_if_its_size_is_right() {
    let directory = layout(&["v1"]);
    let digest = put(directory.path(), "layer");
    let layout = open(directory.path()).unwrap();
    let file = layout.open_blob(&Descriptor::new("tar", digest, 5)).unwrap();
    assert_eq!(read_to_string(file).unwrap(), "layer");
    let error = layout.open_blob(&Descriptor::new("tar", digest, 6)).unwrap_err();
    assert!(matches!(error, Error::Size { expected: 6, actual: 5, .. }) && error.is_integrity());
    let missing = Descriptor::new("tar", Digest::of("missing"), 7);
    assert!(matches!(layout.open_blob(&missing).unwrap_err(), Error::Io { .. }));
}

#[test]
fn a_document_with_other_bytes_is_refused() {
    let directory = layout(&["v1"]);
    let layout = open(directory.path()).unwrap();
    let entry = layout.resolve(None).unwrap();
    let path = directory.path().join("blobs/sha256").join(entry.digest.hex());
    fs::write(path, IMAGES.replace('2', "3")).unwrap();
    let error = layout.read_document::<Root>(entry).unwrap_err();
    assert!(error.is_integrity());
    let Error::Document { source, .. } = error else { panic!("another error") };
    assert!(matches!(*source, DocumentError::Digest { .. }));
}

#[test]
fn a_link_does_not_lead_out_of_the_layout() {
    let directory = layout(&["v1"]);
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let digest = Digest::of("secret");
    let blobs = directory.path().join("blobs/sha256");
    std::os::unix::fs::symlink(&secret, blobs.join(digest.hex())).unwrap();
    let layout = open(directory.path()).unwrap();
    let error = layout.open_blob(&Descriptor::new("tar", digest, 6)).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }));
}

#[test]
fn other_directories_are_no_layouts() {
    let directory = tempfile::tempdir().unwrap();
    let open = || super::tests::open(directory.path()).unwrap_err();
    assert!(matches!(open(), Error::NotALayout { .. }));
    fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion":"2"}"#).unwrap();
    assert!(matches!(open(), Error::Version { version, .. } if version == "2"));
}
