//! Any bytes as an image's documents: index, manifest, config, or whichever of the first two it is.
//!
//! * The bytes are kept as they are, and so is their digest.
//! * No document is both an index and a manifest; which it is does not depend on what asked.
//! * The search for a platform ends, whatever an index lists.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::document::config::ImageConfig;
use sandbox_images::oci::document::index::Index;
use sandbox_images::oci::document::manifest::Manifest;
use sandbox_images::oci::document::parsed::Parsed;
use sandbox_images::oci::document::search::{Search, Step};
use sandbox_images::oci::document::{Document, Root, check_layers};
use sandbox_images::oci::platform::Platform;

/// More than any search needs.
const STEPS_MAX: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let root = parse::<Root>(bytes);
    let index = parse::<Index>(bytes);
    let manifest = parse::<Manifest>(bytes);
    let config = parse::<ImageConfig>(bytes);
    assert!(index.is_none() || manifest.is_none(), "one kind");
    match root.as_ref().map(Document::parsed) {
        Some(Root::Index(_)) => assert!(index.is_some()),
        Some(Root::Manifest(_)) => assert!(manifest.is_some()),
        None => assert!(index.is_none() && manifest.is_none()),
    }
    if let Some(index) = &index {
        search(index.parsed(), index.digest());
    }
    if let (Some(manifest), Some(config)) = (&manifest, &config) {
        check_layers(manifest.parsed(), config.parsed()).ok();
    }
});

fn parse<T: Parsed>(bytes: &[u8]) -> Option<Document<T>> {
    match Document::<T>::parse(bytes.to_vec(), None) {
        Ok(document) => {
            assert_eq!((document.bytes(), document.digest()), (bytes, Digest::of(bytes)));
            Some(document)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Searches as if every descriptor led to the index again.
fn search(index: &Index, digest: Digest) {
    for platform in index.platforms().into_iter().take(4).chain([Platform::host_linux()]) {
        let mut search = Search::new(platform, digest, index);
        for step in 0.. {
            assert!(step < STEPS_MAX, "a search ends");
            match search.step() {
                Ok(Step::Descend(_)) => search.enter(index),
                Ok(Step::Found(_)) | Err(_) => break,
            }
        }
    }
}
