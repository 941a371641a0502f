use super::*;
use crate::oci::reference::error::{HOST_BYTES_MAX, TAG_BYTES_MAX};

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[track_caller]
fn check(text: &str, canonical: &str) {
    let reference: Reference = text.parse().unwrap();
    assert_eq!(reference.to_string(), canonical);
    assert_eq!(canonical.parse(), Ok(reference), "{canonical} reads as the same reference");
}

#[track_caller]
fn refused(text: &str, problem: ReferenceProblem, offset: usize) {
    let error = text.parse::<Reference>().unwrap_err();
    assert_eq!((error.problem(), error.offset()), (problem, offset), "{text}: {error}");
}

#[test]
fn short_names_are_docker_hubs() {
    check("alpine", "docker.io/library/alpine");
    check("alpine:3.20", "docker.io/library/alpine:3.20");
    check("grafana/grafana", "docker.io/grafana/grafana");
    check("docker.io/alpine", "docker.io/library/alpine");
    check("index.docker.io/library/alpine:3", "docker.io/library/alpine:3");
    check("a/b/c", "docker.io/a/b/c");
    check("localhost", "docker.io/library/localhost");
    check("localhost:5000", "docker.io/library/localhost:5000");
    check("foo_bar.com:8080", "docker.io/library/foo_bar.com:8080");
}

#[test]
fn registries_are_told_from_namespaces_as_docker_does() {
    check("localhost/x", "localhost/x");
    check("localhost:5000/x:y", "localhost:5000/x:y");
    check("ghcr.io/acme/tool:1.4", "ghcr.io/acme/tool:1.4");
    check("127.0.0.1:5000/x", "127.0.0.1:5000/x");
    check("[2001:db8::1]:5000/x:y", "[2001:db8::1]:5000/x:y");
    check("[::1]/x", "[::1]/x");
    check("Registry/x", "Registry/x");
    check("test:5000/repo", "test:5000/repo");
    check("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com");
}

#[test]
fn a_digest_stands_with_or_without_a_tag() {
    check(&format!("alpine@{DIGEST}"), &format!("docker.io/library/alpine@{DIGEST}"));
    let text = format!("docker.io/library/alpine:3.20@{DIGEST}");
    check(&text, &text);
    let pinned: Reference = text.parse().unwrap();
    let tagged: Reference = "alpine:3.20".parse().unwrap();
    assert_eq!(tagged.with_digest(DIGEST.parse().unwrap()), pinned);
}

#[test]
fn latest_is_added_only_where_nothing_else_is_said() {
    let latest = |text: &str| text.parse::<Reference>().unwrap().or_latest().to_string();
    assert_eq!(latest("alpine"), "docker.io/library/alpine:latest");
    assert_eq!(latest("alpine:3"), "docker.io/library/alpine:3");
    assert_eq!(latest(&format!("a@{DIGEST}")), format!("docker.io/library/a@{DIGEST}"));
}

#[test]
fn another_default_registry_has_no_official_namespace() {
    let parse = |text, registry| Reference::parse(text, registry).unwrap().to_string();
    assert_eq!(parse("tool:1", "ghcr.io"), "ghcr.io/tool:1");
    assert_eq!(parse("acme/tool", "localhost:5000"), "localhost:5000/acme/tool");
    assert_eq!(parse("alpine", "index.docker.io"), "docker.io/library/alpine");
    assert_eq!(parse("docker.io/alpine", "ghcr.io"), "docker.io/library/alpine");
}

#[test]
fn separators_join_words_and_nothing_else() {
    for name in ["a.b", "a_b", "a__b", "a-b", "a---b", "0/1", "a/b-c__d.e"] {
        check(&format!("r.io/{name}"), &format!("r.io/{name}"));
    }
    refused("r.io/a___b", ReferenceProblem::Repository, 8);
    refused("r.io/a..b", ReferenceProblem::Repository, 7);
    refused("r.io/a-", ReferenceProblem::Repository, 7);
    refused("r.io/-a", ReferenceProblem::Repository, 5);
    refused("r.io/a//b", ReferenceProblem::Repository, 7);
    refused("r.io/a/", ReferenceProblem::Repository, 7);
    refused("/a", ReferenceProblem::Repository, 0);
    refused("a/../b", ReferenceProblem::Repository, 2);
    refused("a b", ReferenceProblem::Repository, 1);
    refused("é", ReferenceProblem::Repository, 0);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    refused("", ReferenceProblem::Empty, 0);
    refused("r.io/", ReferenceProblem::Empty, 5);
    refused(":tag", ReferenceProblem::Empty, 0);
    refused(&"a".repeat(64), ReferenceProblem::ImageId, 0);
    refused("acme/Tool", ReferenceProblem::UpperCase, 5);
    refused("Alpine", ReferenceProblem::UpperCase, 0);
    refused("-r.io/a", ReferenceProblem::Host, 0);
    refused("r-.io/a", ReferenceProblem::Host, 1);
    refused("foo_bar.com/a", ReferenceProblem::Host, 3);
    refused("r..io/a", ReferenceProblem::Host, 2);
    refused("[::1/a", ReferenceProblem::Host, 0);
    refused("[::1%eth0]/a.", ReferenceProblem::Host, 1);
    refused("[::1]x/a", ReferenceProblem::Host, 5);
    refused("https://r.io/a", ReferenceProblem::Scheme, 5);
    refused("r.io:/a", ReferenceProblem::Port, 5);
    refused("r.io:+1/a", ReferenceProblem::Port, 5);
    refused("r.io:65536/a", ReferenceProblem::Port, 5);
    refused("a:", ReferenceProblem::Tag, 2);
    refused("a:.x", ReferenceProblem::Tag, 2);
    refused("a:b:c", ReferenceProblem::Tag, 3);
    refused("a@", ReferenceProblem::Digest, 2);
    refused("a@md5:00", ReferenceProblem::Digest, 2);
    refused(&format!("a@{}", &DIGEST[..70]), ReferenceProblem::Digest, 2);
    refused(&format!("a@{DIGEST}@{DIGEST}"), ReferenceProblem::Digest, 2);
}

#[test]
fn lengths_are_limited() {
    let tag = "t".repeat(TAG_BYTES_MAX);
    check(&format!("r.io/a:{tag}"), &format!("r.io/a:{tag}"));
    refused(&format!("a:{tag}t"), ReferenceProblem::TagTooLong, 2 + TAG_BYTES_MAX);
    let name = "a".repeat(REPOSITORY_BYTES_MAX);
    check(&format!("r.io/{name}"), &format!("r.io/{name}"));
    refused(&format!("r.io/{name}a"), ReferenceProblem::RepositoryTooLong, 5);
    let host = format!("{}.io", "h".repeat(HOST_BYTES_MAX));
    refused(&format!("{host}/a"), ReferenceProblem::HostTooLong, HOST_BYTES_MAX);
}

#[test]
fn a_scope_holds_whole_components() {
    let image: Reference = "ghcr.io/acme/tool:1".parse().unwrap();
    for scope in ["ghcr.io", "ghcr.io/acme", "ghcr.io/acme/tool"] {
        assert!(image.is_within(scope), "{scope}");
    }
    for scope in ["ghcr.i", "docker.io", "ghcr.io/ac", "ghcr.io/acme/tool/x"] {
        assert!(!image.is_within(scope), "{scope}");
    }
}
