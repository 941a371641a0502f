//! A new image's lines, and where they go.

use toml_edit::{Array, InlineTable, Key, Value};

use crate::spec::edit::NewImage;
use crate::spec::edit::layout::{Entry, Home, Layout};
use crate::spec::edit::lines::{blank_above, comments_above, inserted};
use crate::spec::name::GroupName;

/// `text`, which has this layout, with `image`.
pub(super) fn insert(text: &str, layout: &Layout, image: &NewImage) -> String {
    let key = Key::new(image.name.as_str()).display_repr().into_owned();
    let source = Value::from(image.source.as_str()).to_string();
    let is_short = image.groups.is_empty() && image.platforms.is_empty();
    match &layout.home {
        Home::Nowhere if is_short => {
            inserted_block(text, text.len(), &format!("[images]\n{key} = {source}\n"))
        }
        Home::Section { header, .. } if is_short => {
            let at = layout.place(image, false).map_or(header.end, Place::line);
            inserted(text, at, &format!("{key} = {source}\n"))
        }
        Home::Dotted => {
            let value = if is_short { source } else { inline(image) };
            let at = layout.place(image, false).map_or(text.len(), Place::line);
            inserted(text, at, &format!("images.{key} = {value}\n"))
        }
        Home::Nowhere | Home::Tables | Home::Section { .. } => {
            let at = match (layout.place(image, true), &layout.home) {
                (Some(Place::Behind(entry)), _) => entry.end(),
                (Some(Place::Before(entry)), _) => comments_above(text, entry.start()),
                (None, Home::Section { header, end }) => {
                    layout.entries.iter().map(Entry::end).fold(header.end.max(*end), usize::max)
                }
                (None, _) => text.len(),
            };
            inserted_block(text, at, &table(&key, image))
        }
    }
}

/// Where an image goes, seen from one that is there.
#[derive(Debug, Clone, Copy)]
enum Place<'l> {
    Behind(&'l Entry),
    Before(&'l Entry),
}

impl Place<'_> {
    /// The start of the new line.
    fn line(self) -> usize {
        match self {
            Self::Behind(entry) => entry.end(),
            Self::Before(entry) => entry.start(),
        }
    }
}

impl Layout {
    /// The place of `image` among the tables, or among the lines; nothing if there are none, or if it is the
    /// first line below `[images]`, where the comments of the present first one follow.
    fn place(&self, image: &NewImage, tables: bool) -> Option<Place<'_>> {
        let peers: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.is_table == tables).collect();
        let first = *peers.first()?;
        if !peers.is_sorted_by_key(|entry| &entry.name) {
            return peers.into_iter().max_by_key(|entry| entry.end()).map(Place::Behind);
        }
        let smaller = peers.into_iter().rev().find(|entry| *entry.name < *image.name.as_str());
        match smaller {
            Some(entry) => Some(Place::Behind(entry)),
            None if matches!(self.home, Home::Section { .. }) && !tables => None,
            None => Some(Place::Before(first)),
        }
    }
}

/// `text` with a block behind the last line above `at` that is not blank, and a blank line between the two.
fn inserted_block(text: &str, at: usize, block: &str) -> String {
    match blank_above(text, at) {
        0 if text.is_empty() => block.to_owned(),
        0 => inserted(text, 0, &format!("{block}\n")),
        at => inserted(text, at, &format!("\n{block}")),
    }
}

/// The long form as a table.
fn table(key: &str, image: &NewImage) -> String {
    let lines = values(image).map(|(name, value)| format!("{name} = {value}\n"));
    format!("[images.{key}]\n{}", lines.collect::<String>())
}

/// The long form as a value.
fn inline(image: &NewImage) -> String {
    values(image).collect::<InlineTable>().to_string()
}

/// The keys that the image needs.
fn values(image: &NewImage) -> impl Iterator<Item = (&'static str, Value)> {
    let groups: Array = image.groups.iter().map(GroupName::as_str).collect();
    let platforms: Array = image.platforms.iter().map(ToString::to_string).collect();
    let lists = [("groups", groups), ("platforms", platforms)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lists = lists.map(|(name, list)| (name, Value::from(list)));
    std::iter::once(("image", Value::from(image.source.as_str()))).chain(lists)
}
