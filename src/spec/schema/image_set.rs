//! `sandbox-images.toml` as a schema sees it.

#![expect(dead_code, reason = "of these types only the schema is used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// The images of a project and how they are locked.
#[derive(JsonSchema)]
#[schemars(title = "sandbox-images.toml", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ImageSet {
    /// The version of this file's format.
    #[schemars(extend("const" = 1, "default" = 1))]
    manifest_version: Option<u64>,
    /// The oldest version of sandbox-images that may read this file, such as `>=0.1`.
    #[schemars(regex(pattern = r"^\s*>=\s*\d+\.\d+(\.\d+)?\s*$"))]
    requires_tool: Option<String>,
    /// What holds for each image that does not say otherwise.
    defaults: Option<Defaults>,
    /// The images by name.
    images: Option<BTreeMap<ImageName, Image>>,
    /// Choices of images.
    groups: Option<Groups>,
    /// What may be locked.
    policy: Option<Policy>,
    /// How registries are reached. Never changes the lock.
    registries: Option<BTreeMap<String, Registry>>,
}

/// What holds for each image that does not say otherwise.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Defaults {
    /// The registry of images that name none.
    #[schemars(extend("default" = "docker.io"))]
    registry: Option<String>,
    /// The platforms to lock. Which of them is synced depends on the host.
    #[schemars(length(min = 1), extend("default" = ["linux/amd64", "linux/arm64"]))]
    platforms: Option<Vec<Platform>>,
}

/// A name of 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit.
#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[schemars(inline, extend("pattern" = "^[a-z0-9][a-z0-9._-]{0,63}$"))]
struct ImageName(String);

/// A group's name, formed as an image's.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^[a-z0-9][a-z0-9._-]{0,63}$"))]
struct GroupName(String);

/// An operating system, an architecture and perhaps a variant, such as `linux/amd64` or `linux/arm/v7`.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^[^/]+/[^/]+(/[^/]+)?$"))]
struct Platform(String);

/// Where an image comes from: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, `oci:PATH[:NAME]` for an OCI layout, or
/// `docker-archive:PATH[:REFERENCE]` for what `docker save` writes. Paths are relative to this file.
#[derive(JsonSchema)]
#[schemars(inline, extend("minLength" = 1))]
struct ImageSource(String);

/// An image: where it comes from, or a table with more about it.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Image {
    Short(ImageSource),
    Long(LongImage),
}

/// An image with its own settings.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct LongImage {
    image: ImageSource,
    /// The groups it is in. An image without a group is always synced.
    groups: Option<Vec<GroupName>>,
    /// The platforms to lock it for. One that it lacks is an error.
    #[schemars(length(min = 1))]
    platforms: Option<Vec<Platform>>,
    /// Whether a config that names another architecture than its index is a warning only.
    #[schemars(extend("default" = false))]
    allow_platform_mismatch: Option<bool>,
}

/// Choices of images.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Groups {
    /// The groups that are synced when none is named.
    default: Option<Vec<GroupName>>,
}

/// What may be locked.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Policy {
    /// Registries, or registries with the start of a repository, that images may come from. Without this key
    /// all may.
    allow_registries: Option<Vec<String>>,
    /// Whether each image of a registry must be given by digest.
    #[schemars(extend("default" = false))]
    require_digest: Option<bool>,
}

/// How a registry is reached.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Registry {
    /// Base URLs to try before the registry's own, in order.
    mirrors: Option<Vec<Mirror>>,
}

/// `https://HOST[:PORT][/PATH]`, without user name and query.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = r"^https?://[^\s?#@]+$"))]
struct Mirror(String);
