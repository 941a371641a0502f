//! What `verify` finds, in the store and at the registry.

use schemars::JsonSchema;

/// An artifact that cannot be used, or could not before it was repaired.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Damaged {
    /// A kind and a digest.
    artifact: String,
    /// The absolute path of its file.
    path: String,
    /// What is wrong with it.
    class: DamageClass,
    /// The same in words.
    message: String,
    /// The images of the lock that want it.
    images: Vec<String>,
    /// What became of it.
    state: DamageState,
    /// The locks of other projects that want what was moved away.
    wanted_by: Vec<String>,
}

/// What is wrong with an artifact.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(in crate::spec::schema) enum DamageClass {
    /// It is not there.
    Missing,
    /// It has another length.
    Size,
    /// It has other bytes.
    Digest,
    /// It or its record cannot be read.
    Unreadable,
    /// It is no regular file.
    Unexpected,
}

/// What became of an artifact that cannot be used.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(in crate::spec::schema) enum DamageState {
    /// Nothing was tried.
    Found,
    /// It was made again.
    Repaired,
    /// It was moved away, and nobody wants it.
    SetAside,
    /// It was moved away, and another project wants it.
    WantedElsewhere,
    /// It could not be made again.
    Left,
}

/// A block of the lock beside what its digests name.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Rederived {
    /// The image's name.
    image: String,
    /// The platform.
    platform: String,
    /// How the two compare.
    state: RederivedState,
    /// In which way, or why that is not known.
    message: Option<String>,
}

/// How a block of the lock and its documents compare.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(in crate::spec::schema) enum RederivedState {
    /// They say the same.
    Same,
    /// They do not.
    Contradicts,
    /// The documents are not there any more.
    Gone,
    /// The documents could not be had.
    Failed,
}
