//! What was pulled: which digests a source named when it was last asked, for one platform.
//!
//! The file is named after the canonical source and the platform, so that all spellings of a reference share
//! it. It holds a lock of this one image, with its sum: what was edited or damaged is as good as not there.
//! Beside it a root keeps the image's artifacts for 30 days.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::oci::platform::Platform;
use crate::plan::artifact::Artifact;
use crate::plan::selection::Selection;
use crate::plan::{images_of_blobs, wanted};
use crate::spec::lockfile::{FILE_BYTES_MAX, Lock, LockedImage};
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;
use crate::store::Store;
use crate::store::error::Error;
use crate::store::guard::Caller;
use crate::store::layout::open_refs;
use crate::store::root::Root;

const VERSION: u32 = 1;

/// Bytes of one file: a lock, escaped.
const BYTES_MAX: u64 = 2 * FILE_BYTES_MAX as u64;

/// An image that was pulled for one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledImage {
    source: ImageSource,
    platform: Platform,
    lock: Lock,
}

#[derive(Serialize, Deserialize)]
struct Json {
    version: u32,
    source: String,
    platform: Platform,
    lock: String,
}

impl PulledImage {
    /// What `source` named for `platform`. Of `image` no other platform is kept, and no digest of an artifact.
    pub fn new(
        source: ImageSource,
        platform: Platform,
        name: ImageName,
        image: &LockedImage,
    ) -> Self {
        let mut image = image.clone();
        image.platforms.retain(|locked, _| *locked == platform);
        image.absent_platforms.clear();
        let mut lock = Lock::new();
        lock.insert(name, image);
        lock.remove_artifact_digests();
        Self { source, platform, lock }
    }

    /// The image as it is locked; it has the one platform.
    pub fn image(&self) -> Option<&LockedImage> {
        self.lock.images().next().map(|(_, image)| image)
    }

    /// What its two files are named after: the canonical source and the platform.
    fn key(source: &ImageSource, platform: &Platform) -> String {
        format!("{source} {platform}")
    }

    /// What is kept of it in a store that `keeps_blobs` or not.
    fn artifacts(&self, keeps_blobs: bool) -> BTreeSet<Artifact> {
        let everything = Selection::everything(&self.lock);
        let mut artifacts = wanted(&self.lock, &everything);
        if keeps_blobs {
            artifacts.extend(images_of_blobs(&self.lock).into_keys());
        }
        artifacts
    }

    fn to_json(&self) -> Vec<u8> {
        let json = Json {
            version: VERSION,
            source: self.source.to_string(),
            platform: self.platform.clone(),
            lock: self.lock.render(),
        };
        let mut bytes = serde_json::to_vec(&json).expect("numbers and strings are always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what was written for `source` and `platform`; `None` of anything else.
    fn parse(bytes: &[u8], source: &ImageSource, platform: &Platform) -> Option<Self> {
        let json: Json = serde_json::from_slice(bytes).ok()?;
        let lock = Lock::parse(&json.lock).ok()?;
        let is_whole = |(name, image): (&ImageName, &LockedImage)| {
            lock.is_consistent(name.as_str()) && image.platforms.keys().eq([platform])
        };
        let is_ours = json.version == VERSION
            && json.source == source.to_string()
            && json.platform == *platform
            && lock.images().len() == 1
            && lock.images().all(is_whole);
        is_ours.then(|| Self { source: source.clone(), platform: platform.clone(), lock })
    }
}

impl Store {
    /// What was pulled of `source` for `platform`. A file that says anything else is as good as none: the
    /// next pull replaces it.
    pub fn pulled(
        &self,
        source: &ImageSource,
        platform: &Platform,
    ) -> Result<Option<PulledImage>, Error> {
        let Some(refs) = open_refs(self.path())? else {
            return Ok(None);
        };
        let key = PulledImage::key(source, platform);
        match refs.read(&Root::file_name(Root::id_for(Path::new(&key))), BYTES_MAX) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| PulledImage::parse(&bytes, source, platform))),
            Err(Error::TooLarge { .. } | Error::Unexpected { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes what was pulled, and keeps it for 30 days from `now`. To be called when all of it is committed.
    /// Writes only what is new or over a day old, and answers whether it did.
    pub fn put_pulled(
        &self,
        pulled: &PulledImage,
        now: SystemTime,
        caller: Caller,
    ) -> Result<bool, Error> {
        let PulledImage { source, platform, .. } = pulled;
        let key = PulledImage::key(source, platform);
        let previous = match self.root(Path::new(&key)) {
            Err(Error::KeeperDamaged { .. } | Error::TooLarge { .. }) => None,
            Err(Error::KeeperTooNew { .. }) => return Ok(false),
            read => read?,
        };
        let wanted = pulled.artifacts(self.keeps_blobs());
        let root = Root::next_of_pulled(previous, Path::new(&key), &wanted, now);
        if root.is_none() && self.pulled(source, platform)?.as_ref() == Some(pulled) {
            return Ok(false);
        }
        let run = self.shared()?.begin_run(&[], caller)?;
        let name = Root::file_name(Root::id_for(Path::new(&key)));
        if let Some(root) = root {
            run.publish_root(&name, &root.to_json())?;
        }
        run.publish_ref(&name, &pulled.to_json())?;
        Ok(true)
    }
}
