//! Names of images that the user types and the project does not have.

use crate::spec::suggest::nearest;
use crate::words::listed;

/// There is no image of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no image `{name}`")]
pub struct UnknownImage {
    name: String,
    help: String,
}

impl UnknownImage {
    /// `name` is not among `known`.
    pub fn new<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Self {
        const NAME_CHARS_MAX: usize = 100;
        let known: Vec<&str> = known.collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("images: {}", listed(known)),
        };
        Self { name: name.chars().take(NAME_CHARS_MAX).collect(), help }
    }

    /// The name that was perhaps meant, or those that there are.
    pub fn help(&self) -> &str {
        &self.help
    }
}
