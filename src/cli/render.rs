//! How failures look: for people with the line and a caret, for programs as JSON.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use sandbox_images::spec::diagnostic::{Diagnostic, Severity, Source};
use serde_json::{Value, json};

use crate::cli::failure::{Failure, Problem};
pub(crate) use crate::cli::neutral::printable;
use crate::cli::neutral::{blanked, one_line};
use crate::cli::texts::{Text, Texts};

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
    let groups = [Group::with_title(title)].into_iter().chain(help.as_deref().map(advice));
    renderer.render(&groups.collect::<Vec<_>>())
}

fn in_file(renderer: &Renderer, diagnostic: &Diagnostic, texts: &Texts) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = printable(&diagnostic.message);
    let help = diagnostic.help.as_deref().map(printable);
    let place = |file: Source, span: Range<usize>, label: Option<String>| {
        let Text { path, text } = texts.of(file);
        let annotation = AnnotationKind::Primary.span(within(span, text)).label(label);
        let path = one_line(&path.display().to_string());
        Snippet::source(blanked(text)).path(path).annotation(annotation)
    };
    let label = diagnostic.label.as_deref().map(printable);
    let main = diagnostic.span.clone().map(|span| place(diagnostic.file, span, label));
    let others = diagnostic.others.iter();
    let others =
        others.map(|other| place(other.file, other.span.clone(), Some(printable(&other.text))));
    let group = Group::with_title(level.primary_title(message.as_str()).id(diagnostic.code))
        .elements(main)
        .elements(others);
    let groups = [group].into_iter().chain(help.as_deref().map(advice));
    renderer.render(&groups.collect::<Vec<_>>())
}

/// What to do, on a line of its own.
fn advice(help: &str) -> Group<'_> {
    Group::with_title(Level::HELP.secondary_title(help))
}

/// The span, cut to what the text holds.
fn within(span: Range<usize>, text: &str) -> Range<usize> {
    let end = span.end.min(text.len());
    span.start.min(end)..end
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
