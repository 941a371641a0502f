//! What leaves another program's cache because it leaves the store.

use std::path::PathBuf;

use serde::Serialize;

use crate::plan::artifact::Artifact;

/// What came of taking things that go out of one cache of another program, to which they were published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Withdrawn {
    /// The cache; the store, where it is not known which.
    pub cache: PathBuf,
    /// Files that were removed, or would be.
    pub removed: Vec<WithdrawnFile>,
    /// Files that stay for now.
    pub kept: Vec<WithdrawnFile>,
    /// Why not all was looked at.
    pub problem: Option<String>,
}

/// A file that was published, and why it goes or stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WithdrawnFile {
    /// Its path in the cache.
    pub path: String,
    /// Why.
    #[serde(flatten)]
    pub why: WithdrawnWhy,
}

/// Why a file that was published goes or stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum WithdrawnWhy {
    /// It goes: it names an image of which something is deleted from the store.
    ImageGoes {
        /// What.
        artifact: Artifact,
    },
    /// It goes: no image that was published has it any more.
    NoImage,
    /// It stays: another program uses it.
    InUse,
    /// It stays: an image of the other program's own has it.
    Mentioned,
}
