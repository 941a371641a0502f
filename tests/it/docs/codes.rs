//! The list of codes in `docs/troubleshooting.md` is that of `explain`.

use std::path::Path;
use std::{env, fs};

/// What stands before the list; all below it is written by this test.
const MARK: &str = "<!-- Below: `SANDBOX_IMAGES_BLESS=1 cargo test --test it docs`. -->\n";

/// Columns of a line of text.
const COLUMNS_MAX: usize = 140;

/// The words of a text in lines that are not too long.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= COLUMNS_MAX {
            *last += " ";
            *last += word;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

fn list() -> String {
    let table = include_str!("../../../src/cli/explain/codes.txt");
    let entries = table.trim_end().split("\n\n").map(|entry| {
        let [code, meaning, cause, remedy] = entry.lines().collect::<Vec<_>>()[..] else {
            panic!("four lines: {entry}");
        };
        format!(
            "\n### {code}\n\n{}\n\n{}\n",
            wrapped(&format!("{meaning} {cause}")),
            wrapped(remedy)
        )
    });
    entries.collect()
}

#[test]
fn every_code_is_in_the_page_about_trouble() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(&path).unwrap();
    let (written, listed) = page.split_once(MARK).expect("the page has its mark");
    if env::var("SANDBOX_IMAGES_BLESS").as_deref() == Ok("1") {
        fs::write(&path, format!("{written}{MARK}{}", list())).unwrap();
        return;
    }
    assert!(
        listed == list(),
        "`docs/troubleshooting.md` is not what `codes.txt` says: run \
         `SANDBOX_IMAGES_BLESS=1 cargo test --test it docs`"
    );
}
