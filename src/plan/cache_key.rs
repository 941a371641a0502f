//! The key under which a CI keeps a store from one run to the next.
//!
//! The key is equal exactly if the store would hold the same: it depends on the artifact format, the
//! platforms and the locked digests. What an image is called, which tag it was resolved from, and which
//! version of this program asks makes no difference.
//!
//! It is `f1-PLATFORM-HEX`: the artifact format, the platform with dashes or `all`, and the SHA-256 of these
//! lines, sorted bytewise, each once and each with a line feed: `artifact-format 1`, and for each image and
//! platform `PLATFORM DIGEST MANIFEST`, with the digest of the image's index or manifest and that of the
//! platform's manifest, from which all else follows. What stands before the last dash is a key to fall back
//! to: an older store of the same format, of which `sync` keeps what it can.

use std::collections::BTreeSet;

use crate::oci::digest::Digest;
use crate::plan::artifact::FORMAT;
use crate::plan::selection::{PlatformChoice, Selection};
use crate::spec::lockfile::Lock;

/// A key, and what older keys of the same kind begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey {
    /// `f1-linux-amd64-`
    pub prefix: String,
    /// Of what is wanted.
    pub digest: Digest,
}

impl std::fmt::Display for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.prefix, self.digest.hex())
    }
}

/// The key of what `selection` wants of `lock`, made for `platforms`.
pub fn cache_key(lock: &Lock, selection: &Selection, platforms: &PlatformChoice) -> CacheKey {
    let mut lines = BTreeSet::from([format!("artifact-format {FORMAT}\n")]);
    for (name, wanted) in &selection.images {
        let Some(image) = lock.image(name.as_str()) else { continue };
        lines.extend(wanted.iter().filter_map(|platform| {
            let manifest = image.platforms.get(platform)?.manifest.digest;
            Some(format!("{platform} {} {manifest}\n", image.digest))
        }));
    }
    let text: String = lines.into_iter().collect();
    CacheKey { prefix: format!("f{FORMAT}-{}-", words(platforms)), digest: Digest::of(text) }
}

/// The platforms as a word that any cache accepts in a key.
fn words(platforms: &PlatformChoice) -> String {
    match platforms {
        PlatformChoice::All => "all".to_owned(),
        PlatformChoice::Host(host) => host.to_string().replace('/', "-"),
        PlatformChoice::Named(named) => {
            let words: Vec<String> =
                named.iter().map(|platform| platform.to_string().replace('/', "-")).collect();
            words.join("-")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../../tests/data/locks/v1.lock");

    fn key(text: &str) -> String {
        let lock = Lock::parse(text).unwrap();
        cache_key(&lock, &Selection::everything(&lock), &PlatformChoice::All).to_string()
    }

    #[test]
    fn the_key_of_a_lock_never_changes() {
        assert_eq!(key(LOCK), "f1-all-PINNED");
    }

    #[test]
    fn names_and_tags_make_no_difference() {
        let renamed = LOCK.replace("image.alpine", "image.base").replace("alpine:3.20", "alpine:3");
        assert_ne!(renamed, LOCK);
        assert_eq!(key(&renamed), key(LOCK));
        assert_eq!(key(&LOCK.replace('\n', "\r\n")), key(LOCK));
    }

    #[test]
    fn another_manifest_or_index_is_another_key() {
        for digest in ["1bc04b5291c26a46", "5861314d7fccb39c"] {
            let moved = LOCK.replacen(digest, "0000000000000000", 1);
            assert_ne!(moved, LOCK);
            assert_ne!(key(&moved), key(LOCK), "{digest}");
        }
    }

    #[test]
    fn the_platform_can_be_read_in_the_key() {
        let named = PlatformChoice::Named(["linux/arm/v7".parse().unwrap()].into());
        let key = cache_key(&Lock::new(), &Selection::default(), &named);
        assert_eq!(key.prefix, "f1-linux-arm-v7-");
    }
}
