//! What other programs' caches got, and what was taken out of them again.

use schemars::JsonSchema;

/// An image in another program's cache.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Published {
    /// The image's name.
    image: String,
    /// The program: `microsandbox`.
    target: String,
    /// The program's directory, absolute.
    directory: String,
    /// What the image can be asked for by there.
    references: Vec<String>,
    /// Whether anything was written.
    changed: bool,
    /// Files that are the store's own under a second name.
    linked: u64,
    /// Files that were copied.
    copied: u64,
    /// Layers without attributes that the program does not read.
    altered: u64,
}

/// What was taken out of another program's cache.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Withdrawn {
    /// The cache's directory; the store, where it is not known which.
    cache: String,
    /// Files that were removed, or would be.
    removed: Vec<WithdrawnFile>,
    /// Files that stay for now.
    kept: Vec<WithdrawnFile>,
    /// Why not all was looked at.
    problem: Option<String>,
}

/// A file that was published, and why it goes or stays.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct WithdrawnFile {
    /// Its path in the cache.
    path: String,
    /// Why.
    reason: WithdrawnReason,
    /// What of its image is deleted from the store, if the reason is `image-goes`.
    artifact: Option<String>,
}

/// Why a file that was published goes or stays.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(in crate::spec::schema) enum WithdrawnReason {
    /// It goes: it names an image of which something is deleted from the store.
    ImageGoes,
    /// It goes: no image that was published has it any more.
    NoImage,
    /// It stays: another program uses it.
    InUse,
    /// It stays: an image of the other program's own has it.
    Mentioned,
}
