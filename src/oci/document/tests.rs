//! Documents as registries serve them, and as they should not.

use super::*;
use crate::oci::document::search::{INDEX_DEPTH_MAX, Search, Step};
use crate::oci::platform::Platform;

fn digest(name: &str) -> Digest {
    Digest::of(name)
}

fn entry(name: &str, media_type: &str, rest: &str) -> String {
    let digest = digest(name);
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7{rest}}}"#)
}

fn image(name: &str, platform: &str) -> String {
    let words: Vec<&str> = platform.split('/').collect();
    let variant = words.get(2).copied().unwrap_or_default();
    let platform = format!(
        r#","platform":{{"os":"{}","architecture":"{}","variant":"{variant}"}}"#,
        words[0], words[1]
    );
    entry(name, media_type::OCI_MANIFEST, &platform)
}

fn index(entries: &[String]) -> Document<Index> {
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    Document::parse(text.into_bytes(), Some(media_type::OCI_INDEX)).unwrap()
}

fn manifest_text(config_type: &str) -> String {
    let config = entry("config", config_type, "");
    let layer = entry("layer", "application/vnd.oci.image.layer.v1.tar+gzip", "");
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#)
}

fn search(platform: &str, index: &Document<Index>) -> Result<Step, DocumentError> {
    let platform: Platform = platform.parse().unwrap();
    Search::new(platform, index.digest(), index.parsed()).step()
}

#[track_caller]
fn check_found(platform: &str, index: &Document<Index>, expected: &str) {
    match search(platform, index).unwrap() {
        Step::Found(found) => assert_eq!(found.digest, digest(expected)),
        Step::Descend(other) => panic!("descends into {other:?}"),
    }
}

#[test]
fn a_manifest_keeps_its_bytes_and_digest() {
    let text = manifest_text(media_type::OCI_CONFIG);
    let document = Document::<Manifest>::parse(text.clone().into_bytes(), None).unwrap();
    assert_eq!(document.bytes(), text.as_bytes());
    assert_eq!(document.digest(), Digest::of(&text));
    assert_eq!(document.parsed().kind, Kind::OciManifest);
    assert_eq!(document.parsed().layers[0].digest, digest("layer"));
}

#[test]
fn a_document_agrees_with_its_descriptor() {
    let bytes = manifest_text(media_type::OCI_CONFIG).into_bytes();
    let right = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(&bytes), bytes.len() as u64);
    assert!(Document::<Manifest>::verify(bytes.clone(), &right).is_ok());
    let other_digest = Descriptor { digest: digest("x"), ..right.clone() };
    let error = Document::<Manifest>::verify(bytes.clone(), &other_digest).unwrap_err();
    assert!(matches!(error, DocumentError::Digest { expected, .. } if expected == digest("x")));
    let shorter = Descriptor { size: 1, ..right.clone() };
    let error = Document::<Manifest>::verify(bytes.clone(), &shorter).unwrap_err();
    assert!(matches!(error, DocumentError::Size { expected: 1, .. }));
    let docker = Descriptor { media_type: media_type::DOCKER_MANIFEST.into(), ..right.clone() };
    assert!(Document::<Manifest>::verify(bytes.clone(), &docker).is_ok(), "it does not say");
    let list = Descriptor { media_type: media_type::OCI_INDEX.into(), ..right.clone() };
    let error = Document::<Root>::verify(bytes.clone(), &list).unwrap_err();
    assert!(matches!(error, DocumentError::MediaType { .. }));
    let huge = Descriptor { size: MANIFEST_BYTES_MAX + 1, ..right };
    let error = Document::<Manifest>::verify(bytes, &huge).unwrap_err();
    assert!(matches!(error, DocumentError::TooLarge { .. }));
}

