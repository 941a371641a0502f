//! From the text of `sandbox-images.toml` to an [`ImageSet`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;

use crate::oci::platform::Platform;
use crate::oci::reference::{DOCKER_HUB, Reference, canonical_registry};
use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::manifest_file::version::{Requirement, Version};
use crate::spec::manifest_file::{
    FILE_BYTES_MAX, ImageSet, ImageSpec, MANIFEST_VERSION, Policy, default_platforms,
};
use crate::spec::name::{GroupName, ImageName};
use crate::spec::registries::{checked_registry, part, read_mirror};
use crate::spec::source::ImageSource;
use crate::spec::suggest::nearest;
use crate::spec::walk::{Problems, Table, Value, document};

/// Settings of the user's `config.toml`, refused here with a pointer to it.
const MACHINE_KEYS: [&str; 30] = [
    "anonymous",
    "auth",
    "ca",
    "cache",
    "client-certificate",
    "client-key",
    "concurrency",
    "config",
    "credentials",
    "fallback",
    "gc",
    "helper",
    "identity-token",
    "identity-token-file",
    "insecure",
    "jobs",
    "keep-blobs",
    "limits",
    "network",
    "password",
    "password-file",
    "proxy",
    "publish",
    "store",
    "timeout",
    "tls",
    "token",
    "trust-lock",
    "username",
    "wait-timeout",
];

const ROOT_KEYS: [&str; 7] =
    ["manifest-version", "requires-tool", "defaults", "images", "groups", "policy", "registries"];

/// Reads `text` for a tool of version `tool`.
pub(super) fn image_set(text: &str, tool: Version) -> Result<ImageSet, Vec<Diagnostic>> {
    if text.len() > FILE_BYTES_MAX {
        let message =
            format!("the file has {} bytes, at most {FILE_BYTES_MAX} are read", text.len());
        return Err(vec![Diagnostic::error("too-large", Source::ImageSet, message)]);
    }
    document(text, Problems::new(Source::ImageSet), |root, problems| {
        // What a newer tool wrote for newer tools is not judged by this one's rules.
        if is_readable(root, tool, problems) {
            read_root(root, problems)
        } else {
            ImageSet::default()
        }
    })
}

/// Whether the file is for this tool. Of a tool that is too old nothing else is said: what a newer one would
/// find wrong is not known, and the version of the file is no news.
fn is_readable(root: &Table<'_>, tool: Version, problems: &mut Problems) -> bool {
    if let Some(value) = root.get("requires-tool")
        && let Some(Requirement(oldest)) = value.parse(problems)
        && oldest > tool
    {
        let message =
            format!("this project needs sandbox-images {oldest} or newer, this is {tool}");
        let problem = problems.error("tool-too-old", message).at(value.span.clone());
        problems.push(problem.help("install a newer sandbox-images"));
        return false;
    }
    if let Some(value) = root.get("manifest-version")
        && let Some(version) = value.number(problems)
        && version != MANIFEST_VERSION
    {
        let message =
            format!("`manifest-version` is {version}, this tool reads version {MANIFEST_VERSION}");
        let problem = problems.error("unknown-version", message).at(value.span.clone());
        problems.push(problem.help("install a newer sandbox-images"));
        return false;
    }
    true
}

fn read_root(root: &Table<'_>, problems: &mut Problems) -> ImageSet {
    refuse_unknown(root, &ROOT_KEYS, problems);
    let table = |key, problems: &mut Problems| root.get(key)?.table(problems);
    let defaults = table("defaults", problems)
        .map_or_else(Defaults::default, |defaults| Defaults::read(&defaults, problems));
    let images = table("images", problems)
        .map_or_else(BTreeMap::new, |images| read_images(&images, &defaults, problems));
    let policy = table("policy", problems)
        .map_or_else(Policy::default, |policy| read_policy(&policy, problems));
    let mirrors = table("registries", problems)
        .map_or_else(BTreeMap::new, |registries| read_mirrors(&registries, problems));
    let mut set = ImageSet { images, policy, mirrors, ..ImageSet::default() };
    if let Some(groups) = table("groups", problems) {
        set.default_groups = read_default_groups(&groups, &set, problems);
    }
    set
}

