//! Manifests, indexes and configs as registries serve them.

use sandbox_images::oci::document::Root;
use sandbox_images::oci::document::config::ImageConfig;
use sandbox_images::oci::document::error::DocumentError;
use sandbox_images::oci::document::kind::Kind;
use sandbox_images::oci::document::manifest::Manifest;
use sandbox_images::oci::document::media_type;
use sandbox_images::oci::document::search::{Search, Step};
use sandbox_images::registry::error::ErrorKind;

use super::*;
use crate::support::registry::OCI_INDEX;
use crate::support::registry::fault::{Effect, Fault};

#[tokio::test]
async fn an_image_is_found_through_its_index() {
    let registry = TestRegistry::start();
    let manifest = put_image(&registry);
    let size = registry_manifest_size(&registry).await;
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}",
        "digest":"{manifest}","size":{size},"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#
    );
    let index = registry.put_manifest("acme/tool", "multi", OCI_INDEX, index);

    let client = client();
    let reference = reference(&registry, "acme/tool:multi");
    let root = client.resolve(&reference).await.unwrap();
    assert_eq!(root.digest(), index);
    assert_eq!(root.parsed().kind().media_type(), OCI_INDEX);
    let Root::Index(parsed) = root.parsed() else { panic!("not an index") };
    let mut search = Search::new("linux/amd64".parse().unwrap(), root.digest(), parsed);
    let Step::Found(found) = search.step().unwrap() else { panic!("not found") };
    let manifest = client.fetch_document::<Manifest>(&reference, &found).await.unwrap();
    let config = &manifest.parsed().config;
    let config = client.fetch_document::<ImageConfig>(&reference, config).await.unwrap();
    assert_eq!(config.parsed().architecture, "amd64");
    assert!(registry.requests().last().unwrap().path.contains("/blobs/"));
}

async fn registry_manifest_size(registry: &TestRegistry) -> u64 {
    let found = client().resolve(&reference(registry, "acme/tool:1")).await.expect("an image");
    found.size()
}

#[tokio::test]
async fn docker_media_types_are_understood() {
    let registry = TestRegistry::start();
    let digest = Digest::of("x");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{digest}","size":1}},
        "layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{digest}","size":1}}]}}"#,
        media_type::DOCKER_MANIFEST,
        media_type::DOCKER_CONFIG
    );
    registry.put_manifest("acme/tool", "1", media_type::DOCKER_MANIFEST, manifest);
    let found = client().resolve(&reference(&registry, "acme/tool:1")).await.unwrap();
    assert_eq!(found.parsed().kind(), Kind::DockerManifest);
}

#[tokio::test]
async fn a_manifest_with_other_bytes_is_fetched_once_more_and_then_refused() {
    let registry = TestRegistry::start();
    let digest = put_image(&registry);
    let pinned = reference(&registry, "acme/tool").with_digest(digest);
    registry.fault(Fault::on("/manifests/", Effect::FlipAt(20)).first(1));
    client().resolve(&pinned).await.unwrap();
    assert_eq!(registry.requests_to("/manifests/").len(), 2);

    registry.clear_requests();
    registry.fault(Fault::on("/manifests/", Effect::FlipAt(20)));
    let error = client().resolve(&pinned).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(shown(&error).contains(&format!("instead of `{digest}`")), "{}", shown(&error));
    assert_eq!(registry.requests_to("/manifests/").len(), 2);
}

#[tokio::test]
async fn an_endless_manifest_is_stopped() {
    let registry = TestRegistry::start();
    put_image(&registry);
    registry.fault(Fault::on("/manifests/", Effect::Endless));
    let error = client().resolve(&reference(&registry, "acme/tool:1")).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { limit: 4_194_304, .. }), "{error}");
}

#[tokio::test]
async fn a_page_for_a_browser_is_not_a_manifest() {
    let registry = TestRegistry::start();
    let page =
        Effect::Answer(200, vec![("content-type", "text/html".to_owned())], b"<html>".to_vec());
    registry.fault(Fault::on("/manifests/", page));
    let error = client().resolve(&reference(&registry, "acme/tool:1")).await.unwrap_err();
    let Error::Document { source, .. } = error else { panic!("another error") };
    assert!(matches!(*source, DocumentError::Json(_)));
}

#[tokio::test]
async fn a_digest_is_had_without_the_manifest_where_head_is_answered() {
    let registry = TestRegistry::start();
    let digest = put_image(&registry);
    let head =
        || Fault::on("/manifests/", Effect::Header("docker-content-digest", digest.to_string()));
    registry.fault(head().method("HEAD"));
    let reference = reference(&registry, "acme/tool:1");
    assert_eq!(client().digest(&reference).await.unwrap(), digest);
    assert_eq!(registry.requests_to("/manifests/").len(), 1);

    registry.clear_faults();
    registry.fault(
        Fault::on("/manifests/", Effect::Answer(405, Vec::new(), Vec::new())).method("HEAD"),
    );
    assert_eq!(client().digest(&reference).await.unwrap(), digest);
}