#[test]
fn each_kind_is_recognised() {
    let said = |media_type: &str, rest: &str| format!(r#"{{"mediaType":"{media_type}",{rest}}}"#);
    let config = |media_type| format!(r#""config":{},"layers":[]"#, entry("c", media_type, ""));
    for (text, expected) in [
        (r#"{"manifests":[]}"#.to_owned(), Kind::OciIndex),
        (said(media_type::DOCKER_LIST, r#""manifests":[]"#), Kind::DockerList),
        (manifest_text(media_type::OCI_CONFIG), Kind::OciManifest),
        (
            said(media_type::DOCKER_MANIFEST, &config(media_type::DOCKER_CONFIG)),
            Kind::DockerManifest,
        ),
    ] {
        assert_eq!(Kind::of(text.as_bytes(), None).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_could_be_understood_differently_is_refused() {
    let of = |text: &str, announced| Kind::of(text.as_bytes(), announced).unwrap_err();
    let both = r#"{"manifests":[],"layers":[]}"#;
    assert!(matches!(of(both, None), DocumentError::Ambiguous));
    let lying = format!(r#"{{"mediaType":"{}","layers":[]}}"#, media_type::OCI_INDEX);
    assert!(matches!(of(&lying, None), DocumentError::MediaType { .. }));
    let other = format!(r#"{{"mediaType":"{}","layers":[]}}"#, media_type::OCI_MANIFEST);
    let announced = Some(media_type::DOCKER_MANIFEST);
    assert!(matches!(of(&other, announced), DocumentError::MediaType { .. }));
    let html = Some("text/html");
    assert!(matches!(of(&other, html), DocumentError::MediaType { .. }));
}

#[test]
fn schema_1_and_artifacts_are_refused_by_name() {
    let of = |text: &str| Document::<Root>::parse(text.as_bytes().to_vec(), None).unwrap_err();
    assert!(matches!(of(r#"{"schemaVersion":1,"fsLayers":[]}"#), DocumentError::SchemaOne));
    let chart = "application/vnd.cncf.helm.config.v1+json";
    assert!(matches!(of(&manifest_text(chart)), DocumentError::Artifact(name) if name == chart));
    assert!(matches!(of(r#"{"schemaVersion":2}"#), DocumentError::Unknown));
}

#[test]
fn a_wrong_digest_never_becomes_a_digest() {
    let text = r#"{"manifests":[{"mediaType":"x","digest":"sha256:../../etc/passwd","size":1}]}"#;
    let error = Document::<Index>::parse(text.as_bytes().to_vec(), None).unwrap_err();
    assert!(matches!(error, DocumentError::WrongDigest { .. }));
    let text = r#"{"rootfs":{"diff_ids":["md5:zz"]}}"#;
    let error = Document::<ImageConfig>::parse(text.as_bytes().to_vec(), None).unwrap_err();
    assert!(matches!(error, DocumentError::WrongDigest { field: "rootfs.diff_ids", .. }));
}

#[test]
fn the_config_is_read_as_go_writes_it() {
    let text = format!(
        r#"{{"os":"linux","architecture":"arm64","config":{{"Env":["A=b"],"Cmd":null,"Labels":null,
        "ExposedPorts":{{"80/tcp":{{}}}},"Entrypoint":["/bin/x"],"StopSignal":""}},
        "rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[]}}"#,
        digest("tar")
    );
    let document = Document::<ImageConfig>::parse(text.into_bytes(), None).unwrap();
    let config = document.parsed();
    assert_eq!((config.env.len(), config.cmd.len()), (1, 0));
    assert_eq!(
        (&config.exposed_ports[..], &config.stop_signal),
        (&["80/tcp".to_owned()][..], &None)
    );
    let check = |platform: &str| config.check_platform(&platform.parse().unwrap());
    assert!(check("linux/arm64").is_ok() && check("linux/arm64/v9").is_ok());
    assert!(matches!(check("linux/amd64").unwrap_err(), DocumentError::PlatformMismatch { .. }));
    let manifest = manifest_text(media_type::OCI_CONFIG).into_bytes();
    let mut manifest = Document::<Manifest>::parse(manifest, None).unwrap().parsed().clone();
    assert!(check_layers(&manifest, config).is_ok());
    manifest.layers.clear();
    let error = check_layers(&manifest, config).unwrap_err();
    assert!(matches!(error, DocumentError::LayerCount { layers: 0, diff_ids: 1 }));
}

#[test]
fn the_best_variant_wins_and_then_the_first() {
    let index = index(&[
        image("old", "linux/arm/v6"),
        image("new", "linux/arm/v7"),
        image("again", "linux/arm/v7"),
        image("amd64", "linux/amd64"),
    ]);
    check_found("linux/arm/v7", &index, "new");
    check_found("linux/arm/v8", &index, "new");
    check_found("linux/arm/v6", &index, "old");
    check_found("linux/amd64/v3", &index, "amd64");
    let error = search("linux/s390x", &index).unwrap_err().to_string();
    assert_eq!(error, "no image for linux/s390x; there is linux/amd64, linux/arm/v6, linux/arm/v7");
}

#[test]
fn attestations_are_skipped_and_a_lone_image_needs_no_platform() {
    let attestation = r#","platform":{"os":"unknown","architecture":"unknown"}"#;
    let index = index(&[
        entry("attestation", media_type::OCI_MANIFEST, attestation),
        entry("image", media_type::OCI_MANIFEST, ""),
    ]);
    check_found("linux/amd64", &index, "image");
    assert_eq!(index.parsed().platforms(), []);
}

#[test]
fn nested_indexes_are_searched_to_a_depth_and_never_twice() {
    let level = |name: &str| index(&[entry(name, media_type::OCI_INDEX, "")]);
    let amd64: Platform = "linux/amd64".parse().unwrap();
    let top = level("0");
    let mut search = Search::new(amd64.clone(), top.digest(), top.parsed());
    for depth in 1..INDEX_DEPTH_MAX {
        assert!(matches!(search.step().unwrap(), Step::Descend(_)));
        search.enter(level(&depth.to_string()).parsed());
    }
    assert!(matches!(search.step().unwrap_err(), DocumentError::TooDeep(_)));

    let mut search = Search::new(amd64, top.digest(), top.parsed());
    assert!(matches!(search.step().unwrap(), Step::Descend(_)));
    search.enter(level("0").parsed());
    assert!(matches!(search.step().unwrap_err(), DocumentError::NoPlatform { .. }));
}
