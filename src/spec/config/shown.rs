//! The text of `config.toml` as it may be shown: what could be a secret is stars.
//!
//! An error shows the line that it is about, and a password may stand in that line: under a key with a slip
//! of typing, in a comment, or in a string that never ends. So nothing is shown for being harmless by looks:
//! what is kept is keys, punctuation, and the values of keys that are known to hold no secret. Every
//! character is replaced by as many stars as it has bytes, so that places in the text stay what they are.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::spec::config::credential::SECRETS;
use crate::spec::config::limits::LIMITS;
use crate::spec::config::read::{GC_KEYS, NETWORK_KEYS, ROOT_KEYS};
use crate::spec::config::registry;

/// What stands between keys and values.
const PUNCTUATION: &str = " \t\r[]{}=,.\"'";

/// `text` with stars in place of all that could be a secret. It has as many bytes as `text`, and the same
/// lines.
pub fn shown(text: &str) -> String {
    let known = known_keys();
    let mut kept = vec![false; text.len()];
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        keep_between(text, &known, &mut kept);
        keep_table(root.get_ref(), text, &known, &mut kept);
    } else {
        // Nobody knows where a string of this text ends.
        for line in lines(text) {
            keep_key(text, line, &known, &mut kept);
        }
    }
    let stars = |(at, character): (usize, char)| {
        if kept[at] || character == '\n' {
            character.to_string()
        } else {
            "*".repeat(character.len_utf8())
        }
    };
    text.char_indices().map(stars).collect()
}

fn known_keys() -> Vec<&'static str> {
    let limits = LIMITS.iter().map(|limit| limit.key);
    ROOT_KEYS
        .into_iter()
        .chain(NETWORK_KEYS)
        .chain(GC_KEYS)
        .chain(limits)
        .chain(registry::keys())
        .collect()
}

/// The lines of `text`, each with its end.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let line = start..start + line.len();
        start = line.end;
        line
    })
}

/// Keeps what a line of any text has for a key: known words before the first `=`, or in a table's header.
fn keep_key(text: &str, line: Range<usize>, known: &[&str], kept: &mut [bool]) {
    let content = &text[line.clone()];
    let end = match (content.find('='), content.rfind(']')) {
        (Some(sign), _) => sign + 1,
        (None, Some(bracket)) if content.trim_start().starts_with('[') => bracket + 1,
        (None, _) => return,
    };
    keep_words(text, line.start..line.start + end, known, kept);
}

/// Keeps punctuation and known words of a part of the text.
fn keep_words(text: &str, part: Range<usize>, known: &[&str], kept: &mut [bool]) {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut at = part.start;
    for piece in text[part].split_inclusive(|c| !is_word(c)) {
        let word = piece.trim_end_matches(|c| !is_word(c));
        if known.contains(&word) {
            kept[at..at + word.len()].fill(true);
        }
        if piece.ends_with(|c| PUNCTUATION.contains(c)) {
            kept[at + piece.len() - 1] = true;
        }
        at += piece.len();
    }
}

/// Keeps what stands between the values of a text without errors: known words and punctuation, but not in
/// comments. What this keeps of a value, [`keep_table`] takes back.
fn keep_between(text: &str, known: &[&str], kept: &mut [bool]) {
    for line in lines(text) {
        let content = &text[line.clone()];
        let end = content.find('#').map_or(line.end, |sign| line.start + sign);
        keep_words(text, line.start..end, known, kept);
    }
}

/// Keeps keys and harmless values, and hides all other values.
fn keep_table(table: &DeTable<'_>, text: &str, known: &[&str], kept: &mut [bool]) {
    for (key, value) in table {
        let (span, key) = (key.span(), key.get_ref().as_ref());
        kept[span].fill(!may_hold_user(key));
        keep_value(value, known.contains(&key) && !SECRETS.contains(&key), text, known, kept);
    }
}

