//! The markers that a merge leaves in a text (git-merge, "How conflicts are presented"), in both styles:
//! `merge` shows the two sides, `diff3` and `zdiff3` also what they had in common before.
//!
//! Knows nothing of locks. A side's text is as long as the whole, with blanks where others' lines are, so
//! that what stands in it stands at the same bytes of the file.

use std::ops::Range;

/// The characters of which a marker has seven.
const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// The texts that met in a merge.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) ours: String,
    /// What both sides were made from, where every conflict shows it. A recursive merge may have conflicts
    /// of its own in it, and `zdiff3` lines that are in both sides as well.
    pub(super) base: Option<String>,
    pub(super) theirs: String,
}

/// Where in a conflict a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Common,
    Ours,
    Base,
    Theirs,
}

/// The first line that begins as a marker does.
pub(super) fn first(text: &str) -> Option<Range<usize>> {
    let begins = |line: &str| MARKERS.iter().any(|marker| line.starts_with(marker));
    lines(text).find(|(_, line)| begins(line)).map(|(span, _)| span)
}

/// The sides of `text`, or the marker that is where none can be. Without any, all sides are the text.
pub(super) fn sides(text: &str) -> Result<Sides, Range<usize>> {
    let [mut ours, mut base, mut theirs] = [(); 3].map(|()| String::with_capacity(text.len()));
    let mut has_base = true;
    let mut part = Part::Common;
    let mut last_marker = 0..0;
    for (span, line) in lines(text) {
        let marker = marker(line);
        if let Some(marker) = marker {
            has_base &= (part, marker) != (Part::Ours, "=======");
            part = part.after(marker).ok_or(span.clone())?;
            last_marker = span;
        }
        let is_of = |side| marker.is_none() && (part == Part::Common || part == side);
        push(line, is_of(Part::Ours), &mut ours);
        push(line, is_of(Part::Base), &mut base);
        push(line, is_of(Part::Theirs), &mut theirs);
    }
    if part != Part::Common {
        return Err(last_marker);
    }
    Ok(Sides { ours, base: has_base.then_some(base), theirs })
}

impl Part {
    /// The part that begins with `marker`, if it may stand in this one.
    fn after(self, marker: &str) -> Option<Self> {
        match (self, marker) {
            (Self::Common, "<<<<<<<") => Some(Self::Ours),
            (Self::Ours, "|||||||") => Some(Self::Base),
            (Self::Ours | Self::Base, "=======") => Some(Self::Theirs),
            (Self::Theirs, ">>>>>>>") => Some(Self::Common),
            _ => None,
        }
    }
}

/// The marker that `line` is. One of more than seven characters belongs to a conflict inside the base.
fn marker(line: &str) -> Option<&'static str> {
    let is = |marker: &&str| {
        let label = line.trim_end().strip_prefix(marker);
        label.is_some_and(|label| label.is_empty() || label.starts_with(' '))
    };
    MARKERS.into_iter().find(is)
}

/// Adds `line` to `side`, or as many blanks.
fn push(line: &str, is_of_side: bool, side: &mut String) {
    if is_of_side {
        side.push_str(line);
    } else {
        side.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
    }
}

/// Each line with its end, and where it stands without it.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let span = start..start + line.trim_end().len();
        start += line.len();
        (span, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MERGE: &str = "a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\nd\n";
    const DIFF3: &str = "a\n<<<<<<< ours\nb\n||||||| 1234\n0\n=======\nc\n>>>>>>> theirs\nd\n";

    fn words(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }

    #[test]
    fn each_side_has_its_lines_where_the_file_has_them() {
        for text in [MERGE.to_owned(), MERGE.replace('\n', "\r\n"), DIFF3.to_owned()] {
            let sides = sides(&text).unwrap();
            assert_eq!(words(&sides.ours), ["a", "b", "d"]);
            assert_eq!(words(&sides.theirs), ["a", "c", "d"]);
            for word in ["a", "c", "d"] {
                assert_eq!(sides.theirs.find(word), text.find(word));
            }
        }
    }

    #[test]
    fn the_base_is_known_where_every_conflict_shows_it() {
        assert_eq!(words(&sides(DIFF3).unwrap().base.unwrap()), ["a", "0", "d"]);
        assert!(sides(MERGE).unwrap().base.is_none());
        assert!(sides(&format!("{DIFF3}{MERGE}")).unwrap().base.is_none());
    }

    #[test]
    fn a_conflict_inside_the_base_is_part_of_it() {
        let text = DIFF3.replace("0\n", "<<<<<<<<< 1\n0\n=========\n1\n>>>>>>>>> 2\n");
        let sides = sides(&text).unwrap();
        assert_eq!(words(&sides.ours), ["a", "b", "d"]);
        assert!(first(&sides.base.unwrap()).is_some());
    }

    #[test]
    fn a_marker_without_its_others_is_told() {
        for (text, marker) in [
            ("a\n=======\nb", "======="),
            ("a\n<<<<<<< ours\nb", "<<<<<<< ours"),
            (MERGE.split_once(">>>").unwrap().0, "======="),
            (&MERGE.replace('c', "<<<<<<< again"), "<<<<<<< again"),
        ] {
            assert_eq!(&text[sides(text).unwrap_err()], marker);
        }
    }
}
