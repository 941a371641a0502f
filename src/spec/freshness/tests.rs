use super::*;
use crate::oci::digest::Digest;
use crate::oci::document::kind::Kind;
use crate::oci::reference::Reference;
use crate::spec::lockfile::{LockedDocument, LockedPlatform};

/// A lock as a good registry would make it for `toml`.
fn locked(toml: &str) -> Lock {
    let set = ImageSet::parse(toml).unwrap();
    let document = LockedDocument { digest: Digest::of("document"), size: 8 };
    let platform =
        LockedPlatform { manifest: document, config: document, fsmeta: None, layers: Vec::new() };
    let mut lock = Lock::new();
    for (name, wanted) in set.images {
        let given = wanted.source.reference().and_then(Reference::digest);
        let image = LockedImage {
            source: wanted.source,
            digest: given.unwrap_or(document.digest),
            media_type: Kind::OciIndex,
            size: 8,
            absent_platforms: BTreeSet::new(),
            platforms: wanted.platforms.into_iter().map(|name| (name, platform.clone())).collect(),
        };
        lock.insert(name, image);
    }
    Lock::parse(&lock.render()).unwrap()
}

/// Checks the reasons why `lock` does not satisfy `toml`: reason, image, what its span covers in the toml.
#[track_caller]
fn check_reasons(toml: &str, lock: &Lock, expected: &[(&str, &str, &str)]) {
    let stale = check(&ImageSet::parse(toml).unwrap(), LockState::Present(lock));
    let reasons: Vec<_> = stale
        .iter()
        .map(|stale| {
            let image = stale.image.as_ref().map_or("", ImageName::as_str);
            let place = stale.set_span.clone().map_or("", |span| &toml[span]);
            (stale.reason.as_str(), image, place)
        })
        .collect();
    assert_eq!(reasons, expected);
}

#[test]
fn a_lock_satisfies_what_it_was_made_for() {
    for toml in [
        "",
        "images.a = 'alpine'",
        "images.a = 'oci:x:y'\nimages.b = { image = 'b', platforms = ['linux/arm/v6'] }",
    ] {
        check_reasons(toml, &locked(toml), &[]);
    }
}

#[test]
fn names_of_the_same_source_are_the_same() {
    check_reasons(
        "images.a = 'index.docker.io/library/alpine:latest'",
        &locked("images.a = 'alpine'"),
        &[],
    );
    let toml = "defaults.registry = 'ghcr.io'\nimages.a = 'alpine'";
    check_reasons(toml, &locked("images.a = 'alpine'"), &[("source-changed", "a", "'alpine'")]);
}

#[test]
fn images_are_added_removed_and_changed() {
    let lock = locked("images = { gone = 'a', moved = 'b:1', same = 'c' }");
    let toml = "images = { moved = 'b:2', new = 'd', same = 'c' }";
    check_reasons(
        toml,
        &lock,
        &[("removed", "gone", ""), ("source-changed", "moved", "'b:2'"), ("added", "new", "'d'")],
    );
}

#[test]
fn platforms_are_added_and_removed() {
    let lock = locked("images.a = { image = 'a', platforms = ['linux/amd64', 'linux/arm/v6'] }");
    let toml = "images.a = { image = 'a', platforms = ['linux/amd64', 'linux/arm64'] }";
    let place = "['linux/amd64', 'linux/arm64']";
    let expected = [("platform-added", "a", place), ("platform-removed", "a", place)];
    check_reasons(toml, &lock, &expected);
    let toml = "defaults.platforms = ['linux/amd64']\nimages.a = 'a'";
    check_reasons(toml, &lock, &[("platform-removed", "a", "'a'")]);
}

#[test]
fn a_default_platform_that_an_image_lacks_is_not_looked_for_again() {
    let mut lock = locked("images.a = { image = 'a', platforms = ['linux/amd64'] }");
    let mut image = lock.remove("a").unwrap();
    image.absent_platforms.insert("linux/arm64".parse().unwrap());
    lock.insert("a".parse().unwrap(), image);
    check_reasons("images.a = 'a'", &lock, &[]);
    let named = "images.a = { image = 'a', platforms = ['linux/amd64', 'linux/arm64'] }";
    check_reasons(named, &lock, &[("platform-added", "a", "['linux/amd64', 'linux/arm64']")]);
    let fewer = "images.a = { image = 'a', platforms = ['linux/amd64'] }";
    check_reasons(fewer, &lock, &[("platform-removed", "a", "['linux/amd64']")]);
}

#[test]
fn an_edited_block_is_inconsistent() {
    let toml = "images.a = 'a'";
    let text = locked(toml).render();
    let digest = Digest::of("document").to_string();
    let edited = text.replacen(&digest, &Digest::of("other").to_string(), 1);
    check_reasons(toml, &Lock::parse(&edited).unwrap(), &[("inconsistent-block", "a", "'a'")]);
}