fn keep_value(
    value: &Spanned<DeValue<'_>>,
    is_harmless: bool,
    text: &str,
    known: &[&str],
    kept: &mut [bool],
) {
    match value.get_ref() {
        DeValue::Table(table) => keep_table(table, text, known, kept),
        DeValue::Array(elements) => {
            for element in elements {
                keep_value(element, is_harmless, text, known, kept);
            }
        }
        DeValue::String(string) if may_hold_user(string) => kept[value.span()].fill(false),
        // A string that somebody forgot to end holds what stands below it.
        _ => {
            let is_one_line = !text[value.span()].contains('\n');
            kept[value.span()].fill(is_harmless && is_one_line);
        }
    }
}

/// Whether `text` could be a URL with a password, which belongs into no URL.
fn may_hold_user(text: &str) -> bool {
    text.contains(['@', '?'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::config::Config;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shown(text), expected);
        assert_eq!(expected.len(), text.len());
    }

    #[test]
    fn values_of_known_keys_are_shown_and_secrets_are_not() {
        check("jobs = 4\r\nstore = '/srv'", "jobs = 4\r\nstore = '/srv'");
        check(
            "[registries.\"r.example\"]\nusername = \"ann\"\npassword = \"a=b, 'ü'\" # or c",
            "[registries.\"r.example\"]\nusername = \"ann\"\npassword = *********** ******",
        );
        check(
            "registries.'r.example' = { helper = 'x', password = \"\"\"a\nstore = b\"\"\" }",
            "registries.'r.example' = { helper = 'x', password = ****\n************ }",
        );
        check(
            "[registries.a]\nmirrors = ['https://a:b@c', 'https://d']\n[registries.b]",
            "[registries.a]\nmirrors = [***************, 'https://d']\n[registries.b]",
        );
        check("store = '''\na = 'x'\n'''", "store = ***\n*******\n***");
    }

    #[test]
    fn values_of_unknown_keys_are_not_shown() {
        check("pasword = 'x y'\ntoken = 12", "pasword = *****\ntoken = **");
        check(
            "[registries.a.b]\npassword = { c = 'x' }",
            "[registries.a.b]\npassword = { c = *** }",
        );
    }

    #[test]
    fn of_a_broken_text_known_keys_alone_are_shown() {
        check("password = \"x, jobs = 4", "password =*************");
        check("password = \"x\"\npassword = 'y'", "password =****\npassword =****");
        check("password 'x'\nstore = '/srv'", "************\nstore =*******");
        check("password = '''\nx\ny = z\n", "password =****\n*\n* =**\n");
        check("[registries.'r.example'] 'x'\njobs", "[registries.'*.*******']****\n****");
    }

    const BEFORE: &str = "store = '/srv' # x\n[registries.\"r.example\"]\nusername = \"ann\"\n";
    const BEHIND: &str = "\nmirrors = [\"https://m\"]\n[limits]\nlayers-max = 3\n";

    /// A part of a file with some characters put in or taken out.
    fn mistyped(part: &'static str) -> impl Strategy<Value = String> {
        let edit = (any::<prop::sample::Index>(), prop::option::of("[\"'=#\\[\\]{}\n,. @a\\\\]"));
        prop::collection::vec(edit, 0..4).prop_map(move |edits| {
            let mut text = part.to_owned();
            for (place, inserted) in edits {
                let at = place.index(text.len());
                match inserted {
                    Some(character) => text.insert_str(at, &character),
                    None => drop(text.remove(at)),
                }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn no_slip_of_typing_shows_a_password(
            before in mistyped(BEFORE),
            key in mistyped("password = \""),
            behind in mistyped("\" # x"),
            rest in mistyped(BEHIND),
        ) {
            let text = format!("{before}{key}hunter2{behind}{rest}");
            let shown = shown(&text);
            prop_assert!(!shown.contains("hunter2"), "{shown}");
            prop_assert_eq!(shown.len(), text.len());
            for problem in Config::parse(&text).err().into_iter().flatten() {
                let span = problem.span.clone().unwrap_or_default();
                prop_assert!(shown.get(span).is_some(), "{problem:?}");
                prop_assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
            }
        }

        #[test]
        fn any_text_keeps_its_length_and_its_lines(text in "\\PC*|[\\pL\n='\"# ]*") {
            let shown = shown(&text);
            prop_assert_eq!(shown.len(), text.len());
            prop_assert_eq!(shown.lines().count(), text.lines().count());
        }
    }
}
