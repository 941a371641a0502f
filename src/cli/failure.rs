//! What ended a command: exit code, problems, and what to do about each.

use std::error::Error as StdError;
use std::process::ExitCode;

use sandbox_images::engine::error::{Error as EngineError, Kind as EngineKind};
use sandbox_images::spec::diagnostic::Diagnostic;
use sandbox_images::spec::name::ImageName;
use sandbox_images::store::error::{Class, Error as StoreError};
use sandbox_images::words::with_causes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::texts::Texts;

/// Why a command did not succeed. The exit codes are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Network after retries, I/O, build.
    Failed,
    /// A wrong command line, `sandbox-images.toml` or configuration.
    Usage,
    /// The lock is missing, stale, conflicted or too new, and the mode may not change it.
    Stale,
    /// Something is not in the store, and the mode may not fetch or build it.
    Missing,
    /// A digest, a size, a `diff_id` or an artifact is not what it should be.
    Integrity,
    /// Authentication, authorisation or policy.
    Denied,
    /// Another process held a guard for longer than this one would wait.
    Busy,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl From<Class> for Kind {
    fn from(class: Class) -> Self {
        EngineKind::from(class).into()
    }
}

impl From<EngineKind> for Kind {
    fn from(kind: EngineKind) -> Self {
        match kind {
            EngineKind::Failed => Self::Failed,
            EngineKind::Missing => Self::Missing,
            EngineKind::Integrity => Self::Integrity,
            EngineKind::Denied => Self::Denied,
            EngineKind::Busy => Self::Busy,
            EngineKind::Stale => Self::Stale,
        }
    }
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Stale => 3,
            Self::Missing => 4,
            Self::Integrity => 5,
            Self::Denied => 6,
            Self::Busy => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Where several things fail, the most serious gives the exit code.
    fn seriousness(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Missing => 1,
            Self::Stale => 2,
            Self::Denied => 3,
            Self::Integrity => 4,
            Self::Usage | Self::Busy | Self::Interrupted | Self::Terminated => 5,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) enum Problem {
    /// In one of the files that people write, with its place there.
    InFile(Diagnostic),
    /// Anywhere else.
    Plain { code: &'static str, message: String, help: Option<String> },
}

/// Everything that ended a command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) problems: Vec<Problem>,
    /// The texts that diagnostics point into.
    pub(crate) texts: Box<Texts>,
    /// Sentences for people, below the problems.
    pub(crate) notes: Vec<String>,
    /// Data for programs, beside the problems.
    pub(crate) details: Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        let problem = Problem::Plain { code, message: message.into(), help: None };
        Self { kind, problems: vec![problem], ..Self::empty(kind) }
    }

    /// A failure of which everything was said.
    pub(crate) fn told(kind: Kind) -> Self {
        Self::empty(kind)
    }

    fn empty(kind: Kind) -> Self {
        let (problems, notes) = (Vec::new(), Vec::new());
        Self { kind, problems, texts: Box::default(), notes, details: Map::new() }
    }

    /// A failure of the store.
    pub(crate) fn store(error: &StoreError) -> Self {
        let failure = Self::of(error.class().into(), error.code(), error);
        error.help().into_iter().fold(failure, Self::help)
    }

    /// A failure to do something for an image.
    pub(crate) fn engine(image: &str, error: &EngineError) -> Self {
        Self::engine_kind(error.kind(), error.code(), image, error, error.help())
    }

    /// The same, whose problems are those of `subject`.
    pub(crate) fn about(mut self, subject: &str) -> Self {
        for problem in &mut self.problems {
            if let Problem::Plain { message, .. } = problem {
                *message = format!("{subject}: {message}");
            }
        }
        self
    }

    /// A failure of this kind to do something for an image.
    pub(crate) fn engine_kind(
        kind: EngineKind,
        code: &'static str,
        image: &str,
        error: &dyn StdError,
        help: Option<&'static str>,
    ) -> Self {
        let failure = Self::new(kind.into(), code, format!("{image}: {}", with_causes(error)));
        help.into_iter().fold(failure, Self::help)
    }

    /// A failure of this kind with `error` and its causes as the message.
    pub(crate) fn of(kind: Kind, code: &'static str, error: &dyn StdError) -> Self {
        Self::new(kind, code, with_causes(error))
    }

    pub(crate) fn in_files(kind: Kind, diagnostics: Vec<Diagnostic>, texts: Texts) -> Self {
        let problems = diagnostics.into_iter().map(Problem::InFile).collect();
        Self { problems, texts: Box::new(texts), ..Self::empty(kind) }
    }

    /// The same, with advice on the last problem.
    pub(crate) fn help(mut self, advice: impl Into<String>) -> Self {
        match self.problems.last_mut() {
            Some(Problem::Plain { help, .. }) => *help = Some(advice.into()),
            Some(Problem::InFile(diagnostic)) => diagnostic.help = Some(advice.into()),
            None => {}
        }
        self
    }

    /// Both failures as one, with the exit code of the more serious.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        if other.kind.seriousness() > self.kind.seriousness() {
            self.kind = other.kind;
        }
        self.problems.append(&mut other.problems);
        self.notes.append(&mut other.notes);
        self.details.append(&mut other.details);
        self
    }

    /// The same, with a sentence below the problems.
    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The same, with data for programs.
    pub(crate) fn with(mut self, key: &str, value: &impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("what is printed has string keys only");
        self.details.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }
}

/// All that went wrong for images, as one failure.
pub(crate) fn engine_failures(failures: &[(ImageName, EngineError)]) -> Option<Failure> {
    failures
        .iter()
        .map(|(image, error)| Failure::engine(image.as_str(), error))
        .reduce(Failure::and)
}
