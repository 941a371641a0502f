//! The note in the store of what was published to one cache: by it alone is anything there ours.
//!
//! A file is noted before it gets its name, so after a crash at any moment nothing of ours is unknown. What
//! is noted need not be there, or be ours any more: before it is deleted, its bytes are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::publish::error::Error;
use crate::publish::microsandbox::names;
use crate::store::content::ContentDigest;

/// The version that is written.
const VERSION: u32 = 1;

/// What was published to one cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    version: u32,
    /// The cache's directory, without symbolic links.
    pub(super) cache: String,
    /// Files by their path in it.
    pub(super) files: BTreeMap<String, NotedFile>,
    /// Images by the digest of their manifest.
    pub(super) images: BTreeMap<Digest, NotedImage>,
}

/// A file as it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NotedFile {
    pub(super) size_bytes: u64,
    /// What its bytes are known by.
    pub(super) digest: ContentDigest,
    /// What it was made of is known by this: the store's file, or itself.
    pub(super) of: ContentDigest,
}

/// An image that was published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NotedImage {
    /// What it was made of. When one of these goes, the image does.
    pub(super) artifacts: BTreeSet<Artifact>,
    /// What stands for the references it can be asked for by.
    pub(super) keys: BTreeSet<String>,
}

impl NotedFile {
    /// A file that is what the store holds, or whose bytes are these.
    pub(super) const fn whole(size_bytes: u64, digest: ContentDigest) -> Self {
        Self { size_bytes, digest, of: digest }
    }
}

impl NotedImage {
    /// The paths in the cache of its layers, metadata and disk, if `manifest` is its manifest.
    fn paths(&self, manifest: Digest) -> impl Iterator<Item = String> {
        let layers = self.artifacts.iter().filter_map(|artifact| match artifact {
            Artifact::Layer(diff_id) => Some(path(names::LAYERS, &names::layer(*diff_id))),
            _ => None,
        });
        layers.chain([
            path(names::FSMETA, &names::fsmeta(manifest)),
            path(names::VMDK, &names::vmdk(manifest)),
        ])
    }
}

impl Note {
    /// The note on the cache at `cache`, from its bytes if there are any.
    pub(super) fn read(bytes: Option<Vec<u8>>, cache: &Path) -> Result<Self, Error> {
        match bytes {
            Some(bytes) => Self::parse(&bytes, cache),
            None => Ok(Self {
                version: VERSION,
                cache: text_of(cache)?.to_owned(),
                files: BTreeMap::new(),
                images: BTreeMap::new(),
            }),
        }
    }

    /// Reads a note; `named` is what to call the cache where the note cannot be read.
    pub(super) fn parse(bytes: &[u8], named: &Path) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |source| Error::Note { cache: named.to_owned(), source };
        let Versioned { version } = serde_json::from_slice(bytes).map_err(damaged)?;
        if version > VERSION {
            return Err(Error::NoteTooNew { cache: named.to_owned(), version, known: VERSION });
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }

    /// Its bytes: readable, and the same for the same content.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("texts and numbers are always JSON");
        json.push(b'\n');
        json
    }

    /// Notes that `image`, with manifest `manifest`, is asked for by its keys, and no other image is.
    pub(super) fn add_image(&mut self, manifest: Digest, image: NotedImage) {
        for (_, other) in self.images.iter_mut().filter(|(other, _)| **other != manifest) {
            other.keys.retain(|key| !image.keys.contains(key));
        }
        self.images.insert(manifest, image);
    }

    /// The paths of files, other than documents, that no noted image has.
    pub(super) fn orphans(&self) -> BTreeSet<String> {
        let paths = self.images.iter().flat_map(|(manifest, image)| image.paths(*manifest));
        let needed: BTreeSet<String> = paths.collect();
        let is_orphan = |path: &&String| {
            !needed.contains(*path) && path.split('/').next() != Some(names::MANIFESTS)
        };
        self.files.keys().filter(is_orphan).cloned().collect()
    }
}

/// The name of the note on the cache at `cache`, which has no symbolic links in it.
pub(super) fn id_of(cache: &Path) -> Result<Digest, Error> {
    text_of(cache).map(Digest::of)
}

/// A file's path in the cache.
pub(super) fn path(folder: &str, name: &str) -> String {
    format!("{folder}/{name}")
}

fn text_of(cache: &Path) -> Result<&str, Error> {
    let wrong = || Error::io("publish to", cache, std::io::ErrorKind::InvalidFilename);
    cache.to_str().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(keys: &[&str]) -> NotedImage {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        NotedImage { artifacts: BTreeSet::new(), keys }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let mut note = Note::read(None, Path::new("/cache")).unwrap();
        note.files.insert("layers/x".to_owned(), NotedFile::whole(7, Digest::of("x").into()));
        note.add_image(Digest::of("manifest"), noted(&["a"]));
        assert_eq!(Note::read(Some(note.to_json()), Path::new("/cache")).unwrap(), note);
    }

    #[test]
    fn a_tag_that_moved_belongs_to_the_image_it_moved_to() {
        let mut note = Note::read(None, Path::new("/cache")).unwrap();
        let (old, new) = (Digest::of("old"), Digest::of("new"));
        note.add_image(old, noted(&["tag", "old digest"]));
        note.add_image(new, noted(&["tag", "new digest"]));
        assert_eq!(note.images[&old], noted(&["old digest"]));
        assert_eq!(note.images[&new], noted(&["tag", "new digest"]));
    }

    #[test]
    fn a_newer_or_a_damaged_note_is_refused_with_its_cache() {
        let read = |text: &str| Note::read(Some(text.into()), Path::new("/cache")).unwrap_err();
        assert_eq!(
            read("{\"version\":9}").to_string(),
            "the note of what was published to `/cache` is of version 9, this program reads 1"
        );
        assert_eq!(read("{}").code(), "publish-note");
    }
}
