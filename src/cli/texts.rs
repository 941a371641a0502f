//! The two files as they were read: diagnostics point into them.

use std::path::{Path, PathBuf};

use sandbox_images::spec::diagnostic::Source;

/// A file's path as the user would write it, and its text.
#[derive(Debug, Default, Clone)]
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// `sandbox-images.toml` and `sandbox-images.lock`; empty where they do not exist.
#[derive(Debug, Default, Clone)]
pub(crate) struct Texts {
    pub(crate) image_set: Text,
    pub(crate) lock: Text,
}

impl Texts {
    pub(crate) fn of(&self, source: Source) -> &Text {
        match source {
            Source::ImageSet => &self.image_set,
            Source::Lock => &self.lock,
        }
    }

    pub(crate) fn path(&self, source: Source) -> &Path {
        &self.of(source).path
    }
}
