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
    /// Files that were removed, by their paths in it.
    removed: Vec<String>,
    /// Files that stay for now, because they are used.
    kept: Vec<String>,
    /// Why not all was looked at.
    problem: Option<String>,
}
