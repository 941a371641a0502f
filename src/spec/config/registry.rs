//! `[registries."HOST"]`: how one registry is reached.

use crate::spec::config::value::path;
use crate::spec::config::{ClientCertificate, Insecure, Placed, Registry, credential};
use crate::spec::registries::read_mirror;
use crate::spec::walk::{Problems, Table, Value};

/// The keys beside those of a credential.
const KEYS: [&str; 6] =
    ["mirrors", "fallback", "insecure", "ca", "client-certificate", "client-key"];

/// All keys, in the order in which they are documented.
pub(super) fn keys() -> Vec<&'static str> {
    KEYS.into_iter().chain(credential::KEYS).collect()
}

pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Registry {
    table.refuse_unknown(&keys(), problems);
    let mirrors = table.get("mirrors").and_then(|value| value.array(problems));
    let mirrors = mirrors.map(|urls| {
        let urls = urls.iter().filter_map(|url| {
            Some(Placed { value: read_mirror(url, problems)?, span: url.span.clone() })
        });
        urls.collect()
    });
    let fallback = table.get("fallback").and_then(|value| value.boolean(problems));
    let insecure = table.get("insecure").and_then(|value| read_insecure(&value, problems));
    refuse_without_tls(table, insecure, problems);
    let ca = table.get("ca").and_then(|value| path(&value, problems));
    Registry {
        mirrors,
        fallback: fallback.unwrap_or(true),
        insecure,
        ca,
        client: read_client(table, problems),
        credential: credential::read(table, problems),
    }
}

fn read_insecure(value: &Value<'_>, problems: &mut Problems) -> Option<Insecure> {
    match value.string(problems)? {
        "http" => Some(Insecure::Http),
        "skip-verify" => Some(Insecure::SkipVerify),
        _ => {
            let message = "`insecure` is `http` (no TLS) or `skip-verify` (any certificate)";
            problems.invalid(value.span.clone(), message);
            None
        }
    }
}

/// Certificates that nobody would look at are a mistake.
fn refuse_without_tls(table: &Table<'_>, insecure: Option<Insecure>, problems: &mut Problems) {
    let (pointless, named) = match insecure {
        None => return,
        Some(Insecure::Http) => (&["ca", "client-certificate"][..], "http"),
        Some(Insecure::SkipVerify) => (&["ca"][..], "skip-verify"),
    };
    for value in pointless.iter().filter_map(|key| table.get(key)) {
        let message = format!("`{}` and `insecure = \"{named}\"` exclude each other", value.key);
        problems.push(problems.error("conflicting-keys", message).at(value.key_span));
    }
}

fn read_client(table: &Table<'_>, problems: &mut Problems) -> Option<ClientCertificate> {
    let certificate = table.get("client-certificate");
    let key = table.get("client-key");
    if certificate.is_none()
        && let Some(key) = &key
    {
        let message = "`client-key` has no `client-certificate` beside it";
        problems.push(problems.error("missing-key", message).at(key.key_span.clone()));
    }
    let key = key.and_then(|value| path(&value, problems));
    Some(ClientCertificate { certificate: path(&certificate?, problems)?, key })
}
