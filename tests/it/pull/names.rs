//! One image by all its names: the default registry, another one, other spellings.

use serde_json::Value;

use super::{image, names_in, pulled};
use crate::support::fixture::serve;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;

/// A registry that stands for Docker Hub, and a user whose configuration says so.
fn hub() -> (TestRegistry, Project) {
    let registry = TestRegistry::start();
    for repository in ["library/alpine", "acme/tool"] {
        serve(&registry, repository, "latest", &image());
    }
    let user = Project::new("");
    user.write_config(&format!(
        "[registries.\"docker.io\"]\nmirrors = [\"{}\"]\nfallback = false\n",
        registry.url()
    ));
    (registry, user)
}

fn source(found: &Value) -> &str {
    found["source"].as_str().unwrap()
}

#[test]
fn a_short_name_is_one_of_docker_hub() {
    let (_registry, user) = hub();
    let found = pulled(user.run(&["pull", "alpine", "--json"]));
    assert_eq!(source(&found), "docker.io/library/alpine:latest");
}

#[test]
fn names_that_differ_in_spelling_share_one_note() {
    let (registry, user) = hub();
    user.run(&["pull", "docker.io/library/alpine:latest"]).exits(0);
    let seen = registry.requests().len();
    for spelling in [
        "alpine",
        "alpine:latest",
        "library/alpine",
        "docker.io/alpine",
        "index.docker.io/alpine",
        "index.docker.io/library/alpine:latest",
    ] {
        let found = pulled(user.run(&["pull", spelling, "--policy", "never", "--json"]));
        assert_eq!(found["cached"], true, "{spelling}");
    }
    assert_eq!(registry.requests().len(), seen);
    assert_eq!(names_in(&user, "refs").len(), 1);
    assert_eq!(names_in(&user, "refs"), names_in(&user, "roots"));
    user.run(&["pull", "acme/tool"]).exits(0);
    assert_eq!(names_in(&user, "refs").len(), 2);
}

#[test]
fn the_environment_names_the_registry_of_short_names_for_pull_alone() {
    let registry = TestRegistry::start();
    serve(&registry, "alpine", "latest", &image());
    let user = Project::new("[images]\n");
    let run = |arguments: &[&str], domain: &str| {
        Ran::of(user.command(arguments).env("OCI_REGISTRY_DOMAIN", domain))
    };
    let found = pulled(run(&["pull", "alpine", "--json"], &registry.host()));
    assert_eq!(source(&found), format!("{}/alpine:latest", registry.host()));
    let added = run(&["add", "alpine", "--no-lock"], &registry.host()).exits(0);
    let text = std::fs::read_to_string(user.directory().join("sandbox-images.toml")).unwrap();
    assert!(!text.contains(&registry.host()), "{added:?} {text}");
    let wrong = run(&["pull", "alpine"], "http://registry.example").exits(2);
    assert!(wrong.stderr.contains("OCI_REGISTRY_DOMAIN"), "{wrong:?}");
}

#[test]
fn sandboxes_io_is_served_from_docker_hub_with_a_notice() {
    let (_registry, user) = hub();
    for name in ["sandboxes.io/alpine", "sandboxes.io/library/alpine:latest"] {
        let ran = user.run(&["pull", name, "--json"]);
        assert!(
            ran.stderr.contains("images of `sandboxes.io` are served from `docker.io`"),
            "{ran:?}"
        );
        assert_eq!(source(&pulled(ran)), "docker.io/library/alpine:latest");
    }
    let mut command = user.command(&["pull", "alpine", "--json"]);
    let ran = Ran::of(command.env("OCI_REGISTRY_DOMAIN", "sandboxes.io"));
    assert!(ran.stderr.contains("sandboxes.io"), "{ran:?}");
    assert_eq!(source(&pulled(ran)), "docker.io/library/alpine:latest");
}

#[test]
fn a_digest_names_an_image_whatever_its_tag_says() {
    let (registry, user) = hub();
    let digest = image().root.digest;
    for name in [format!("alpine@{digest}"), format!("alpine:gone@{digest}")] {
        let found = pulled(user.run(&["pull", &name, "--policy", "always", "--json"]));
        assert_eq!(found["digest"], digest);
    }
    assert!(registry.requests_to("/manifests/gone").is_empty());
}