#[test]
fn a_given_digest_is_the_locked_digest() {
    let toml = format!("images.a = 'a:1@{}'", Digest::of("given"));
    let mut lock = locked(&toml);
    check_reasons(&toml, &lock, &[]);
    let mut image = lock.remove("a").unwrap();
    image.digest = Digest::of("other");
    lock.insert("a".parse().unwrap(), image);
    let place = toml.split_once(" = ").unwrap().1;
    check_reasons(&toml, &lock, &[("inconsistent-block", "a", place)]);
}

#[test]
fn a_newer_revision_matters_only_where_the_lock_must_change() {
    let newer = locked("images.a = 'a'").render().replace("revision = 0", "revision = 9");
    let newer = Lock::parse(&newer).unwrap();
    check_reasons("images.a = 'a'", &newer, &[]);
    check_reasons("", &newer, &[("newer-revision", "", ""), ("removed", "a", "")]);
    let stale = check(&ImageSet::default(), LockState::Present(&newer));
    assert!(!is_fixable_offline(&stale));
}

#[test]
fn without_a_lock_every_image_is_to_be_resolved() {
    let set = ImageSet::parse("images = { a = 'a', b = 'oci:b' }").unwrap();
    let stale = check(&set, LockState::Missing);
    assert_eq!(stale[0].reason, Reason::MissingLock);
    assert_eq!(to_resolve(&stale).len(), 2);
    assert!(!is_fixable_offline(&stale));
    assert!(is_fixable_offline(&check(&ImageSet::default(), LockState::Missing)));
}

#[test]
fn a_merges_markers_are_told_before_the_differences_that_remain() {
    let lock = locked("images = { a = 'a:1', b = 'b', c = 'c' }");
    let moved_twice = ["c".parse().unwrap()].into();
    let settled = Settled { lock, moved_twice, marker: 3..10 };
    let set = ImageSet::parse("images = { a = 'a:2', c = 'c' }").unwrap();
    let stale = check(&set, LockState::Conflicted(&settled));
    let reasons: Vec<_> = stale.iter().map(|stale| stale.reason.as_str()).collect();
    assert_eq!(reasons, ["conflict-markers", "conflict-markers", "source-changed", "removed"]);
    assert_eq!((&stale[0].image, &stale[1].image), (&None, &Some("c".parse().unwrap())));
    assert_eq!(to_resolve(&stale), [&"a".parse().unwrap()].into());
    let found = diagnostic(&stale, 3).unwrap();
    assert_eq!((found.code, found.span, found.others.len()), ("conflict-markers", Some(3..10), 1));
}

#[test]
fn what_is_fixable_offline_is_known() {
    let lock = locked("images = { a = 'a', b = 'oci:b' }");
    let stale = |toml: &str| check(&ImageSet::parse(toml).unwrap(), LockState::Present(&lock));
    let removed = stale("images.b = 'oci:b'");
    assert!(is_fixable_offline(&removed) && to_resolve(&removed).is_empty());
    let local = stale("images = { a = 'a', b = 'oci:b:v2' }");
    assert!(is_fixable_offline(&local));
    assert_eq!(to_resolve(&local), [&"b".parse().unwrap()].into());
    assert!(!is_fixable_offline(&stale("images = { a = 'a:2', b = 'oci:b' }")));
}

#[test]
fn the_diagnostic_counts_points_and_says_what_to_do() {
    let lock = locked("images = { a = 'a:1', b = 'b', c = 'c' }");
    let toml = "images = { a = 'a:2', b = 'b' }";
    let stale = check(&ImageSet::parse(toml).unwrap(), LockState::Present(&lock));
    let found = diagnostic(&stale, lock.images().len()).unwrap();
    assert_eq!(found.code, "lock-stale");
    assert_eq!(
        found.message,
        "sandbox-images.lock does not match sandbox-images.toml (2 differences)"
    );
    assert_eq!((found.file, &toml[found.span.unwrap()]), (Source::ImageSet, "'a:2'"));
    assert_eq!(found.label.unwrap(), "locked for docker.io/library/a:1");
    let [other] = &found.others[..] else { panic!("{:?}", found.others) };
    assert_eq!((other.file, &lock.render()[other.span.clone()]), (Source::Lock, "c"));
    assert_eq!(
        found.help.unwrap(),
        "run `sandbox-images lock` and commit the result (the pin of 1 other image stays as it is)"
    );
    assert_eq!(diagnostic(&[], 3), None);
    let missing = check(&ImageSet::default(), LockState::Missing);
    assert_eq!(diagnostic(&missing, 0).unwrap().code, "missing-lock");
}

#[test]
fn a_difference_in_json_has_stable_names() {
    let stale =
        check(&ImageSet::parse("images.a = 'a'").unwrap(), LockState::Present(&Lock::new()));
    assert_eq!(
        serde_json::to_string(&stale).unwrap(),
        r#"[{"reason":"added","image":"a","platform":null,"text":"image `a` is not locked","needs":"network","image_set_range":{"start":11,"end":14},"lock_range":null}]"#
    );
}
