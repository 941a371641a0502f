//! Walks a parsed TOML document, collecting every problem with its place.
//!
//! serde stops at the first error and its `untagged` and `flatten` lose spans, so the readers of this room
//! walk the document: a [`Table`] is asked for its keys, a [`Value`] to be of a type, and who asks for what
//! is not there gets `None` and leaves a diagnostic behind.

use std::fmt::Display;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::spec::diagnostic::{Diagnostic, Source};
use crate::spec::suggest::nearest;

/// Diagnostics of one file. A reader of errors wants a page of them at most, and a hostile file could
/// hold millions.
const PROBLEMS_MAX: usize = 100;

/// The problems found in one file so far.
#[derive(Debug)]
pub(super) struct Problems {
    file: Source,
    found: Vec<Diagnostic>,
}

impl Problems {
    /// None yet.
    pub(super) const fn new(file: Source) -> Self {
        Self { file, found: Vec::new() }
    }

    /// Whether none was found.
    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// An error about the file as a whole, to be completed and pushed by the caller.
    pub(super) fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.file, message)
    }

    /// Notes `problem`.
    pub(super) fn push(&mut self, problem: Diagnostic) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(problem);
        }
    }

    /// Notes that the text at `span` is not what it should be.
    pub(super) fn invalid(&mut self, span: Range<usize>, message: impl Display) {
        self.push(self.error("invalid-value", message.to_string()).at(span));
    }

    /// `value` if nothing was found, else all that was, in the order of the file.
    pub(super) fn unless_any<T>(mut self, value: T) -> Result<T, Vec<Diagnostic>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Err(self.found)
    }
}

/// Parses `text` as TOML and hands its root to `walk`; syntax errors, all of them, are the answer instead.
pub(super) fn document<T>(
    text: &str,
    mut problems: Problems,
    walk: impl FnOnce(&Table<'_>, &mut Problems) -> T,
) -> Result<T, Vec<Diagnostic>> {
    let file = problems.file;
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let problem = problems.error("toml-syntax", one_clause(error.message()));
        problems.push(match error.span() {
            Some(span) => problem.at(span),
            None => problem,
        });
    }
    problems = problems.unless_any(()).map(|()| Problems::new(file))?;
    let value = walk(&Table::root(&root), &mut problems);
    problems.unless_any(value)
}

/// The parser's messages may have several lines; ours have one.
fn one_clause(message: &str) -> String {
    message.split('\n').map(str::trim).collect::<Vec<_>>().join(", ")
}

/// A table of the document.
#[derive(Debug)]
pub(super) struct Table<'t> {
    path: Rc<str>,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    fn root(document: &'t Spanned<DeTable<'t>>) -> Self {
        Self { path: Rc::from(""), span: 0..0, entries: document.get_ref() }
    }

    /// Where the table's name is written; empty for the root.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of `key`, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Value<'t>> {
        let (key, value) = self.entries.get_key_value(key)?;
        Some(self.value(key, value))
    }

    /// The value of `key`; its absence is a problem.
    pub(super) fn require(&self, key: &str, problems: &mut Problems) -> Option<Value<'t>> {
        let found = self.get(key);
        if found.is_none() {
            let message = match &*self.path {
                "" => format!("`{key}` is missing"),
                path => format!("`{path}` has no `{key}`"),
            };
            problems.push(problems.error("missing-key", message).at(self.span()));
        }
        found
    }

    /// All keys with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'t>> {
        self.entries.iter().map(|(key, value)| self.value(key, value))
    }

    fn value(&self, key: &'t Spanned<DeString<'t>>, value: &'t Spanned<DeValue<'t>>) -> Value<'t> {
        Value {
            key: key.get_ref(),
            key_span: key.span(),
            span: value.span(),
            is_element: false,
            parent: Rc::clone(&self.path),
            content: value.get_ref(),
        }
    }

    /// The keys that are not among `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<Value<'t>> {
        self.iter().filter(|value| !known.contains(&value.key)).collect()
    }

    /// Notes every key that is not among `known`, with the known one that was perhaps meant.
    pub(super) fn refuse_unknown(&self, known: &[&'static str], problems: &mut Problems) {
        for value in self.unknown(known) {
            let problem = problems
                .error("unknown-key", format!("unknown key `{}`", value.path()))
                .at(value.key_span.clone());
            problems.push(match nearest(value.key, known.iter().copied()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help(format!("known keys here: {}", listed(known))),
            });
        }
    }
}

