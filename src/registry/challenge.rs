//! What a registry asks to be shown (RFC 9110, section 11.6.1; Docker's token protocol).

use http_auth::{ChallengeRef, parse_challenges};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// What a registry asks to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token of a token server.
    Bearer {
        /// The token server's URL.
        realm: String,
        /// The name under which it knows the registry.
        service: Option<String>,
        /// What the token shall allow.
        scope: Option<String>,
    },
    /// User and password.
    Basic,
}

impl Challenge {
    /// The first challenge that can be met: a token rather than a password, which then goes to the token
    /// server only.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let challenges: Vec<Self> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| parse_challenges(value).ok())
            .flatten()
            .filter_map(|challenge| Self::read(&challenge))
            .collect();
        let bearer = challenges.iter().find(|&known| *known != Self::Basic);
        bearer.or(challenges.first()).cloned()
    }

    fn read(challenge: &ChallengeRef<'_>) -> Option<Self> {
        let parameter = |name: &str| {
            let mut parameters = challenge.params.iter();
            let (_, value) = parameters.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped()).filter(|value| !value.is_empty())
        };
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self::Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
            scope: parameter("scope"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn a_token_is_preferred_wherever_it_stands() {
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("a, b".to_owned()),
            scope: None,
        };
        let text = r#"bearer realm="https://auth.example/token",service="a, b""#;
        assert_eq!(of(&[text]), Some(bearer.clone()));
        assert_eq!(of(&["Basic realm=x", text]), Some(bearer.clone()));
        assert_eq!(of(&[&format!("Negotiate, BASIC realm=\"x\", {text}")]), Some(bearer));
    }

    #[test]
    fn what_cannot_be_met_is_no_challenge() {
        assert_eq!(of(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate"]), None);
        assert_eq!(of(&["Bearer service=x"]), None);
        assert_eq!(of(&["\""]), None);
        assert_eq!(of(&[]), None);
    }
}
