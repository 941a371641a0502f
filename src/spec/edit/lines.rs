//! Whole lines of a text, as byte ranges.

use std::ops::Range;

/// The line end that the text uses: that of its first line.
pub(super) fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(feed) if text[..feed].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The lines that `span` touches, with their line ends.
pub(super) fn around(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text[..span.start].rfind('\n').map_or(0, |feed| feed + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |feed| span.end + feed + 1);
    start..end
}

/// The line that ends at `end`.
fn before(text: &str, end: usize) -> Option<Range<usize>> {
    let above = &text[..end];
    let start = above.strip_suffix('\n').unwrap_or(above).rfind('\n').map_or(0, |feed| feed + 1);
    (end > 0).then_some(start..end)
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Where the blank lines directly above the line at `start` begin; `start` if there are none.
pub(super) fn blank_above(text: &str, mut start: usize) -> usize {
    while let Some(line) = before(text, start).filter(|line| is_blank(&text[line.clone()])) {
        start = line.start;
    }
    start
}

/// Where the comments directly above the line at `start` begin; `start` if there are none.
pub(super) fn comments_above(text: &str, mut start: usize) -> usize {
    let is_comment = |line: &Range<usize>| text[line.clone()].trim_start().starts_with('#');
    while let Some(line) = before(text, start).filter(is_comment) {
        start = line.start;
    }
    start
}

/// The end of the one line at `start`, if it is blank; else `start`.
pub(super) fn one_blank_below(text: &str, start: usize) -> usize {
    let line = around(text, start..start);
    if start < text.len() && is_blank(&text[line.clone()]) { line.end } else { start }
}

/// `text` without these ranges of whole lines, which may touch and overlap.
pub(super) fn without(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut gone: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match gone.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => gone.push(range),
        }
    }
    let mut left = text.to_owned();
    for range in gone.into_iter().rev() {
        left.replace_range(with_line_end(text, range), "");
    }
    left
}

/// The lines to delete: where the last line of all goes and had no line end, the one above it loses its own.
fn with_line_end(text: &str, range: Range<usize>) -> Range<usize> {
    if range.end < text.len() || text.ends_with('\n') {
        return range;
    }
    let above = &text[..range.start];
    let above = above.strip_suffix('\n').unwrap_or(above);
    above.strip_suffix('\r').unwrap_or(above).len()..range.end
}

/// `text` with `lines`, which end in LF, behind the lines that end at `at`, with the text's own line ends.
/// Where the last line has none, the new last line has none.
pub(super) fn inserted(text: &str, at: usize, lines: &str) -> String {
    let end = line_end(text);
    let lines = lines.replace('\n', end);
    let (above, below) = text.split_at(at);
    if above.is_empty() || above.ends_with('\n') {
        return format!("{above}{lines}{below}");
    }
    let lines = lines.strip_suffix(end).unwrap_or(&lines);
    format!("{above}{end}{lines}{below}")
}
