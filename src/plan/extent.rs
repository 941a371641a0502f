//! How much of what a lock names a store is to hold.

/// How much of each image on each platform is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Which of its documents.
    pub documents: Documents,
    /// What of its layers.
    pub content: Content,
}

/// Which documents of an image are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Documents {
    /// Index, manifest and config: the lock is checked by all of them.
    #[default]
    All,
    /// The config alone. The lock is believed in what only index and manifest could confirm, and a registry
    /// that counts requests for manifests is asked for none. The layers are still what the config says.
    ConfigOnly,
}

/// What of an image's layers is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// Their images, and the fsmeta and the disk of them.
    #[default]
    Disk,
    /// What is needed to build all that without a network: of each layer its blob, unless there is its image.
    Blobs,
    /// Nothing.
    Nothing,
}
