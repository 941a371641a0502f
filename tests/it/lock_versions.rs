//! Locks that are out there stay readable. The files under `tests/data/locks` are never written anew: their
//! sums were made by another program, from the description in `docs/lockfile.md`.

use sandbox_images::spec::lockfile::Lock;

const V1: &str = include_str!("../data/locks/v1.lock");

/// With digests of artifacts in all blocks.
const V1_ARTIFACTS: &str = include_str!("../data/locks/v1-artifacts.lock");

#[test]
fn version_1_is_read_and_written_back_byte_for_byte() {
    let lock = Lock::parse(V1).unwrap();
    let names: Vec<&str> = lock.images().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alpine", "py.tool"]);
    assert!(names.iter().all(|name| lock.is_consistent(name)));
    assert_eq!(lock.artifact_format(), Some(1));
    assert_eq!(lock.render(), V1);
}

#[test]
fn a_lock_with_the_digests_of_all_artifacts_is_read_and_written_back() {
    let lock = Lock::parse(V1_ARTIFACTS).unwrap();
    assert!(lock.images().all(|(name, _)| lock.is_consistent(name.as_str())));
    assert_eq!(lock.artifact_format(), Some(1));
    assert!(lock.without_artifact_digests().is_empty());
    assert_eq!(lock.render(), V1_ARTIFACTS);
}

#[test]
fn a_checkout_with_other_line_ends_is_the_same_lock() {
    let lock = Lock::parse(&V1.replace('\n', "\r\n")).unwrap();
    assert!(lock.images().all(|(name, _)| lock.is_consistent(name.as_str())));
    assert_eq!(lock.render(), V1);
}

#[test]
fn the_example_of_the_documentation_is_a_lock_in_canonical_form() {
    let page = include_str!("../../docs/lockfile.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let lock = Lock::parse(example).unwrap();
    assert!(lock.is_consistent("alpine"));
    assert_eq!(lock.render(), example);
}
