//! What is shown to a registry: a password, an identity token, a helper, or nothing, and one of them only.

use crate::secret::Secret;
use crate::spec::config::value::path;
use crate::spec::config::{Credential, Placed, SecretSource};
use crate::spec::walk::{Problems, Table, Value};

/// The keys of all forms.
pub(super) const KEYS: [&str; 7] = [
    "username",
    "password",
    "password-file",
    "identity-token",
    "identity-token-file",
    "helper",
    "anonymous",
];

/// The keys that each stand for a form; of them there is one at most.
const FORMS: [&str; 6] =
    ["password", "password-file", "identity-token", "identity-token-file", "helper", "anonymous"];

/// The keys whose values are secrets.
pub(super) const SECRETS: [&str; 2] = ["password", "identity-token"];

/// The credential of a registry's table, if it has one.
pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Option<Credential> {
    let username = table.get("username");
    let name = username.as_ref().and_then(|value| read_username(value, problems));
    let mut forms = FORMS.into_iter().filter_map(|key| table.get(key));
    let Some(form) = forms.next() else {
        if let Some(username) = username {
            let problem = problems.error("missing-key", "there is a user name and no password");
            let help = "write its password to a file and name that with `password-file`";
            problems.push(problem.at(username.key_span).help(help));
        }
        return None;
    };
    for other in forms {
        let message = format!("`{}` and `{}` exclude each other", form.key, other.key);
        let problem = problems.error("conflicting-keys", message).at(other.key_span);
        problems.push(problem.help("one registry is shown one credential: keep one of them"));
    }
    let has_password = form.key.starts_with("password");
    match (&username, has_password) {
        (None, true) => {
            let message = format!("`{}` has no `username` beside it", form.key);
            problems.push(problems.error("missing-key", message).at(form.key_span.clone()));
        }
        (Some(username), false) => {
            let message = format!("`username` and `{}` exclude each other", form.key);
            let problem = problems.error("conflicting-keys", message).at(username.key_span.clone());
            problems.push(problem.help("a user name goes with `password` or `password-file`"));
        }
        _ => {}
    }
    Some(match form.key {
        "helper" => Credential::Helper(read_helper(&form, problems)?),
        "anonymous" => return read_anonymous(&form, problems),
        "password" | "password-file" => {
            let password = read_secret(&form, problems)?;
            Credential::Password { username: name?, password }
        }
        _ => Credential::IdentityToken(read_secret(&form, problems)?),
    })
}

/// A user's name. Basic authentication ends it at the first colon (RFC 7617, section 2).
fn read_username(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let name = value.string(problems)?;
    if name.is_empty() || name.contains(':') || name.contains(char::is_control) {
        problems.invalid(value.span.clone(), "a user name is not empty and has no `:`");
        return None;
    }
    Some(name.to_owned())
}

fn read_secret(value: &Value<'_>, problems: &mut Problems) -> Option<SecretSource> {
    if !SECRETS.contains(&value.key) {
        return Some(SecretSource::File(path(value, problems)?));
    }
    let text = value.string(problems)?;
    if text.is_empty() {
        problems.invalid(value.span.clone(), format!("`{}` is empty", value.key));
        return None;
    }
    let value = Placed { value: Secret::new(text), span: value.span.clone() };
    Some(SecretSource::Text(value))
}

/// The name of a program without its `docker-credential-`. It must not be a path or an option.
fn read_helper(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let name = value.string(problems)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.bytes().all(plain) {
        let message = "a helper is named like `ecr-login` of `docker-credential-ecr-login`";
        problems.invalid(value.span.clone(), message);
        return None;
    }
    Some(name.to_owned())
}

/// `false` says what no key says: whatever other programs have stored.
fn read_anonymous(value: &Value<'_>, problems: &mut Problems) -> Option<Credential> {
    value.boolean(problems)?.then_some(Credential::Anonymous)
}
