//! Names from outside, made safe to print: in one line, without control characters, and short.

use std::fmt::{self, Write as _};

/// What is shown of one name: enough to find it, never a page of it.
const SHOWN_BYTES_MAX: usize = 256;

/// Shows a byte string from a layer: text as it is, everything that could move a terminal's cursor or
/// turn its direction as a Rust escape, what is not UTF-8 as `\xNN`, and `…` where it was cut.
#[derive(Debug, Clone, Copy)]
pub struct DisplayBytes<'a>(pub &'a [u8]);

impl fmt::Display for DisplayBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        for chunk in shown.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\'' | '"' => f.write_char(character)?,
                    _ => write!(f, "{}", character.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &[u8], shown: &str) {
        assert_eq!(DisplayBytes(name).to_string(), shown);
    }

    #[test]
    fn text_is_shown_as_it_is() {
        check("usr/lib/größe \"a\" 'b'".as_bytes(), "usr/lib/größe \"a\" 'b'");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        check(b"a\x1b[31m\nb\\", "a\\u{1b}[31m\\nb\\\\");
        check("a\u{202e}b".as_bytes(), "a\\u{202e}b");
        check(b"a\xff\xfeb\0", "a\\xff\\xfeb\\0");
    }

    #[test]
    fn a_long_name_is_cut() {
        check(&[b'a'; 1000], &format!("{}…", "a".repeat(256)));
    }
}
