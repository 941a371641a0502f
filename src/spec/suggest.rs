//! "Did you mean …?": the known word that is nearest to an unknown one.

/// The nearest of `known` to `word`, if it is near enough that a typing slip explains the difference: a
/// third of the letters, and at least one.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word: Vec<char> = word.chars().take(WORD_CHARS_MAX).collect();
    known
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Longer words are cut: the work grows with the product of two lengths, and nothing known is longer.
const WORD_CHARS_MAX: usize = 64;

/// How many insertions, deletions, replacements and swaps of neighbours turn `from` into `to`: the optimal
/// string alignment distance.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().take(WORD_CHARS_MAX).collect();
    let mut rows: [Vec<usize>; 3] = [vec![], vec![], (0..=to.len()).collect()];
    for (i, a) in from.iter().enumerate() {
        rows.rotate_left(1);
        rows[2] = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[1][j] + usize::from(a != b);
            let mut best = replaced.min(rows[1][j + 1] + 1).min(rows[2][j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && *b == from[i - 1] {
                best = best.min(rows[0][j - 1] + 1);
            }
            rows[2].push(best);
        }
    }
    rows[2][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["image", "groups", "platforms", "allow-platform-mismatch"];

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, KNOWN), expected);
    }

    #[test]
    fn a_slip_of_typing_is_recognised() {
        check("imgae", Some("image"));
        check("group", Some("groups"));
        check("platform", Some("platforms"));
        check("allow_platform_mismatch", Some("allow-platform-mismatch"));
    }

    #[test]
    fn what_is_far_from_everything_gets_no_advice() {
        check("", None);
        check("digest", None);
        check("x", None);
        check(&"z".repeat(10_000), None);
    }

    #[test]
    fn distances_count_edits() {
        let distance = |from: &str, to| distance(&from.chars().collect::<Vec<_>>(), to);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
