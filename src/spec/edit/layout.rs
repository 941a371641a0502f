//! Where the images stand in the text of `sandbox-images.toml`.

use std::ops::Range;

use toml_edit::{Document, Item, Key, Table};

use crate::spec::edit::EditError;
use crate::spec::edit::lines::{around, blank_above, comments_above, one_blank_below};

/// The images of a text, in the order of their places.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) home: Home,
    pub(super) entries: Vec<Entry>,
}

/// How the file writes its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Home {
    /// It has none.
    Nowhere,
    /// Below a line `[images]`.
    Section {
        /// That line.
        header: Range<usize>,
        /// Where the next table's header and its comments begin, or the text ends.
        end: usize,
    },
    /// Each in a table of its own, and there is no `[images]`.
    Tables,
    /// As dotted keys of the root.
    Dotted,
}

/// One image.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Its name in the text.
    pub(super) key: Range<usize>,
    /// Whether it has a table `[images.NAME]`.
    pub(super) is_table: bool,
    /// Its lines: in one range if it is a table, else a range for each key.
    lines: Vec<Range<usize>>,
}

impl Layout {
    pub(super) fn of(text: &str) -> Result<Self, EditError> {
        let document = Document::parse(text).map_err(|error| EditError::Syntax {
            message: error.message().split('\n').map(str::trim).collect::<Vec<_>>().join(", "),
            span: error.span(),
        })?;
        let Some(item) = document.get("images") else {
            return Ok(Self { home: Home::Nowhere, entries: Vec::new() });
        };
        let Item::Table(images) = item else {
            return Err(EditError::OneValue { span: item.span().unwrap_or_default() });
        };
        let mut entries: Vec<Entry> = images
            .iter()
            .filter_map(|(name, item)| Some(Entry::of(text, images.key(name)?, item)))
            .collect();
        entries.sort_by_key(|entry| entry.key.start);
        let home = match images.span() {
            _ if images.is_dotted() => Home::Dotted,
            Some(header) if !images.is_implicit() => Home::Section {
                end: next_header(document.as_table(), header.end)
                    .map_or(text.len(), |start| comments_above(text, start)),
                header: around(text, header),
            },
            _ => Home::Tables,
        };
        Ok(Self { home, entries })
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// The start of the first header behind `after`.
fn next_header(table: &Table, after: usize) -> Option<usize> {
    let tables = table.iter().filter_map(|(_, item)| item.as_table());
    let starts = tables.flat_map(|table| {
        let own = table.span().map(|header| header.start).filter(|start| *start >= after);
        [own, next_header(table, after)]
    });
    starts.flatten().min()
}

impl Entry {
    fn of(text: &str, key: &Key, item: &Item) -> Self {
        let mut spans = Vec::new();
        leaves(key, item, &mut spans);
        let header = item.as_table().filter(|table| !table.is_dotted()).and_then(Table::span);
        let lines = match &header {
            Some(header) => {
                let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
                vec![around(text, header.start..end.max(header.end))]
            }
            None => spans.into_iter().map(|span| around(text, span)).collect(),
        };
        let name = key.get().to_owned();
        Self { name, key: key.span().unwrap_or_default(), is_table: header.is_some(), lines }
    }

    /// Where its last line ends.
    pub(super) fn end(&self) -> usize {
        self.lines.iter().map(|lines| lines.end).max().unwrap_or(self.key.end)
    }

    /// Where its first line begins.
    pub(super) fn start(&self) -> usize {
        self.lines.iter().map(|lines| lines.start).min().unwrap_or(self.key.start)
    }

    /// Its lines; of a table also the blank lines above it, or one below it where it is the first.
    pub(super) fn all_that_goes(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges = self.lines.clone();
        for range in ranges.iter_mut().filter(|_| self.is_table) {
            range.start = blank_above(text, range.start);
            if range.start == 0 {
                range.end = one_blank_below(text, range.end);
            }
        }
        ranges
    }
}

/// From the key to the end of its value, for each value below `item`.
fn leaves(key: &Key, item: &Item, found: &mut Vec<Range<usize>>) {
    if let Item::Table(table) = item {
        for (name, item) in table {
            if let Some(key) = table.key(name) {
                leaves(key, item, found);
            }
        }
    } else if let (Some(key), Some(value)) = (key.span(), item.span()) {
        found.push(key.start..value.end);
    }
}
