//! HEAD, which is asked first where only a digest is wanted, and on which nothing depends.

use sandbox_images::registry::Registry;

use crate::support::pull::put_image;
use crate::support::registry::TestRegistry;
use crate::support::registry::fault::{Effect, Fault};

fn answer(status: u16) -> Effect {
    Effect::Answer(status, Vec::new(), Vec::new())
}

fn digest(value: &str) -> Effect {
    Effect::Header("docker-content-digest", value.to_owned())
}

#[tokio::test]
async fn a_refused_or_useless_head_is_followed_by_a_get() {
    for (what, head) in [
        ("405", answer(405)),
        ("401 without a challenge", answer(401)),
        ("403", answer(403)),
        ("404 of a registry that serves it to GET", answer(404)),
        ("no digest and no length", Effect::NoHeader("content-length")),
        ("no digest", answer(200)),
        ("a digest that is none", digest("sha256:abc")),
        ("a digest in upper case", digest(&format!("sha256:{}", "A".repeat(64)))),
        ("a digest of another kind", digest(&format!("sha512:{}", "0".repeat(128)))),
        ("an empty digest", digest("")),
        ("a closed connection", Effect::Reset),
    ] {
        let registry = TestRegistry::start();
        let parts = put_image(&registry);
        registry.fault(Fault::on("/manifests/", head).method("HEAD"));
        let reference = format!("{}/acme/tool:1", registry.host()).parse().expect("a reference");
        let found = Registry::new(super::scene::plain(&registry)).digest(&reference).await;
        assert_eq!(found.unwrap(), parts.index, "{what}");
        let methods: Vec<_> = registry.requests().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, ["HEAD", "GET"], "{what}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_after_head_is_what_it_is_when_it_is_fetched() {
    let registry = TestRegistry::start();
    let parts = put_image(&registry);
    let old = parts.manifest.to_string();
    registry.fault(Fault::on("/manifests/1", digest(&old)).method("HEAD"));
    let client = Registry::new(super::scene::plain(&registry));
    let tagged = format!("{}/acme/tool:1", registry.host()).parse().expect("a reference");
    assert_eq!(client.digest(&tagged).await.unwrap().to_string(), old);
    assert_eq!(client.resolve(&tagged).await.unwrap().digest(), parts.index);
    let pinned = tagged.with_digest(parts.manifest);
    assert_eq!(client.resolve(&pinned).await.unwrap().digest(), parts.manifest);
}
