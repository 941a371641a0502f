//! What of a registry's URLs and words is shown to people.

use std::fmt;

use reqwest::Url;
use serde::Deserialize;

/// Bytes of an error's body that are read: more than any registry has to say.
pub(super) const ERROR_BYTES_MAX: usize = 64 << 10;

/// Characters of a registry's words that are shown.
const SHOWN_CHARS_MAX: usize = 1 << 10;

/// A URL without userinfo and query, where passwords and presigned keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownUrl(String);

impl ShownUrl {
    /// What may be shown of `url`.
    pub fn of(url: &Url) -> Self {
        let query = if url.query().is_some() { "?…" } else { "" };
        let origin = url.origin().ascii_serialization();
        Self(format!("{origin}{}{query}", url.path()))
    }
}

impl fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a registry says about an error: escaped, and short enough for a screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(String);

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Words {
    /// The first error of a body in the distribution protocol's form ("Error Codes"); of another body,
    /// nothing: it is a page for a browser.
    pub fn of(body: &[u8]) -> Self {
        let first = serde_json::from_slice::<ErrorBody>(body)
            .ok()
            .and_then(|body| body.errors.into_iter().next());
        first.map_or_else(Self::default, |error| {
            Self(escaped(format!("{}: {}", error.code, error.message).trim_matches([':', ' '])))
        })
    }
}

impl fmt::Display for Words {
    /// `: ` and the words, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.0)
    }
}

/// `text` without characters that a terminal would obey, and cut to what a screen holds.
pub(super) fn escaped(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .flat_map(|character| {
            match character {
                '"' | '\'' | '\\' => character.to_string(),
                other => other.escape_debug().to_string(),
            }
            .chars()
            .collect::<Vec<_>>()
        })
        .take(SHOWN_CHARS_MAX)
        .collect();
    if text.chars().count() > SHOWN_CHARS_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        let url = Url::parse("https://user:pass@host:5000/v2/a?X-Amz-Signature=key#x").unwrap();
        assert_eq!(ShownUrl::of(&url).to_string(), "https://host:5000/v2/a?…");
    }

    #[test]
    fn a_registrys_words_do_not_reach_the_terminal_as_they_are() {
        let body = br#"{"errors":[{"code":"DENIED","message":"\u001b[2Jno \u202eway"}]}"#;
        let words = Words::of(body).to_string();
        assert_eq!(words, r": DENIED: \u{1b}[2Jno \u{202e}way");
        assert_eq!(Words::of(b"<html>").to_string(), "");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(5000));
        assert_eq!(Words::of(long.as_bytes()).to_string().chars().count(), 2 + 1024 + 1);
    }
}
