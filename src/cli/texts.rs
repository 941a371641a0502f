//! The files as they were read: diagnostics point into them.

use std::path::{Path, PathBuf};

use sandbox_images::spec::diagnostic::Source;

/// A file's path as the user would write it, and its text.
#[derive(Debug, Default, Clone)]
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// `sandbox-images.toml`, `sandbox-images.lock` and `config.toml`; empty where they do not exist.
#[derive(Debug, Default, Clone)]
pub(crate) struct Texts {
    pub(crate) image_set: Text,
    pub(crate) lock: Text,
    /// Without what could be a secret.
    pub(crate) config: Text,
}

impl Texts {
    pub(crate) fn of(&self, source: Source) -> &Text {
        match source {
            Source::ImageSet => &self.image_set,
            Source::Lock => &self.lock,
            Source::Config => &self.config,
        }
    }

    pub(crate) fn path(&self, source: Source) -> &Path {
        &self.of(source).path
    }
}
