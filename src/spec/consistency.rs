//! Does a lock contradict itself.
//!
//! A digest names one content, so wherever a lock has it, it has the same size and, if it is a layer's, the
//! same `diff_id`; what is built of the same layers has the same digest; and an image without an index is its
//! manifest. Each block has a `sum` of its own, so a contradiction between two blocks, or one that was written
//! with a right sum, is found only here. Whether a block is what the registry has is not: that needs the
//! documents, and `sync` looks at them.

use std::collections::BTreeMap;

use crate::oci::digest::{DiffId, Digest};
use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::lockfile::{Lock, LockedImage, LockedLayer, LockedPlatform};
use crate::spec::name::ImageName;

/// What a lock says about the content that a digest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fact {
    size: u64,
    /// Of a layer.
    diff_id: Option<DiffId>,
}

/// Every place at which `lock` says something else than it said before, in its order.
pub fn contradictions(lock: &Lock) -> Vec<Diagnostic> {
    let mut known: BTreeMap<Digest, (Fact, &ImageName)> = BTreeMap::new();
    let mut known_built: BTreeMap<String, (Digest, &ImageName)> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, image) in lock.images() {
        for (artifact, digest) in built(image) {
            let (first, user) = *known_built.entry(artifact.clone()).or_insert((digest, name));
            if first != digest {
                let users = users(user, name);
                let message = format!("{artifact} has the digest {first} and {digest} in {users}");
                found.push(problem(lock, name, message));
            }
        }
        for (digest, fact) in facts(image) {
            let (first, user) = known.entry(digest).or_insert((fact, name));
            if let Some(text) = conflict(digest, *first, fact) {
                let message = format!("{text} in {}", users(user, name));
                found.push(problem(lock, name, message));
            }
        }
        found.extend(
            other_manifest(image).map(|text| {
                problem(lock, name, format!("image `{name}` has no index, and {text}"))
            }),
        );
    }
    // What two platforms share is wrong in both, and told once.
    found.dedup();
    found
}

fn users(first: &ImageName, other: &ImageName) -> String {
    if first == other {
        return format!("image `{first}`");
    }
    format!("images `{first}` and `{other}`")
}

/// What is built of the image, where its digest is locked.
fn built(image: &LockedImage) -> impl Iterator<Item = (String, Digest)> {
    image.platforms.values().flat_map(|locked| {
        let fsmeta = locked.fsmeta.map(|digest| (format!("fsmeta {}", locked.chain_id()), digest));
        let layer = |layer: &LockedLayer| Some((format!("layer {}", layer.diff_id), layer.erofs?));
        fsmeta.into_iter().chain(locked.layers.iter().filter_map(layer)).collect::<Vec<_>>()
    })
}

fn problem(lock: &Lock, name: &ImageName, message: String) -> Diagnostic {
    let problem = Diagnostic::error("lock-contradiction", Source::Lock, message).help(format!(
        "take `{name}` from a commit in which it was right, or remove its block and run `sandbox-images lock`"
    ));
    match lock.name_span(name.as_str()) {
        Some(span) => problem.at(span),
        None => problem,
    }
}

fn facts(image: &LockedImage) -> impl Iterator<Item = (Digest, Fact)> {
    let document = |digest, size| (digest, Fact { size, diff_id: None });
    let of_platform = move |locked: &LockedPlatform| {
        let documents =
            [locked.manifest, locked.config].map(|pinned| document(pinned.digest, pinned.size));
        let layers = locked
            .layers
            .iter()
            .map(|layer| (layer.digest, Fact { size: layer.size, diff_id: Some(layer.diff_id) }));
        documents.into_iter().chain(layers).collect::<Vec<_>>()
    };
    let root = document(image.digest, image.size);
    std::iter::once(root).chain(image.platforms.values().flat_map(of_platform))
}

fn conflict(digest: Digest, first: Fact, other: Fact) -> Option<String> {
    if first.size != other.size {
        return Some(format!("{digest} has {} bytes and {} bytes", first.size, other.size));
    }
    let (one, two) = (first.diff_id?, other.diff_id?);
    (one != two).then(|| format!("layer {digest} has the diff_id {one} and {two}"))
}

/// What is wrong with an image that is one manifest, if its platforms have another one.
fn other_manifest(image: &LockedImage) -> Option<String> {
    if image.media_type.is_index() {
        return None;
    }
    let (platform, locked) =
        image.platforms.iter().find(|(_, locked)| locked.manifest.digest != image.digest)?;
    let manifest = locked.manifest.digest;
    Some(format!("its manifest for {platform} is {manifest} and not {}", image.digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../../tests/data/locks/v1.lock");

    const ARTIFACTS: &str = include_str!("../../tests/data/locks/v1-artifacts.lock");

    #[track_caller]
    fn check(right: &str, wrong: &str, expected: &[&str]) {
        assert!(LOCK.contains(right), "{right}");
        let lock = Lock::parse(&LOCK.replacen(right, wrong, 1)).unwrap();
        let found = contradictions(&lock);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (problem, text) in found.iter().zip(expected) {
            assert!(problem.message.contains(text), "{}", problem.message);
            assert!(problem.span.is_some());
        }
    }

    #[test]
    fn a_lock_as_it_was_written_does_not_contradict_itself() {
        check("version = 1", "version = 1", &[]);
    }

    #[test]
    fn one_digest_has_one_size() {
        // The manifest of amd64 gets the digest of the config of arm64, which has another size.
        check(
            "5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51",
            "b7c9b9b3646ae0ab27a973770c4d442b9379d3b6e176402ddedfc91f71bc1321",
            &["has 1022 bytes and"],
        );
    }

    #[test]
    fn what_is_built_of_one_layer_has_one_digest() {
        let lock = Lock::parse(ARTIFACTS).unwrap();
        assert_eq!(contradictions(&lock), []);
        let erofs = lock.images().next().unwrap().1.platforms.values().next().unwrap().layers[0]
            .erofs
            .unwrap();
        let edited = ARTIFACTS.replacen(&erofs.to_string(), &Digest::of("else").to_string(), 1);
        let found = contradictions(&Lock::parse(&edited).unwrap());
        let [problem] = &found[..] else { panic!("{found:?}") };
        assert!(problem.message.starts_with("layer sha256:"), "{}", problem.message);
        assert!(problem.message.ends_with("in images `alpine` and `base`"), "{}", problem.message);
    }

    #[test]
    fn an_image_without_an_index_is_its_manifest() {
        check(
            "digest = \"sha256:62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a\"",
            "digest = \"sha256:72c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a\"",
            &["image `py.tool` has no index"],
        );
    }
}
