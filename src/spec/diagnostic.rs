//! What is wrong with a file, as data: which code, where, and what to do.
//!
//! Nothing here knows how a terminal, a JSON document or a CI annotation looks; the program renders.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// The file that a byte range points into. Its value in JSON is the file's usual name; whoever renders
/// knows the real path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Source {
    /// The user's file.
    #[serde(rename = "sandbox-images.toml")]
    ImageSet,
    /// The lock.
    #[serde(rename = "sandbox-images.lock")]
    Lock,
    /// The user's configuration.
    #[serde(rename = "config.toml")]
    Config,
}

impl Source {
    /// The file's usual name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::ImageSet => "sandbox-images.toml",
            Self::Lock => "sandbox-images.lock",
            Self::Config => "config.toml",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.file_name())
    }
}

/// Whether a diagnostic ends the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It does not: the command goes on.
    Warning,
    /// It does.
    Error,
}

/// A further place that a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The file.
    pub file: Source,
    /// Bytes of the file's text.
    #[serde(rename = "range")]
    pub span: Range<usize>,
    /// What is to be said at that place.
    #[serde(rename = "label")]
    pub text: String,
}

/// One problem of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// A stable name of the kind of problem, such as `unknown-key`.
    pub code: &'static str,
    /// Whether it ends the command.
    pub severity: Severity,
    /// One clause without a full stop.
    pub message: String,
    /// The file it is about.
    pub file: Source,
    /// Bytes of that file's text, if the problem has a place in it.
    #[serde(rename = "range")]
    pub span: Option<Range<usize>>,
    /// What is to be said at that place, beyond the message.
    pub label: Option<String>,
    /// Further places, in the order in which they are to be shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about `file` as a whole.
    pub fn error(code: &'static str, file: Source, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            file,
            span: None,
            label: None,
            others: Vec::new(),
            help: None,
        }
    }

    /// The same, at this place of the file.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// The same, with these words at its place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same, with this advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
