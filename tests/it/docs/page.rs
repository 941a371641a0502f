//! A page of the documentation and its fenced blocks.

use std::fs;
use std::path::Path;

/// A page, named from the root of the repository.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) name: String,
    pub(super) text: String,
    /// In the order of the page.
    pub(super) blocks: Vec<Block>,
}

/// What stands between two fences.
#[derive(Debug)]
pub(super) struct Block {
    /// The word behind the first fence; empty if there is none.
    pub(super) language: String,
    /// The lines, each with its line feed.
    pub(super) text: String,
    /// The line of the page at which the first fence stands.
    line: usize,
}

impl Page {
    /// Reads a page below the root of the repository.
    pub(super) fn read(root: &Path, name: String) -> Self {
        let text = fs::read_to_string(root.join(&name)).unwrap();
        let blocks = blocks(&text);
        Self { name, text, blocks }
    }

    /// Where a block is, for a person.
    pub(super) fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.name, block.line)
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, number) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                let language = language.trim().to_owned();
                open = Some(Block { language, text: String::new(), line: number });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(block)) => {
                open = Some(Block { text: block.text + line + "\n", ..block });
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "every fence is closed");
    blocks
}

/// The name by which a link finds a heading, as GitHub makes it.
pub(super) fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn fences_become_blocks() {
    let blocks = blocks("a\n```sh\nls\n```\n\n```\nplain\n```\n");
    let seen: Vec<(&str, &str, usize)> =
        blocks.iter().map(|b| (&b.language[..], &b.text[..], b.line)).collect();
    assert_eq!(seen, [("sh", "ls\n", 2), ("", "plain\n", 6)]);
    assert_eq!(anchor("## What is `locked`, and why"), "what-is-locked-and-why");
}
