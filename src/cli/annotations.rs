//! Problems as workflow commands, which GitHub shows beside the lines of a pull request.
//!
//! `::error file=…,line=…,col=…,title=…::message`, each on a line of standard error: GitHub reads both
//! outputs of a step, and standard output is data. The rules of escaping are those of GitHub's toolkit,
//! `packages/core/src/command.ts`.

use std::path::Path;

use sandbox_images::spec::diagnostic::{Diagnostic, Severity};

use crate::cli::failure::{Failure, Problem};
use crate::cli::neutral::printable;

/// The problems of a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Annotations<'a> {
    pub(crate) failure: &'a Failure,
    /// The directory that paths are relative to, if it is known.
    pub(crate) workspace: Option<&'a Path>,
}

/// The line of a warning that has no place.
pub(crate) fn warning_line(code: &str, message: &str) -> String {
    command("warning", &[("title", code.to_owned())], message)
}

impl Annotations<'_> {
    /// A line for each problem. Of equal ones, there is one.
    pub(crate) fn lines(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for problem in &self.failure.problems {
            let line = match problem {
                Problem::InFile(diagnostic) => self.in_file(diagnostic),
                Problem::Plain { code, message, help } => {
                    let message = joined(&[Some(message), help.as_ref()]);
                    command("error", &[("title", (*code).to_owned())], &message)
                }
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines.concat()
    }

    fn in_file(&self, diagnostic: &Diagnostic) -> String {
        let Diagnostic { code, severity, message, file, span, label, help, .. } = diagnostic;
        let name = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let text = self.failure.texts.of(*file);
        let mut properties = vec![("file", self.relative(&text.path))];
        if let Some(span) = span {
            let (line, column) = place(&text.text, span.start);
            let (end_line, end_column) = place(&text.text, span.end.max(span.start));
            properties.push(("line", line.to_string()));
            properties.push(("endLine", end_line.to_string()));
            properties.push(("col", column.to_string()));
            // GitHub takes columns of one line only.
            if line == end_line {
                properties.push(("endColumn", end_column.to_string()));
            }
        }
        properties.push(("title", (*code).to_owned()));
        command(name, &properties, &joined(&[Some(message), label.as_ref(), help.as_ref()]))
    }

    /// A path as GitHub knows the file: from the top of the checkout.
    fn relative(&self, path: &Path) -> String {
        let absolute = std::path::absolute(path).ok();
        let below = absolute.as_deref().zip(self.workspace);
        let below = below.and_then(|(path, top)| path.strip_prefix(top).ok());
        below.unwrap_or(path).display().to_string()
    }
}

/// Line and column, from 1, of the byte at `offset`.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn joined(parts: &[Option<&String>]) -> String {
    let parts: Vec<&str> = parts.iter().flatten().map(|part| part.as_str()).collect();
    parts.join("\n")
}

fn command(name: &str, properties: &[(&str, String)], message: &str) -> String {
    let properties: Vec<String> = properties
        .iter()
        .map(|(key, value)| {
            let value = data(value).replace(':', "%3A").replace(',', "%2C");
            format!("{key}={value}")
        })
        .collect();
    format!("::{name} {}::{}\n", properties.join(","), data(message))
}

fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_in_its_place() {
        let line = command("error", &[("file", "a,b:c%.toml".to_owned())], "100 %: a,\r\nb\u{1b}");
        assert_eq!(line, "::error file=a%2Cb%3Ac%25.toml::100 %25: a,%0D%0Ab\\u{1b}\n");
    }

    #[test]
    fn places_count_from_one_in_characters() {
        let text = "a\nöb = 1\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, text.find('b').unwrap()), (2, 2));
        assert_eq!(place(text, 99), (3, 1));
        assert_eq!(place(text, text.find('ö').unwrap() + 1), (2, 1), "never within a character");
    }
}
