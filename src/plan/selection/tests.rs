use super::*;
use crate::oci::digest::Digest;
use crate::oci::document::kind::Kind;
use crate::spec::lockfile::{LockedDocument, LockedPlatform};
use crate::spec::source::ImageSource;

/// `plain` has no group, `tool` is in `ci`, `docs` in `dev`, `both` in both; `default` is the default groups.
fn set(default: &str) -> ImageSet {
    let text = format!(
        "groups.default = [{default}]
        images.plain = 'a'
        images.tool = {{ image = 'a', groups = ['ci'] }}
        images.docs = {{ image = 'a', groups = ['dev'] }}
        images.both = {{ image = 'a', groups = ['ci', 'dev'] }}"
    );
    ImageSet::parse(&text).unwrap()
}

fn lock(images: &[(&str, &[&str])]) -> Lock {
    let document = LockedDocument { digest: Digest::of(""), size: 0 };
    let platform =
        LockedPlatform { manifest: document, config: document, fsmeta: None, layers: Vec::new() };
    let mut lock = Lock::new();
    for (name, platforms) in images {
        let platforms = platforms.iter().map(|name| (name.parse().unwrap(), platform.clone()));
        let image = LockedImage {
            source: ImageSource::parse("a", "docker.io").unwrap(),
            digest: document.digest,
            media_type: Kind::OciIndex,
            size: 0,
            absent_platforms: BTreeSet::new(),
            platforms: platforms.collect(),
        };
        lock.insert(name.parse().unwrap(), image);
    }
    lock
}

fn complete() -> Lock {
    let platforms: &[&str] = &["linux/amd64", "linux/arm64"];
    lock(&["plain", "tool", "docs", "both"].map(|name| (name, platforms)))
}

fn request() -> SelectionRequest {
    SelectionRequest::default_for("linux/amd64".parse().unwrap())
}

fn named(groups: &[&str], images: &[&str]) -> SelectionRequest {
    SelectionRequest {
        groups: match groups {
            [] => GroupChoice::Default,
            groups => GroupChoice::Named(groups.iter().map(|name| name.parse().unwrap()).collect()),
        },
        images: images.iter().map(|name| name.parse().unwrap()).collect(),
        ..request()
    }
}

#[track_caller]
fn check(default: &str, request: &SelectionRequest, expected: &[&str]) {
    let selection = select(Some(&set(default)), &complete(), request).unwrap();
    let names: Vec<&str> = selection.images.keys().map(ImageName::as_str).collect();
    assert_eq!(names, expected);
}

#[test]
fn images_without_a_group_are_always_synced() {
    check("", &request(), &["plain"]);
    check("'ci'", &request(), &["both", "plain", "tool"]);
    check("'ci'", &named(&["dev"], &[]), &["both", "docs", "plain"]);
    let all = SelectionRequest { groups: GroupChoice::All, ..request() };
    check("", &all, &["both", "docs", "plain", "tool"]);
}

#[test]
fn named_images_come_alone_or_with_named_groups() {
    check("'ci'", &named(&[], &["docs"]), &["docs"]);
    check("'ci'", &named(&["ci"], &["docs"]), &["both", "docs", "tool"]);
}

#[test]
fn without_an_image_set_all_locked_images_are_wanted() {
    let selection = select(None, &complete(), &request()).unwrap();
    assert_eq!(selection.images.len(), 4);
    let error = select(None, &complete(), &named(&["ci"], &[])).unwrap_err();
    assert_eq!(error, SelectionError::GroupsOfLock);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let refused = |request| select(Some(&set("")), &complete(), &request).unwrap_err().to_string();
    assert_eq!(refused(named(&["x"], &[])), "no image is in group `x`, groups are: ci, dev");
    let error = refused(named(&[], &["x"]));
    assert_eq!(error, "there is no image `x`, images are: both, docs, plain, tool");
}

#[test]
fn the_hosts_platform_is_synced_or_one_whose_programs_run_on_it() {
    let lock = lock(&[("a", &["linux/amd64", "linux/arm/v6"]), ("b", &["linux/arm64"])]);
    let request = SelectionRequest::default_for("linux/arm/v7".parse().unwrap());
    let selection = select(None, &lock, &request).unwrap();
    let platform = &selection.images["a"];
    assert_eq!(platform, &["linux/arm/v6".parse().unwrap()].into());
    let [skipped] = &selection.skipped[..] else { panic!("{selection:?}") };
    assert_eq!(
        (skipped.image.as_str(), skipped.platform.to_string()),
        ("b", "linux/arm/v7".into())
    );
}

#[test]
fn a_named_image_that_is_not_locked_for_the_platform_is_an_error() {
    let lock = lock(&[("b", &["linux/arm64"])]);
    let request = named(&[], &["b"]);
    let error = select(None, &lock, &request).unwrap_err().to_string();
    assert_eq!(error, "image `b` is not locked for linux/amd64, it is for: linux/arm64");
}

#[test]
fn platforms_can_be_named_or_all() {
    let lock = complete();
    let platforms = |choice| {
        let request = SelectionRequest { platforms: choice, ..request() };
        let selection = select(None, &lock, &request).unwrap();
        selection.images["plain"].iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(platforms(PlatformChoice::All), ["linux/amd64", "linux/arm64"]);
    let arm64 = ["linux/arm64".parse().unwrap()].into();
    assert_eq!(platforms(PlatformChoice::Named(arm64)), ["linux/arm64"]);
}
