//! What git should know about the lock: that it is generated, and that its lines end in LF everywhere.

/// The attributes of a lock: hidden in reviews by who hosts the repository, and never converted.
const ATTRIBUTES: [&str; 3] = ["linguist-generated", "text", "eol=lf"];

/// `text` of a `.gitattributes` with a line for what it does not yet say about the file `lock`; `None` if it
/// says something about each attribute, whatever it is.
pub fn with_lock(text: &str, lock: &str) -> Option<String> {
    let anchored = format!("/{lock}");
    let said: Vec<&str> = text
        .lines()
        .map(str::split_whitespace)
        .filter_map(|mut words| {
            let pattern = words.next()?;
            (pattern == lock || pattern == anchored).then_some(words)
        })
        .flatten()
        .map(attribute)
        .collect();
    let lacking = ATTRIBUTES.into_iter().filter(|wanted| !said.contains(&attribute(wanted)));
    let lacking: Vec<&str> = lacking.collect();
    if lacking.is_empty() {
        return None;
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let above = if text.is_empty() || text.ends_with('\n') { "" } else { end };
    Some(format!("{text}{above}{lock} {}{end}", lacking.join(" ")))
}

/// The attribute's name, without value and sign (gitattributes(5)).
fn attribute(word: &str) -> &str {
    let word = word.split_once('=').map_or(word, |(name, _)| name);
    word.trim_start_matches(['-', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(with_lock(text, "a.lock").as_deref(), expected);
    }

    #[test]
    fn only_what_lacks_is_added() {
        check("", Some("a.lock linguist-generated text eol=lf\n"));
        check("*.tar binary", Some("*.tar binary\na.lock linguist-generated text eol=lf\n"));
        check(
            "/a.lock\ttext=auto\r\n",
            Some("/a.lock\ttext=auto\r\na.lock linguist-generated eol=lf\r\n"),
        );
        check("a.lock -linguist-generated\na.lock eol=lf !text\n", None);
    }
}
