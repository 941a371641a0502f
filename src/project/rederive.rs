//! Rederive: a lock's blocks found again from their digests alone, where the images come from.
//!
//! No tag is asked and nothing is kept: index, manifest and config are fetched by digest, and must say what the
//! block says, field by field. So an edit of the lock that gave it a right `sum` is found without a store.

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::engine::chain::Block;
use crate::engine::error::Error;
use crate::oci::platform::Platform;
use crate::plan::extent::Documents::All;
use crate::project::documents::{Desk, Documents};
use crate::project::files::Inputs;
use crate::project::relock::IMAGES_AT_ONCE;
use crate::project::{Project, Session};
use crate::spec::lockfile::Lock;
use crate::spec::name::ImageName;

/// A block of the lock, for one platform, and what its documents say of it.
#[derive(Debug)]
pub struct Rederived {
    /// The image.
    pub image: ImageName,
    /// The platform.
    pub platform: Platform,
    /// In which way the documents contradict it, or why they cannot be read.
    pub result: Result<(), Error>,
}

impl Project {
    /// Compares all of `lock` with the documents that its digests name. Without a network only images of this
    /// machine are. `inputs` say where a mismatch of platforms is meant. Writes nothing.
    pub async fn rederive(
        &self,
        lock: &Lock,
        inputs: Option<&Inputs>,
        session: &Session,
    ) -> Vec<Rederived> {
        let sources = self.sources(session);
        let blocks = lock.images().flat_map(|(name, image)| {
            let platforms = image.platforms.iter();
            platforms.map(move |(platform, locked)| Block { name, image, platform, locked })
        });
        let derived = blocks.map(|block| {
            let sources = &sources;
            async move {
                let result = match sources.open(&block.image.source).await {
                    Ok(Some(source)) => {
                        let documents = Documents { block, desk: Desk::Source(&source) };
                        documents.check(All, allows_mismatch(inputs, block.name)).await
                    }
                    Ok(None) => Err(Error::NoNetwork(block.image.source.clone())),
                    Err(error) => Err(error),
                };
                let (image, platform) = (block.name.clone(), block.platform.clone());
                Rederived { image, platform, result }
            }
        });
        let blocks: Vec<_> = derived.collect();
        stream::iter(blocks).buffered(IMAGES_AT_ONCE).collect().await
    }
}

/// Whether `sandbox-images.toml` says that an image may be of another platform than it is locked for. Without
/// it nobody does.
pub(super) fn allows_mismatch(inputs: Option<&Inputs>, name: &ImageName) -> bool {
    let spec = inputs.and_then(|inputs| inputs.image_set.images.get(name));
    spec.is_some_and(|spec| spec.allow_platform_mismatch)
}
