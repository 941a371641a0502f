//! A block of commands with what they print: `$ ` begins a command, all other lines are output.
//!
//! In the output, `…` stands for any part of a line, and a line of `…` alone for any lines. A command without
//! output shown may print what it likes. Every command must succeed; to show one that fails, a page writes
//! `; echo $?` behind it.

use super::page::{Block, Page};
use super::stage::Stage;

/// A command, and the lines that it is shown to print.
#[derive(Debug, PartialEq, Eq)]
struct Step<'b> {
    command: &'b str,
    output: Vec<&'b str>,
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command, output: Vec::new() });
        } else {
            steps.last_mut().expect("a transcript begins with a command").output.push(line);
        }
    }
    steps
}

/// Runs the commands of a block, and answers where they print something else than the page shows.
pub(super) fn differences(page: &Page, block: &Block, stage: &Stage) -> Vec<String> {
    let mut differences = Vec::new();
    for step in steps(&block.text) {
        let printed = stage.run(&page.place(block), step.command);
        let lines: Vec<&str> = printed.lines().collect();
        if !step.output.is_empty() && !fits(&step.output, &lines) {
            differences.push(format!(
                "{}: `{}` is shown to print\n{}\nand prints\n{printed}",
                page.place(block),
                step.command,
                step.output.join("\n"),
            ));
        }
    }
    differences
}

/// Whether the lines are those that are shown.
fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        ([line, shown @ ..], [other, printed @ ..]) => {
            line_fits(line, other) && fits(shown, printed)
        }
        _ => false,
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut ends = true;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        ends = part.is_empty();
        rest = &rest[at + part.len()..];
    }
    if shown.contains('…') && ends {
        return true;
    }
    // What stands last must stand at the end, wherever it was found first.
    let last = shown.rsplit('…').next().unwrap_or_default();
    rest.is_empty() || shown.contains('…') && printed.ends_with(last)
}

#[test]
fn what_is_left_out_may_be_anything() {
    assert!(line_fits("a", "a") && !line_fits("a", "ab") && !line_fits("a", "b"));
    assert!(line_fits("in sync (…)", "in sync (12ms)") && !line_fits("in sync (…)", "in sync (1"));
    assert!(line_fits("/home/….vmdk", "/home/a.vmdk.vmdk") && line_fits("…", ""));
    assert!(fits(&["a", "…", "d"], &["a", "b", "c", "d"]) && fits(&["a", "…"], &["a"]));
    assert!(!fits(&["a"], &["a", "b"]) && !fits(&["…", "x"], &["a", "b"]));
}

#[test]
fn commands_are_told_from_what_they_print() {
    let steps = steps("$ a\n$ b\none\ntwo\n");
    assert_eq!(steps[0], Step { command: "a", output: Vec::new() });
    assert_eq!(steps[1], Step { command: "b", output: vec!["one", "two"] });
}