/// Refuses unknown keys; those of the user's `config.toml` get its name as advice.
fn refuse_unknown(table: &Table<'_>, known: &[&'static str], problems: &mut Problems) {
    let mut tolerated = known.to_vec();
    for value in table.unknown(known) {
        let Some(key) = MACHINE_KEYS.into_iter().find(|key| *key == value.key) else {
            continue;
        };
        tolerated.push(key);
        let message = format!("`{key}` is a setting of the machine, not of the project");
        problems.push(
            problems
                .error("machine-setting", message)
                .at(value.key_span)
                .help("move it to the user's `config.toml`, which no lock depends on"),
        );
    }
    table.refuse_unknown(&tolerated, problems);
}

/// `[defaults]`.
struct Defaults {
    registry: String,
    platforms: BTreeSet<Platform>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { registry: DOCKER_HUB.to_owned(), platforms: default_platforms() }
    }
}

impl Defaults {
    fn read(table: &Table<'_>, problems: &mut Problems) -> Self {
        refuse_unknown(table, &["registry", "platforms"], problems);
        let mut defaults = Self::default();
        if let Some(value) = table.get("registry")
            && let Some(registry) = read_registry(&value, problems)
        {
            defaults.registry = registry;
        }
        if let Some(value) = table.get("platforms")
            && let Some(platforms) = read_platforms(&value, problems)
        {
            defaults.platforms = platforms;
        }
        defaults
    }
}

fn read_registry(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.string(problems)?;
    checked_registry(text, &value.span, problems)
}

fn read_platforms(value: &Value<'_>, problems: &mut Problems) -> Option<BTreeSet<Platform>> {
    let platforms = read_distinct(value, problems)?;
    if platforms.is_empty() && value.array(problems)?.is_empty() {
        problems.invalid(value.span.clone(), "at least one platform must be named");
    }
    Some(platforms)
}

