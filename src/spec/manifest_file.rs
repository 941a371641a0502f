//! `sandbox-images.toml`: which images a project wants.
//!
//! Reading it finds every error of the file in one run, each with its place. What is read is normalised:
//! sources are canonical, platforms are in normal form, and what the file leaves out has its default, which
//! never depends on the machine. Facts of the machine (store, credentials, concurrency, …) are refused: they
//! belong to the user's configuration, and must not be able to change a lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::oci::platform::Platform;
use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::name::{GroupName, ImageName};
use crate::spec::source::ImageSource;

mod version;

mod read;

#[cfg(test)]
mod tests;

/// The `manifest-version` that this tool reads; a file without one has this.
pub const MANIFEST_VERSION: u64 = 1;

/// Bytes of the file. 10,000 images in long form are a tenth of it.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// What is locked where the file names no platforms: what microVMs run on, and never the host's own.
pub fn default_platforms() -> BTreeSet<Platform> {
    ["amd64", "arm64"].map(|architecture| Platform::new("linux", architecture, None)).into()
}

/// The images that a project wants, and under which rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSet {
    /// The images by name.
    pub images: BTreeMap<ImageName, ImageSpec>,
    /// The groups that are synced when none is named. Each has an image.
    pub default_groups: BTreeSet<GroupName>,
    /// What may be locked.
    pub policy: Policy,
    /// Base URLs to try before a registry's own, by registry and in order. Never in the lock.
    pub mirrors: BTreeMap<String, Vec<String>>,
}

/// One wanted image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// Where it comes from.
    pub source: ImageSource,
    /// The platforms to lock it for, at least one.
    pub platforms: BTreeSet<Platform>,
    /// Whether this image names its platforms itself. One of these that the image lacks is an error; one of
    /// the defaults that it lacks is a warning, if it has another.
    pub platforms_named: bool,
    /// The groups it is in. An image without a group is always synced.
    pub groups: BTreeSet<GroupName>,
    /// Whether a config that names another architecture than its index is a warning only.
    pub allow_platform_mismatch: bool,
    /// Where the source is written.
    pub source_span: Range<usize>,
    /// Where its platforms are written, if it names them itself.
    pub platforms_span: Option<Range<usize>>,
}

/// What may be locked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Registries, or registries with the first components of a repository, that images may come from;
    /// `None` allows all.
    pub allow_registries: Option<Vec<String>>,
    /// Whether each image of a registry must be given by digest.
    pub require_digest: bool,
}

impl ImageSet {
    /// Reads the text of `sandbox-images.toml`, or says all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        read::image_set(text, version::THIS_TOOL)
    }

    /// Every group that an image is in.
    pub fn groups(&self) -> BTreeSet<&GroupName> {
        self.images.values().flat_map(|image| &image.groups).collect()
    }

    /// What the policy forbids, image by image: `policy-registry` and `policy-digest`. Images of this machine
    /// are not subject to it.
    pub fn policy_violations(&self) -> Vec<Diagnostic> {
        self.images.iter().flat_map(|(name, image)| self.policy.violations(name, image)).collect()
    }
}

impl Policy {
    fn violations(&self, name: &ImageName, image: &ImageSpec) -> Vec<Diagnostic> {
        let Some(reference) = image.source.reference() else {
            return Vec::new();
        };
        let error = |code, message| {
            Diagnostic::error(code, Source::ImageSet, message).at(image.source_span.clone())
        };
        let mut found = Vec::new();
        if let Some(allowed) = &self.allow_registries
            && !allowed.iter().any(|scope| reference.is_within(scope))
        {
            let message = format!("the policy does not allow image `{name}` from `{reference}`");
            found.push(
                error("policy-registry", message)
                    .help(format!("allowed by `policy.allow-registries`: {}", allowed.join(", "))),
            );
        }
        if self.require_digest && reference.digest().is_none() {
            let message = format!("the policy wants a digest for image `{name}`");
            found.push(error("policy-digest", message).help("write `…@sha256:…` behind the tag"));
        }
        found
    }
}
