//! The search for a platform's image in an index and the indexes nested in it.
//!
//! The search decides and does not fetch: it says which index it wants to see next, so registries and
//! layouts, async or not, share it. Per index, the best variant that runs on the platform wins, and of
//! equals the first, as containerd does; an index's own images go before those of nested indexes.

use std::collections::{BTreeSet, VecDeque};

use crate::oci::digest::Digest;
use crate::oci::document::descriptor::Descriptor;
use crate::oci::document::error::DocumentError;
use crate::oci::document::index::Index;
use crate::oci::document::kind::Kind;
use crate::oci::platform::Platform;

/// Indexes may be nested this deep. Real ones have two levels; each level costs a request.
pub const INDEX_DEPTH_MAX: usize = 4;

/// A search under way.
#[derive(Debug)]
pub struct Search {
    wanted: Platform,
    found: Option<Descriptor>,
    /// An image without a platform, taken if nothing else is found: its config decides.
    unnamed: Option<Descriptor>,
    /// Nested indexes to be looked at, with their depth.
    nested: VecDeque<(Descriptor, usize)>,
    seen: BTreeSet<Digest>,
    depth: usize,
    available: BTreeSet<Platform>,
}

/// What the search says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This is the platform's manifest.
    Found(Descriptor),
    /// Fetch this index and give it to [`Search::enter`].
    Descend(Descriptor),
}

impl Search {
    /// Begins the search for the image of `wanted` in `index`, whose own digest is `digest`.
    pub fn new(wanted: Platform, digest: Digest, index: &Index) -> Self {
        let mut search = Self {
            wanted,
            found: None,
            unnamed: None,
            nested: VecDeque::new(),
            seen: BTreeSet::from([digest]),
            depth: 1,
            available: BTreeSet::new(),
        };
        search.enter(index);
        search
    }

    /// Looks into the index that [`Step::Descend`] asked for.
    pub fn enter(&mut self, index: &Index) {
        let images = || index.manifests.iter().filter(|entry| !entry.is_attestation());
        self.available.extend(index.platforms());
        let candidates = self.wanted.compatible();
        self.found = candidates.iter().find_map(|platform| {
            images()
                .filter(|entry| is_image(entry))
                .find(|entry| entry.platform.as_ref() == Some(platform))
                .cloned()
        });
        let mut unnamed = images().filter(|entry| is_image(entry) && entry.platform.is_none());
        if let (Some(only), None, None) = (unnamed.next(), unnamed.next(), &self.unnamed) {
            self.unnamed = Some(only.clone());
        }
        for entry in images().filter(|entry| is_index(entry)) {
            let platform = entry.platform.as_ref();
            let may_hold = platform.is_none_or(|platform| candidates.contains(platform));
            if may_hold && self.seen.insert(entry.digest) {
                self.nested.push_back((entry.clone(), self.depth + 1));
            }
        }
    }

    /// What to do next. After [`Step::Descend`], call [`Search::enter`] before this.
    pub fn step(&mut self) -> Result<Step, DocumentError> {
        if let Some(found) = self.found.take() {
            return Ok(Step::Found(found));
        }
        match self.nested.pop_front() {
            Some((_, depth)) if depth > INDEX_DEPTH_MAX => {
                Err(DocumentError::TooDeep(INDEX_DEPTH_MAX))
            }
            Some((index, depth)) => {
                self.depth = depth;
                Ok(Step::Descend(index))
            }
            None => self.unnamed.take().map(Step::Found).ok_or_else(|| DocumentError::NoPlatform {
                wanted: self.wanted.clone(),
                available: self.available.iter().cloned().collect(),
            }),
        }
    }
}

fn is_image(entry: &Descriptor) -> bool {
    matches!(Kind::from_media_type(&entry.media_type), Ok(Kind::OciManifest | Kind::DockerManifest))
}

fn is_index(entry: &Descriptor) -> bool {
    Kind::from_media_type(&entry.media_type).is_ok_and(Kind::is_index)
}
