//! What is wrong, what was looked at, and what is known of both by their codes.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// One thing that is wrong.
#[derive(JsonSchema)]
pub(crate) struct Diagnostic {
    /// A stable name, which `explain` knows.
    code: String,
    /// Whether it ended the command.
    severity: Severity,
    /// One clause.
    message: String,
    /// The file it is about.
    file: Option<String>,
    /// Bytes of that file.
    range: Option<BTreeMap<String, u64>>,
    /// What to do.
    help: Option<String>,
}

/// How bad it is.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// The command went on.
    Warning,
    /// It did not.
    Error,
}

/// One thing that was looked at.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Finding {
    /// A stable name, which `explain` knows.
    code: String,
    /// `ok`, `warning` or `error`.
    severity: String,
    /// What was looked at.
    subject: String,
    /// What was found.
    message: String,
    /// What to do.
    help: Option<String>,
}

/// What is known of a code.
#[derive(JsonSchema)]
pub(in crate::spec::schema) struct Explained {
    /// The code.
    code: String,
    /// What it says.
    meaning: String,
    /// How it comes about.
    cause: String,
    /// What to do.
    remedy: String,
}
