//! From the text of `config.toml` to a [`Config`].

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use crate::spec::config::value::{age, duration, number, path, size};
use crate::spec::config::{Config, FILE_BYTES_MAX, Gc, Network, Registry, limits, registry};
use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::registries::checked_registry;
use crate::spec::walk::{Problems, Table, document};

/// The keys of the file itself.
pub(super) const ROOT_KEYS: [&str; 10] = [
    "store",
    "allow-foreign-owner",
    "keep-blobs",
    "trust-lock",
    "jobs",
    "publish",
    "network",
    "limits",
    "gc",
    "registries",
];

/// The keys of `[network]`.
pub(super) const NETWORK_KEYS: [&str; 7] = [
    "connect-timeout",
    "idle-timeout",
    "helper-timeout",
    "tries",
    "failures-per-registry",
    "retry-after-max",
    "bytes-per-second-min",
];

/// The keys of `[gc]`.
pub(super) const GC_KEYS: [&str; 3] = ["max-age", "max-size", "auto"];

/// Layers at once: each holds an open connection, some files and up to 16 MiB.
const JOBS_MAX: u64 = 1024;

/// Tries of a request and failures of a registry: who wants more wants to wait for ever.
const FAILURES_MAX: u64 = 1_000_000;

/// Bytes a second that may be demanded: 1 TiB/s is faster than any link.
const SPEED_MAX: u64 = 1 << 40;

pub(super) fn config(text: &str) -> Result<Config, Vec<Diagnostic>> {
    if text.len() > FILE_BYTES_MAX {
        let message =
            format!("the file has {} bytes, at most {FILE_BYTES_MAX} are read", text.len());
        return Err(vec![Diagnostic::error("too-large", Source::Config, message)]);
    }
    document(text, Problems::new(Source::Config), read_root)
}

fn read_root(root: &Table<'_>, problems: &mut Problems) -> Config {
    root.refuse_unknown(&ROOT_KEYS, problems);
    let table = |key, problems: &mut Problems| root.get(key)?.table(problems);
    let is_said = |key, problems: &mut Problems| {
        root.get(key).and_then(|value| value.boolean(problems)).unwrap_or(false)
    };
    let jobs = root.get("jobs").and_then(|value| number(&value, 1..=JOBS_MAX, problems));
    Config {
        store: root.get("store").and_then(|value| path(&value, problems)),
        allow_foreign_owner: is_said("allow-foreign-owner", problems),
        keep_blobs: is_said("keep-blobs", problems),
        trust_lock: is_said("trust-lock", problems),
        jobs: jobs.and_then(|jobs| NonZeroUsize::new(usize::try_from(jobs).ok()?)),
        publish: root
            .get("publish")
            .and_then(|value| value.parse_all(problems))
            .map_or_else(Vec::new, |targets| {
                targets.into_iter().map(|(target, _)| target).collect()
            }),
        network: table("network", problems)
            .map_or_else(Network::default, |network| read_network(&network, problems)),
        limits: table("limits", problems)
            .map_or_else(Default::default, |limits| limits::read(&limits, problems)),
        gc: table("gc", problems).map_or_else(Gc::default, |gc| read_gc(&gc, problems)),
        registries: table("registries", problems)
            .map_or_else(BTreeMap::new, |registries| read_registries(&registries, problems)),
    }
}

fn read_network(table: &Table<'_>, problems: &mut Problems) -> Network {
    table.refuse_unknown(&NETWORK_KEYS, problems);
    let timeout = |key, problems: &mut Problems| {
        let value = table.get(key)?;
        let timeout = duration(&value, problems)?;
        if timeout.is_zero() {
            problems.invalid(value.span, format!("`network.{key}` is longer than nothing"));
            return None;
        }
        Some(timeout)
    };
    let count = |key, range, problems: &mut Problems| {
        u32::try_from(number(&table.get(key)?, range, problems)?).ok()
    };
    Network {
        connect_timeout: timeout("connect-timeout", problems),
        idle_timeout: timeout("idle-timeout", problems),
        helper_timeout: timeout("helper-timeout", problems),
        tries: count("tries", 1..=FAILURES_MAX, problems),
        failures_per_registry: count("failures-per-registry", 0..=FAILURES_MAX, problems),
        retry_after_max: table.get("retry-after-max").and_then(|value| duration(&value, problems)),
        bytes_per_second_min: table
            .get("bytes-per-second-min")
            .and_then(|value| number(&value, 0..=SPEED_MAX, problems)),
    }
}

fn read_gc(table: &Table<'_>, problems: &mut Problems) -> Gc {
    table.refuse_unknown(&GC_KEYS, problems);
    Gc {
        age_max: table.get("max-age").and_then(|value| age(&value, problems)),
        size_bytes_max: table.get("max-size").and_then(|value| size(&value, problems)),
        auto: table.get("auto").and_then(|value| value.boolean(problems)).unwrap_or(true),
    }
}

fn read_registries(table: &Table<'_>, problems: &mut Problems) -> BTreeMap<String, Registry> {
    let mut registries = BTreeMap::new();
    for value in table.iter() {
        // The name of what is no registry could hold a password, and problems name their keys.
        let Some(name) = checked_registry(value.key, &value.key_span, problems) else {
            continue;
        };
        let Some(entry) = value.table(problems) else {
            continue;
        };
        let message = format!("registry `{name}` is named twice");
        if registries.insert(name, registry::read(&entry, problems)).is_some() {
            problems.invalid(value.key_span, message);
        }
    }
    registries
}
