//! What a client has to show, and the token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::respond::Answer;
use super::state::{Seen, State};

/// What a client has to show.
#[derive(Debug, Clone, Default)]
pub(crate) enum Auth {
    /// Nothing.
    #[default]
    None,
    /// User and password with each request.
    Basic(Login),
    /// A token of the registry's own endpoint, which wants this login; without one, a token for everybody.
    Bearer(Option<Login>),
    /// A token of the endpoint at this URL.
    BearerFrom(String),
    /// Whatever these `WWW-Authenticate` headers say, where `{R}` is the registry's own URL: this login, or
    /// a token of the registry's own endpoint, or one that it was told of.
    Challenges(Vec<String>, Login),
}

/// A user and a password. As an identity token, the password alone counts.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The user's name.
    pub(crate) user: &'static str,
    /// The password or the identity token.
    pub(crate) password: &'static str,
}

impl Login {
    /// The value of the `Authorization` header that shows this login.
    pub(crate) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", STANDARD.encode(pair))
    }
}

/// The refusal of a request that shows too little; `None` lets it pass.
pub(crate) fn refusal(state: &State, seen: &Seen, repository: &str) -> Option<Answer> {
    let shown = seen.authorization.as_deref();
    let scope = format!("repository:{repository}:pull");
    let challenge = match &state.auth {
        Auth::None => return None,
        Auth::Basic(login) | Auth::Challenges(_, login) if shown == Some(&login.basic()) => {
            return None;
        }
        Auth::Basic(_) => "Basic realm=\"test\"".to_owned(),
        Auth::Bearer(_) | Auth::BearerFrom(_) | Auth::Challenges(..)
            if token_is_good(state, shown, &scope) =>
        {
            return None;
        }
        Auth::Challenges(challenges, _) => {
            let mut refusal = Answer::error(401, "UNAUTHORIZED", "show yourself");
            let challenges = challenges.iter().map(|value| value.replace("{R}", state.url()));
            refusal.headers.extend(challenges.map(|value| ("www-authenticate", value)));
            return Some(refusal);
        }
        Auth::Bearer(_) => challenge(&format!("{}/token", state.url()), &scope),
        Auth::BearerFrom(realm) => challenge(realm, &scope),
    };
    Some(Answer::error(401, "UNAUTHORIZED", "show yourself").header("www-authenticate", challenge))
}

fn challenge(realm: &str, scope: &str) -> String {
    format!("Bearer realm=\"{realm}\",service=\"test, registry\",scope=\"{scope}\"")
}

fn token_is_good(state: &State, shown: Option<&str>, scope: &str) -> bool {
    let held = state.held();
    shown
        .and_then(|shown| shown.strip_prefix("Bearer "))
        .and_then(|token| held.tokens.get(token))
        .is_some_and(|granted| granted == scope)
}

/// Answers a request to the token endpoint.
pub(crate) fn token(state: &State, seen: &Seen) -> Answer {
    let form = if seen.method == "POST" {
        seen.body.as_str()
    } else {
        seen.path.split_once('?').map_or("", |(_, query)| query)
    };
    let shown = seen.authorization.as_deref();
    let granted = match &state.auth {
        Auth::Bearer(Some(login)) | Auth::Challenges(_, login) if seen.method == "POST" => {
            parameter(form, "refresh_token").as_deref() == Some(login.password)
        }
        Auth::Bearer(Some(login)) | Auth::Challenges(_, login) => shown == Some(&login.basic()),
        _ => true,
    };
    if !granted {
        return Answer::error(401, "UNAUTHORIZED", "wrong login");
    }
    let mut held = state.held();
    held.tokens_made += 1;
    let token = format!("token-{}", held.tokens_made);
    let scope = parameter(form, "scope").unwrap_or_default();
    held.tokens.insert(token.clone(), scope);
    Answer::json(200, format!("{{\"token\":\"{token}\",\"expires_in\":300}}"))
}

/// The decoded value of a form's parameter.
fn parameter(form: &str, name: &str) -> Option<String> {
    let value = form
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))?;
    let mut bytes = value.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}
