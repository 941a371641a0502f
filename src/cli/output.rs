//! Where words go: data to standard output, everything else to standard error.

use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};
use sandbox_images::plan::event::VERSION;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::annotations::{Annotations, warning_line};
use crate::cli::args::{Color, Global, Progress};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::neutral::{self, one_line, printable};
use crate::cli::render;
use crate::cli::screen;

/// How this run prints.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is decided by itself")]
pub(crate) struct Output {
    /// Data and failures are JSON.
    pub(crate) json: bool,
    /// Only failures go to standard error.
    pub(crate) quiet: bool,
    /// Standard error is coloured.
    pub(crate) color: bool,
    /// The form of progress, with `auto` decided.
    pub(crate) progress: Progress,
    /// Problems are annotated for GitHub.
    github: bool,
}

/// What kind of thing a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Something is done.
    Done,
    /// Something takes its time or is to be known.
    Notice,
    /// Something that could be done next.
    Hint,
}

/// An event of the program's own, in the form of the library's.
#[derive(Debug, Serialize)]
struct Named<'a> {
    v: u32,
    event: &'a str,
    #[serde(flatten)]
    fields: Value,
}

/// Columns of the verb of a line.
const VERB_CHARS: usize = 10;

impl Output {
    pub(crate) fn new(global: &Global, environment: &Environment) -> Self {
        let is_screen = std::io::stderr().is_terminal() && !environment.is_dumb;
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !environment.no_color && is_screen,
        };
        let progress = match global.progress {
            _ if global.quiet => Progress::None,
            Progress::Auto | Progress::Bar if is_screen => Progress::Bar,
            Progress::Auto | Progress::Bar => Progress::Plain,
            chosen => chosen,
        };
        let github = environment.github && progress != Progress::Json;
        Self { json: global.json, quiet: global.quiet, color, progress, github }
    }

    /// Says something to a person.
    pub(crate) fn note(self, text: &str) {
        if self.quiet {
            return;
        }
        if self.progress == Progress::Json {
            return event("note", json!({ "message": text }));
        }
        screen::tell(&format!("{}\n", printable(text)));
    }

    /// Says something to a person, in a line that begins with a verb.
    pub(crate) fn say(self, tone: Tone, verb: &str, text: &str) {
        if self.quiet {
            return;
        }
        if self.progress == Progress::Json {
            return event("note", json!({ "message": format!("{verb} {text}") }));
        }
        let color = match tone {
            Tone::Done => AnsiColor::Green,
            Tone::Notice => AnsiColor::Yellow,
            Tone::Hint => AnsiColor::Cyan,
        };
        let style = Style::new().bold().fg_color(Some(color.into()));
        let style = if self.color { style } else { Style::new() };
        screen::tell(&format!("{style}{verb:>VERB_CHARS$}{style:#} {}\n", one_line(text)));
    }

    /// Says to a person at a screen what could be done next.
    pub(crate) fn hint(self, text: &str) {
        if self.progress == Progress::Bar {
            self.say(Tone::Hint, "Next", text);
        }
    }

    /// Says what does not end the command and should be known.
    pub(crate) fn warning(self, code: &str, message: &str) {
        self.say(Tone::Notice, "Warning", message);
        if self.github && !self.quiet {
            screen::tell(&warning_line(code, message));
        }
    }

    /// Says what ended the command, unless that was told.
    pub(crate) fn failure(self, failure: &Failure, environment: &Environment) {
        if failure.problems.is_empty() {
            return;
        }
        let value = render::failure_json(failure);
        if self.json {
            json(&value);
        }
        if self.progress == Progress::Json && !self.quiet {
            for problem in value["diagnostics"].as_array().into_iter().flatten() {
                event("diagnostic", problem.clone());
            }
            for note in &failure.notes {
                self.note(note);
            }
            return;
        }
        screen::tell(&render::human(failure, self.color));
        if self.github {
            let workspace = environment.workspace.as_deref();
            screen::tell(&Annotations { failure, workspace }.lines());
        }
    }
}

/// Prints data. Whoever closed the pipe wants no more of it; any other failure is one of the run.
pub(crate) fn data(bytes: impl AsRef<[u8]>) {
    screen::data(bytes.as_ref());
}

/// Prints data for people, in which nothing is obeyed by a terminal.
pub(crate) fn text(text: &str) {
    data(printable(text));
}

/// Prints data as one line of JSON.
pub(crate) fn json(value: &impl Serialize) {
    let mut line = serde_json::to_string(value).expect("what is printed has string keys only");
    line.push('\n');
    data(neutral::json(&line));
}

/// Writes an event of the program's own beside those of the library.
pub(crate) fn event(name: &str, fields: Value) {
    let event = Named { v: VERSION, event: name, fields };
    let line = serde_json::to_string(&event).expect("an event has string keys only");
    screen::tell(&format!("{}\n", neutral::json(&line)));
}
