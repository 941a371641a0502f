//! Where words go: data to standard output, everything else to standard error.
#![expect(clippy::print_stderr, reason = "this is what prints")]

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use crate::cli::args::{Color, Global, Progress};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::render;

/// How this run prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Data and failures are JSON.
    pub(crate) json: bool,
    /// Only failures go to standard error.
    pub(crate) quiet: bool,
    /// Standard error is coloured.
    pub(crate) color: bool,
    /// The form of progress, with `auto` decided.
    pub(crate) progress: Progress,
}

impl Output {
    pub(crate) fn new(global: &Global, environment: &Environment) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !environment.no_color && std::io::stderr().is_terminal(),
        };
        let progress = match global.progress {
            _ if global.quiet => Progress::None,
            Progress::Auto => Progress::Plain,
            chosen => chosen,
        };
        Self { json: global.json, quiet: global.quiet, color, progress }
    }

    /// Says something to a person.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("{}", render::printable(text));
        }
    }

    /// Says what ended the command, unless that was told.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.problems.is_empty() {
            return;
        }
        if self.json {
            json(&render::failure_json(failure));
        }
        eprint!("{}", render::human(failure, self.color));
    }
}

/// Prints data. Whoever closed the pipe wants no more of it.
pub(crate) fn data(bytes: impl AsRef<[u8]>) {
    let _ = std::io::stdout().write_all(bytes.as_ref());
}

/// Prints data as one line of JSON.
pub(crate) fn json(value: &impl Serialize) {
    let mut line = serde_json::to_string(value).expect("what is printed has string keys only");
    line.push('\n');
    data(line);
}
