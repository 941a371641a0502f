//! Texts from outside, made harmless for a terminal, a log of a CI and a page of Markdown.
//!
//! Names, labels, paths and a registry's words can hold characters that a terminal obeys, that turn the
//! direction of writing around, or that nobody sees. Everything that people read goes through here.

/// Whether `c` does something else than standing for itself: controls, directions, and what has no width.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// `text` with every character that is obeyed written as its number. Line feeds, with or without a
/// carriage return, and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let stays = match c {
            '\n' | '\t' => true,
            '\r' => characters.peek() == Some(&'\n'),
            other => !is_obeyed(other),
        };
        if stays {
            safe.push(c);
        } else {
            safe.extend(c.escape_unicode());
        }
    }
    safe
}

/// The same as one line: no name can end it and begin one of its own.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace("\r\n", "\\n").replace('\n', "\\n").replace('\t', " ")
}

/// JSON of the same value in which every character that is obeyed is escaped, as JSON itself would write it.
/// Outside of its strings it has no such character but line feeds, which stay.
pub(crate) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_obeyed(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.extend([format!("\\u{unit:04x}")]);
        }
    }
    safe
}

/// `text` with as many bytes in every place, so that ranges of bytes still fit: what is obeyed becomes a
/// sign that is not.
pub(crate) fn blanked(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let ends_line = c == '\n' || c == '\r' && characters.peek() == Some(&'\n');
        safe.push(match c.len_utf8() {
            _ if ends_line || c == '\t' || !is_obeyed(c) => c,
            1 => '?',
            2 => '\u{bf}',
            3 => char::REPLACEMENT_CHARACTER,
            _ => '\u{1f6ab}',
        });
    }
    safe
}

/// `text` as code in a cell of a table in Markdown, which neither bars nor markup break.
pub(crate) fn code(text: &impl ToString) -> String {
    let text = one_line(&text.to_string()).replace('`', "'").replace('|', "\\|");
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31mb\u{202e}c\u{85}d\u{e0041}\r\ne\rf\tg\u{200b}";

    #[test]
    fn what_is_obeyed_is_written_as_its_number() {
        let shown = "a\\u{1b}[31mb\\u{202e}c\\u{85}d\\u{e0041}\r\ne\\u{d}f\tg\\u{200b}";
        assert_eq!(printable(HOSTILE), shown);
        assert_eq!(one_line("a\nb\r\nc\td"), "a\\nb\\nc d");
    }

    #[test]
    fn json_keeps_its_value() {
        let text = serde_json::to_string(HOSTILE).unwrap();
        let safe = json(&text);
        assert!(safe.is_ascii(), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), HOSTILE);
    }

    #[test]
    fn a_blanked_text_has_its_characters_in_their_places() {
        let safe = blanked(HOSTILE);
        assert_eq!(safe, "a?[31mb\u{fffd}c\u{bf}d\u{1f6ab}\r\ne?f\tg\u{fffd}");
        let places = |text: &str| text.char_indices().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(places(&safe), places(HOSTILE));
    }

    #[test]
    fn code_stays_in_its_cell() {
        assert_eq!(code(&"a`<b>|\nc"), "`a'<b>\\|\\nc`");
    }
}
