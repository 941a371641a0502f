//! How failures look: for people with the line and a caret, for programs as JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use sandbox_images::spec::diagnostic::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::cli::failure::{Failure, Problem};
use crate::cli::texts::Texts;

/// The schema of what a failing command prints with `--json`.
pub(crate) const FAILURE_SCHEMA: &str = "sandbox-images/failure/1";

/// A failure as text, with a line feed at its end.
pub(crate) fn human(failure: &Failure, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for problem in &failure.problems {
        let lines = match problem {
            Problem::InFile(diagnostic) => in_file(&renderer, diagnostic, &failure.texts),
            Problem::Plain { code, message, help } => {
                plain(&renderer, code, message, help.as_deref())
            }
        };
        text.push_str(&lines);
        text.push('\n');
    }
    for note in &failure.notes {
        text.push_str("note: ");
        text.push_str(&printable(note));
        text.push('\n');
    }
    text
}

fn plain(renderer: &Renderer, code: &str, message: &str, help: Option<&str>) -> String {
    let message = printable(message);
    let help = help.map(printable);
    let title = Level::ERROR.primary_title(message.as_str()).id(code);
    let group =
        Group::with_title(title).elements(help.as_deref().map(|help| Level::HELP.message(help)));
    renderer.render(&[group])
}

fn in_file(renderer: &Renderer, diagnostic: &Diagnostic, texts: &Texts) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = printable(&diagnostic.message);
    let help = diagnostic.help.as_deref().map(printable);
    let main = diagnostic.span.clone().map(|span| {
        let text = texts.of(diagnostic.file);
        let label = diagnostic.label.as_deref().map(printable);
        let annotation = AnnotationKind::Primary.span(within(span, &text.text)).label(label);
        Snippet::source(&text.text).path(text.path.display().to_string()).annotation(annotation)
    });
    let others = diagnostic.others.iter().map(|other| {
        let text = texts.of(other.file);
        let annotation = AnnotationKind::Primary
            .span(within(other.span.clone(), &text.text))
            .label(printable(&other.text));
        Snippet::source(&text.text).path(text.path.display().to_string()).annotation(annotation)
    });
    let group = Group::with_title(level.primary_title(message.as_str()).id(diagnostic.code))
        .elements(main)
        .elements(others)
        .elements(help.as_deref().map(|help| Level::HELP.message(help)));
    renderer.render(&[group])
}

/// The span, cut to what the text holds.
fn within(span: std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let end = span.end.min(text.len());
    span.start.min(end)..end
}

/// `text` without what a terminal would obey. Names from images and registries get as far as here.
pub(crate) fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if obeyed(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
        safe
    })
}

/// A failure as JSON.
pub(crate) fn failure_json(failure: &Failure) -> Value {
    let problems: Vec<Value> =
        failure.problems.iter().map(|problem| problem_json(problem, &failure.texts)).collect();
    let exit_code = failure.kind.exit_code();
    let mut value =
        json!({ "schema": FAILURE_SCHEMA, "exit_code": exit_code, "diagnostics": problems });
    for (key, detail) in &failure.details {
        value[key] = detail.clone();
    }
    value
}

fn problem_json(problem: &Problem, texts: &Texts) -> Value {
    match problem {
        Problem::InFile(diagnostic) => diagnostic_json(diagnostic, texts),
        Problem::Plain { code, message, help } => json!({
            "code": code, "severity": Severity::Error, "message": message, "file": null, "range": null, "help": help,
        }),
    }
}

fn diagnostic_json(diagnostic: &Diagnostic, texts: &Texts) -> Value {
    let mut value = serde_json::to_value(diagnostic).expect("a diagnostic has string keys only");
    value["file"] = json!(texts.path(diagnostic.file).display().to_string());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\nd"), "a\\u{1b}[31mb\\u{202e}c\nd");
    }
}