/// Words in backticks, with commas.
fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A value of the document, with its key.
#[derive(Debug)]
pub(super) struct Value<'t> {
    /// The last part of its name.
    pub(super) key: &'t str,
    /// Where the key is written.
    pub(super) key_span: Range<usize>,
    /// Where the value is written.
    pub(super) span: Range<usize>,
    parent: Rc<str>,
    /// It stands in the array that has its name.
    is_element: bool,
    content: &'t DeValue<'t>,
}

impl<'t> Value<'t> {
    /// The keys that lead to it, with dots. An element of an array has its array's name.
    fn path(&self) -> String {
        match &*self.parent {
            "" => self.key.to_owned(),
            parent => format!("{parent}.{}", self.key),
        }
    }

    fn expect<T>(&self, problems: &mut Problems, wanted: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let message = format!(
                "{}`{}` is {}, not {wanted}",
                if self.is_element { "an element of " } else { "" },
                self.path(),
                with_article(self.content.type_str())
            );
            problems.push(problems.error("wrong-type", message).at(self.span.clone()));
        }
        value
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.content.is_table()
    }

    /// Whether it is a string.
    pub(super) fn is_string(&self) -> bool {
        self.content.is_str()
    }

    /// The text of a string.
    pub(super) fn string(&self, problems: &mut Problems) -> Option<&'t str> {
        self.expect(problems, "a string", self.content.as_str())
    }

    /// A boolean.
    pub(super) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        self.expect(problems, "a boolean", self.content.as_bool())
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, problems: &mut Problems) -> Option<u64> {
        let integer = self.expect(problems, "an integer", self.content.as_integer())?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none() {
            problems
                .invalid(self.span.clone(), format!("`{}` is not from 0 to 2⁶⁴−1", self.path()));
        }
        number
    }

    /// The elements of an array.
    pub(super) fn array(&self, problems: &mut Problems) -> Option<Vec<Value<'t>>> {
        let elements = self.expect(problems, "an array", self.content.as_array())?;
        let element = |element: &'t Spanned<DeValue<'t>>| Value {
            is_element: true,
            key: self.key,
            key_span: element.span(),
            span: element.span(),
            parent: Rc::clone(&self.parent),
            content: element.get_ref(),
        };
        Some(elements.iter().map(element).collect())
    }

    /// A table.
    pub(super) fn table(&self, problems: &mut Problems) -> Option<Table<'t>> {
        let entries = self.expect(problems, "a table", self.content.as_table())?;
        Some(Table { path: self.path().into(), span: self.key_span.clone(), entries })
    }

    /// A string that reads as a `T`.
    pub(super) fn parse<T>(&self, problems: &mut Problems) -> Option<T>
    where
        T: std::str::FromStr<Err: Display>,
    {
        match self.string(problems)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                problems.invalid(self.span.clone(), error);
                None
            }
        }
    }

    /// An array of strings that each read as a `T`, with their places.
    pub(super) fn parse_all<T>(&self, problems: &mut Problems) -> Option<Vec<(T, Range<usize>)>>
    where
        T: std::str::FromStr<Err: Display>,
    {
        let elements = self.array(problems)?;
        let parsed = elements
            .iter()
            .filter_map(|element| Some((element.parse(problems)?, element.span.clone())));
        Some(parsed.collect())
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}
