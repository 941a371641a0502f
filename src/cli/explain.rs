//! `explain`: what the code of an error, a warning or a finding means, and what to do.
//!
//! The table is a text beside this file: for each code four lines, which are the code, what it means, how it
//! comes about, and what to do. A test compares it with the codes in the sources.

use sandbox_images::spec::suggest::nearest;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::reading::Explain;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::Setup;

const TABLE: &str = include_str!("explain/codes.txt");

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Explained {
    code: &'static str,
    /// What it says.
    meaning: &'static str,
    /// How it comes about.
    cause: &'static str,
    /// What to do.
    remedy: &'static str,
}

/// What `explain --json` prints.
#[derive(Debug, Serialize)]
struct Explanations<'a> {
    schema: &'static str,
    codes: &'a [Explained],
}

pub(crate) fn run(setup: &Setup<'_>, explain: &Explain) -> Done {
    let known: Vec<Explained> = table().collect();
    let codes = match &explain.code {
        None => known,
        Some(code) => vec![find(&known, code)?],
    };
    if setup.output.json {
        output::json(&Explanations { schema: "sandbox-images/explain/1", codes: &codes });
    } else if explain.code.is_some() {
        output::data(codes.iter().map(page).collect::<String>());
    } else {
        output::data(list(&codes));
    }
    Ok(())
}

/// The entries, in the order of their codes.
fn table() -> impl Iterator<Item = Explained> {
    TABLE.split("\n\n").filter_map(|entry| {
        let mut lines = entry.trim().lines();
        Some(Explained {
            code: lines.next()?,
            meaning: lines.next()?,
            cause: lines.next()?,
            remedy: lines.next()?,
        })
    })
}

fn find(known: &[Explained], code: &str) -> Result<Explained, Failure> {
    if let Some(found) = known.iter().find(|explained| explained.code == code) {
        return Ok(*found);
    }
    let failure = Failure::new(Kind::Usage, "unknown-code", format!("there is no code `{code}`"));
    Err(failure.help(match nearest(code, known.iter().map(|explained| explained.code)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`sandbox-images explain --list` shows all codes".to_owned(),
    }))
}

fn page(explained: &Explained) -> String {
    let Explained { code, meaning, cause, remedy } = explained;
    format!("{code}\n\n{meaning}\n\nHow it comes about: {cause}\n\nWhat to do: {remedy}\n")
}

fn list(codes: &[Explained]) -> String {
    let width = codes.iter().map(|explained| explained.code.len()).max().unwrap_or(0);
    let line = |Explained { code, meaning, .. }: &Explained| format!("{code:width$}  {meaning}\n");
    codes.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_whole_and_in_sentences() {
        let codes: Vec<Explained> = table().collect();
        assert!(codes.is_sorted_by(|one, other| one.code < other.code), "sorted, each once");
        assert_eq!(TABLE.lines().filter(|line| !line.is_empty()).count(), codes.len() * 4);
        for Explained { code, meaning, cause, remedy } in codes {
            let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(code.chars().all(is_word), "{code}");
            for sentence in [meaning, cause, remedy] {
                assert!(sentence.ends_with('.'), "{code}: {sentence}");
            }
        }
    }
}
