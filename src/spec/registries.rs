//! What both files of a user say about registries: their names, and who mirrors them.

use std::ops::Range;

use crate::oci::reference::{canonical_registry, check_registry};
use crate::spec::walk::{Problems, Value};

/// The canonical name of the registry that `text`, written at `span`, names.
pub(super) fn checked_registry(
    text: &str,
    span: &Range<usize>,
    problems: &mut Problems,
) -> Option<String> {
    match check_registry(text) {
        Ok(()) => Some(canonical_registry(text).to_owned()),
        Err(error) => {
            problems.invalid(part(span, text, error.offset()), error.problem());
            None
        }
    }
}

/// Where the bytes of `text` from `offset` on are written, if it is written at `span` without escapes;
/// else all of it.
pub(super) fn part(span: &Range<usize>, text: &str, offset: usize) -> Range<usize> {
    const QUOTES: usize = 2;
    if span.len() == text.len() + QUOTES && offset < text.len() {
        span.start + 1 + offset..span.end - 1
    } else {
        span.clone()
    }
}

/// The base URL of a mirror. Who the user is does not belong into it: a URL is shown wherever it is used.
pub(super) fn read_mirror(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let url = value.string(problems)?;
    if is_mirror(url) {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let message = "a mirror is `https://HOST[:PORT][/PATH]`, without user name and query";
    problems.invalid(value.span.clone(), message);
    None
}

fn is_mirror(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_matches('/');
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    check_registry(host).is_ok() && (path.is_empty() || path.split('/').all(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_host_and_perhaps_the_start_of_a_path() {
        for url in ["https://m.example", "http://[::1]:5000/", "https://m.example/v2/docker-hub/"] {
            assert!(is_mirror(url), "{url}");
        }
        for url in [
            "m.example",
            "ftp://m.example",
            "https://",
            "https://ann:pw@m.example",
            "https://m.example/?ns=x",
            "https://m.example/#x",
            "https://m.example/a//b",
            "https://m.example/a b",
        ] {
            assert!(!is_mirror(url), "{url}");
        }
    }
}
