//! Changes to the text of `sandbox-images.toml` that its author would have made: `add` and `remove`.
//!
//! A change is an insertion or a deletion of whole lines. All other bytes stay as they are, whatever they are:
//! comments, order, blank lines, quotes, and line ends, which new lines copy. Taking away an image that was
//! added gives the bytes from before, unless it was the first image of a file that had none.
//!
//! A new image is written as the file writes others: a line of `[images]`, a table `[images.NAME]` where there
//! are only such tables or where an option needs one, or a dotted key where those are used. It goes to its
//! place if the others are sorted, else behind the last. A comment above an image that is taken away stays:
//! only its author knows whether it is about more.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::oci::platform::Platform;
use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::name::{GroupName, ImageName};
use crate::spec::source::ImageSource;
use crate::spec::unknown::UnknownImage;

mod lines;

mod layout;

mod insert;

#[cfg(test)]
mod tests;

use self::layout::Layout;

/// An image to be written into `sandbox-images.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// Its name.
    pub name: ImageName,
    /// Where it comes from, as it is to be written.
    pub source: String,
    /// The groups it is in.
    pub groups: BTreeSet<GroupName>,
    /// The platforms that it names itself; none for the defaults.
    pub platforms: BTreeSet<Platform>,
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file is not TOML.
    #[error("{message}")]
    Syntax {
        /// The parser's words.
        message: String,
        /// Where.
        span: Option<Range<usize>>,
    },
    /// The images are not in tables of their own, so that a line cannot be added or taken away.
    #[error("`images` is written as one value, which is not changed by `add` and `remove`")]
    OneValue {
        /// Where that value is.
        span: Range<usize>,
    },
    /// The name is taken.
    #[error("there is an image `{name}` already")]
    Taken {
        /// The name.
        name: ImageName,
        /// Where it stands; nothing if it is new itself.
        span: Option<Range<usize>>,
    },
    /// There is no image of this name.
    #[error(transparent)]
    Unknown(#[from] UnknownImage),
}

impl EditError {
    /// The same as a diagnostic.
    pub fn diagnostic(&self) -> Diagnostic {
        let error = |code, span: Option<Range<usize>>| Diagnostic {
            span,
            ..Diagnostic::error(code, Source::ImageSet, self.to_string())
        };
        match self {
            Self::Syntax { span, .. } => error("toml-syntax", span.clone()),
            Self::OneValue { span } => error("images-in-one-value", Some(span.clone()))
                .help("write a table `[images]` with a line for each image"),
            Self::Taken { span, .. } => error("image-exists", span.clone())
                .help("choose another name with `--name`, or change its line and run `sandbox-images lock`"),
            Self::Unknown(unknown) => error("unknown-image", None).help(unknown.help()),
        }
    }
}

/// `text` with these images, in the order given where they go to the same place. All names that are taken are
/// found in one run.
pub fn add(text: &str, images: &[NewImage]) -> Result<String, Vec<EditError>> {
    let layout = Layout::of(text).map_err(|error| vec![error])?;
    let mut new = BTreeSet::new();
    let taken = images.iter().filter_map(|image| {
        let present = layout.entry(image.name.as_str());
        let twice = !new.insert(&image.name);
        let span = present.map(|entry| entry.key.clone());
        (span.is_some() || twice).then(|| EditError::Taken { name: image.name.clone(), span })
    });
    let taken: Vec<EditError> = taken.collect();
    if !taken.is_empty() {
        return Err(taken);
    }
    images.iter().try_fold(text.to_owned(), |text, image| {
        let layout = Layout::of(&text).map_err(|error| vec![error])?;
        Ok(insert::insert(&text, &layout, image))
    })
}

/// `text` without these images. All names that are not there are found in one run.
pub fn remove(text: &str, names: &BTreeSet<String>) -> Result<String, Vec<EditError>> {
    let layout = Layout::of(text).map_err(|error| vec![error])?;
    let unknown = |name: &&String| layout.entry(name).is_none();
    let known = || layout.entries.iter().map(|entry| entry.name.as_str());
    let unknown: Vec<EditError> =
        names.iter().filter(unknown).map(|name| UnknownImage::new(name, known()).into()).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let entries = layout.entries.iter().filter(|entry| names.contains(&entry.name));
    Ok(lines::without(text, entries.flat_map(|entry| entry.all_that_goes(text)).collect()))
}

/// The name of an image that was given none: the last component of the repository, or of the path without
/// `.tar`, in lower-case letters. Nothing if that is no name.
pub fn name_for(source: &ImageSource) -> Option<ImageName> {
    let path = match source {
        ImageSource::Registry(reference) => reference.repository(),
        ImageSource::OciLayout(local) | ImageSource::DockerArchive(local) => {
            local.path.trim_end_matches('/')
        }
    };
    let last = path.rsplit('/').next()?;
    last.strip_suffix(".tar").unwrap_or(last).to_ascii_lowercase().parse().ok()
}