/// The elements of an array of texts, none twice.
fn read_distinct<T>(value: &Value<'_>, problems: &mut Problems) -> Option<BTreeSet<T>>
where
    T: std::str::FromStr<Err: Display> + Ord + Display,
{
    let mut distinct = BTreeSet::new();
    for (element, span) in value.parse_all::<T>(problems)? {
        if let Some(twice) = distinct.replace(element) {
            problems.invalid(span, format!("`{twice}` is named twice"));
        }
    }
    Some(distinct)
}

fn read_images(
    table: &Table<'_>,
    defaults: &Defaults,
    problems: &mut Problems,
) -> BTreeMap<ImageName, ImageSpec> {
    let mut images = BTreeMap::new();
    for value in table.iter() {
        let name = value
            .key
            .parse::<ImageName>()
            .map_err(|error| problems.invalid(value.key_span.clone(), error));
        let image = read_image(&value, defaults, problems);
        if let (Ok(name), Some(image)) = (name, image) {
            images.insert(name, image);
        }
    }
    images
}

/// The short form is a source, the long form a table with one.
fn read_image(
    value: &Value<'_>,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<ImageSpec> {
    if !value.is_table() {
        return read_source(value, defaults, problems);
    }
    let table = value.table(problems)?;
    let known = ["image", "groups", "platforms", "allow-platform-mismatch"];
    refuse_unknown(&table, &known, problems);
    let source = table.require("image", problems);
    let image = source.and_then(|source| read_source(&source, defaults, problems));
    let groups = table.get("groups").and_then(|groups| read_distinct(&groups, problems));
    let platforms = table
        .get("platforms")
        .and_then(|value| Some((read_platforms(&value, problems)?, value.span)));
    let mismatch =
        table.get("allow-platform-mismatch").and_then(|allowed| allowed.boolean(problems));
    let mut image = image?;
    image.groups = groups.unwrap_or_default();
    image.allow_platform_mismatch = mismatch.unwrap_or_default();
    if let Some((platforms, span)) = platforms {
        image.platforms = platforms;
        image.platforms_named = true;
        image.platforms_span = Some(span);
    }
    Some(image)
}

/// An image that has a source and else the defaults.
fn read_source(
    value: &Value<'_>,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<ImageSpec> {
    let text = value.string(problems)?;
    let source = ImageSource::parse(text, &defaults.registry).map_err(|error| {
        let span = match error.offset() {
            Some(offset) => part(&value.span, text, offset),
            None => value.span.clone(),
        };
        let problem = problems.error("invalid-reference", error.to_string());
        problems.push(problem.at(span));
    });
    Some(ImageSpec {
        source: source.ok()?,
        platforms: defaults.platforms.clone(),
        platforms_named: false,
        groups: BTreeSet::new(),
        allow_platform_mismatch: false,
        source_span: value.span.clone(),
        platforms_span: None,
    })
}

fn read_policy(table: &Table<'_>, problems: &mut Problems) -> Policy {
    refuse_unknown(table, &["allow-registries", "require-digest"], problems);
    let allowed = table.get("allow-registries").and_then(|value| value.array(problems));
    let digest = table.get("require-digest").and_then(|value| value.boolean(problems));
    Policy {
        allow_registries: allowed
            .map(|scopes| scopes.iter().filter_map(|scope| read_scope(scope, problems)).collect()),
        require_digest: digest.unwrap_or_default(),
    }
}

/// A registry, or a registry and the start of a repository.
fn read_scope(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.string(problems)?;
    let Some((host, _)) = text.split_once('/') else {
        return checked_registry(text, &value.span, problems);
    };
    let fits = Reference::parse(text, DOCKER_HUB).is_ok_and(|reference| {
        reference.registry() == canonical_registry(host)
            && reference.tag().is_none()
            && reference.digest().is_none()
    });
    if !fits {
        let message = format!("`{text}` is not a registry, perhaps with the start of a repository");
        problems.invalid(value.span.clone(), message);
    }
    fits.then(|| text.to_owned())
}

fn read_mirrors(table: &Table<'_>, problems: &mut Problems) -> BTreeMap<String, Vec<String>> {
    let mut mirrors = BTreeMap::new();
    for value in table.iter() {
        let registry = checked_registry(value.key, &value.key_span, problems);
        let Some(entry) = value.table(problems) else {
            continue;
        };
        refuse_unknown(&entry, &["mirrors"], problems);
        let urls = entry.get("mirrors").and_then(|urls| urls.array(problems)).unwrap_or_default();
        let urls = urls.iter().filter_map(|url| read_mirror(url, problems)).collect();
        if let Some(registry) = registry {
            mirrors.insert(registry, urls);
        }
    }
    mirrors
}

fn read_default_groups(
    table: &Table<'_>,
    set: &ImageSet,
    problems: &mut Problems,
) -> BTreeSet<GroupName> {
    refuse_unknown(table, &["default"], problems);
    let Some(value) = table.get("default") else {
        return BTreeSet::new();
    };
    // An image that has an error is not in the set, and the groups it makes are not known.
    let groups = value.parse_all::<GroupName>(problems).unwrap_or_default();
    // The groups of an image that has an error are not known.
    if problems.is_empty() {
        refuse_unknown_groups(&groups, &set.groups(), problems);
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn refuse_unknown_groups(
    groups: &[(GroupName, Range<usize>)],
    known: &BTreeSet<&GroupName>,
    problems: &mut Problems,
) {
    for (group, span) in groups.iter().filter(|(group, _)| !known.contains(group)) {
        let message = format!("no image is in group `{group}`");
        let problem = problems.error("unknown-group", message).at(span.clone());
        let meant = nearest(group.as_str(), known.iter().map(|known| known.as_str()));
        problems.push(match meant {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem,
        });
    }
}
