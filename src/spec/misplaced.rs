//! Secrets in a file that is no place for them.
//!
//! `sandbox-images.toml` is committed and holds no secrets, and its errors show its lines as they are. Who
//! puts a password there all the same gets an error that points at it: that error must not spread it.

/// Keys of the user's configuration that hold a secret, and what people call them elsewhere.
const SECRET_KEYS: [&str; 5] = ["auth", "credentials", "identity-token", "password", "token"];

/// `text` with stars in place of the user in each URL and of what follows a secret's key on its line. It
/// has as many bytes as `text`, and the same lines.
pub fn without_secrets(text: &str) -> String {
    text.split_inclusive('\n').map(|line| without_users(&without_value(line))).collect()
}

/// The line without the values from the first secret key on.
fn without_value(line: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let value = line.match_indices('=').map(|(sign, _)| sign).find(|sign| {
        let key = line[..*sign].trim_end_matches([' ', '\t', '"', '\'']);
        SECRET_KEYS.contains(&key.rsplit(|c| !is_word(c)).next().unwrap_or_default())
    });
    match value {
        Some(sign) => stars(line, sign + 1, line.trim_end().len()),
        None => line.to_owned(),
    }
}

/// The line without what stands between `://` and `@`.
fn without_users(line: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut hidden = line.to_owned();
    for (at, _) in line.match_indices(SCHEME_END) {
        let start = at + SCHEME_END.len();
        let rest = &line[start..];
        let end = rest.find([' ', '\t', ',', '/', '"']).unwrap_or(rest.len());
        if let Some(sign) = rest[..end].rfind('@') {
            hidden = stars(&hidden, start, start + sign);
        }
    }
    hidden
}

/// The text with as many stars as there are bytes from `start` to `end`.
fn stars(text: &str, start: usize, end: usize) -> String {
    format!("{}{}{}", &text[..start], "*".repeat(end - start), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(without_secrets(text), expected);
    }

    #[test]
    fn what_belongs_into_the_file_is_shown() {
        let text = "[images]\ntool = \"ghcr.io/acme/tool:1@sha256:ab\"\ntoken = 1\n";
        check(text, &text.replace("= 1", "=**"));
        check("mirrors = ['https://m.example/@x']", "mirrors = ['https://m.example/@x']");
    }

    #[test]
    fn users_of_urls_and_values_of_secret_keys_are_not() {
        check("m = ['https://a:b@c', \"http://ü@d/\"]", "m = ['https://***@c', \"http://**@d/\"]");
        check("password = \"x y\"\na = 1", "password =******\na = 1");
        check("r.'a'.password='x' # y\n", "r.'a'.password=*******\n");
        check("{ a = 1, \"token\" = 'x' }", "{ a = 1, \"token\" =******");
    }
}
