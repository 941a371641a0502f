//! Phrases that messages share, so that what is the same reads the same everywhere.

use std::error::Error;

/// Items that a message names. More than fit on a screen say nothing more to a person.
const LISTED_MAX: usize = 20;

/// The items with commas between them, `none` where there are none, and how many more there are.
pub fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let mut words: Vec<String> =
        items.by_ref().take(LISTED_MAX).map(|item| item.to_string()).collect();
    match items.count() {
        0 if words.is_empty() => words.push("none".to_owned()),
        0 => {}
        more => words.push(format!("and {more} more")),
    }
    words.join(", ")
}

/// The sentence of an error and those of its causes, outermost first, on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_never_empty_and_never_long() {
        assert_eq!(listed::<u8>([]), "none");
        assert_eq!(listed(["a", "b"]), "a, b");
        assert!(listed(0..22).ends_with("18, 19, and 2 more"));
    }
}
