//! One thing that `doctor` has to say.

use std::fmt::Display;
use std::ops::Range;

use sandbox_images::spec::diagnostic::{Diagnostic, Severity};
use serde::Serialize;

use crate::cli::failure::{Failure, Problem};
use crate::cli::neutral::one_line;
use crate::cli::texts::{Text, Texts};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Something will not work, or not as meant.
    Warning,
    /// Nothing that needs it will work.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// A stable name of what was found.
    pub(super) code: &'static str,
    pub(super) severity: Level,
    /// What was looked at: a path, a registry, an image.
    pub(super) subject: String,
    /// What was found, as one clause.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
}

impl Finding {
    fn new(
        severity: Level,
        code: &'static str,
        subject: &dyn Display,
        message: impl Into<String>,
    ) -> Self {
        let subject = subject.to_string();
        Self { code, severity, subject, message: message.into(), help: None }
    }

    pub(super) fn ok(
        code: &'static str,
        subject: &dyn Display,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Level::Ok, code, subject, message)
    }

    pub(super) fn warning(
        code: &'static str,
        subject: &dyn Display,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Level::Warning, code, subject, message)
    }

    pub(super) fn error(
        code: &'static str,
        subject: &dyn Display,
        message: impl Into<String>,
    ) -> Self {
        Self::new(Level::Error, code, subject, message)
    }

    /// The same, with this advice.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The finding as one line, with its advice and a line feed.
    pub(super) fn line(&self) -> String {
        let level = match self.severity {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let Self { code, subject, message, help, .. } = self;
        let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        let text = format!("{level:<8} {code:<22} {subject}: {message}{help}");
        one_line(&text.replace('\n', " ")) + "\n"
    }
}

/// The problems of a failure.
pub(super) fn of_failure(failure: &Failure) -> Vec<Finding> {
    let finding = |problem: &Problem| match problem {
        Problem::InFile(diagnostic) => of_diagnostic(diagnostic, &failure.texts),
        Problem::Plain { code, message, help } => {
            let finding = Finding::error(code, &"sandbox-images", message.clone());
            Finding { help: help.clone(), ..finding }
        }
    };
    failure.problems.iter().map(finding).collect()
}

/// A problem of a file, with its line for a subject.
pub(super) fn of_diagnostic(diagnostic: &Diagnostic, texts: &Texts) -> Finding {
    let severity = match diagnostic.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
    };
    let subject = place(texts.of(diagnostic.file), diagnostic.span.as_ref());
    let finding = Finding::new(severity, diagnostic.code, &subject, diagnostic.message.clone());
    Finding { help: diagnostic.help.clone(), ..finding }
}

/// `path:line`, or the path alone.
fn place(text: &Text, span: Option<&Range<usize>>) -> String {
    let path = text.path.display();
    match span.and_then(|span| text.text.get(..span.start)) {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            format!("{path}:{line}")
        }
        None => path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use sandbox_images::spec::diagnostic::Source;

    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_fix() {
        let finding = Finding::warning("store", &"/srv", "is\nodd").help("mend it");
        assert_eq!(finding.line(), "warning  store                  /srv: is odd; mend it\n");
    }

    #[test]
    fn a_problem_of_a_file_names_its_line() {
        let text = Text { path: "config.toml".into(), text: "a = 1\nb = 2\n".to_owned() };
        let texts = Texts { config: text, ..Texts::default() };
        let problem = Diagnostic::error("unknown-key", Source::Config, "unknown key `b`");
        let found = of_diagnostic(&problem.clone().at(6..7), &texts);
        assert_eq!(found.subject, "config.toml:2");
        assert_eq!(of_diagnostic(&problem, &texts).subject, "config.toml");
    }
}
