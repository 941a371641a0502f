//! Token servers (distribution's `spec/auth/token.md` and `oauth.md`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;

use crate::registry::answer::{check, read_bounded};
use crate::registry::credentials::Credential;
use crate::registry::error::Error;
use crate::registry::settings::Timeouts;
use crate::registry::shown::{ShownUrl, escaped};
use crate::secret::Secret;

/// Bytes of a token server's answer: tokens list what they allow and can be long.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// How long a token is good if its server does not say (`token.md`).
const LIFETIME_DEFAULT: Duration = Duration::from_mins(1);

/// A token, and how long it is good from now.
#[derive(Debug)]
pub(super) struct Token {
    /// What is shown to the registry.
    pub(super) secret: Secret,
    /// For so long.
    pub(super) lifetime: Duration,
}

/// What a token is asked for.
#[derive(Debug)]
pub(super) struct TokenRequest<'a> {
    /// The token server.
    pub(super) realm: Url,
    /// The name under which it knows the registry.
    pub(super) service: Option<&'a str>,
    /// What the token shall allow.
    pub(super) scope: &'a str,
    /// What is shown for it.
    pub(super) credential: Option<&'a Credential>,
    /// How long is waited for it.
    pub(super) timeouts: &'a Timeouts,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    /// Seconds. Some servers write another number than a whole one, or a text; it is only a hint.
    expires_in: Option<serde_json::Value>,
}

impl Answer {
    /// How long the token is good; nothing, where that is not said in a form that is known.
    fn lifetime(&self) -> Option<Duration> {
        let said = self.expires_in.as_ref()?;
        let seconds = said.as_f64().or_else(|| said.as_str()?.trim().parse().ok())?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// The token server's URL, which a challenge of `registry` names. Credentials travel to it, so it has to
/// be reached over TLS unless the registry itself is not.
pub(super) fn realm(text: &str, registry: &str, registry_is_plain: bool) -> Result<Url, Error> {
    let refused = |reason| Error::Realm {
        registry: registry.to_owned(),
        realm: Url::parse(text)
            .map_or_else(|_| escaped(text), |url| ShownUrl::of(&url).to_string()),
        reason,
    };
    let url = Url::parse(text).map_err(|_| refused("it is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a user"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if registry_is_plain => Ok(url),
        _ => Err(refused("it is not reached over TLS")),
    }
}

impl TokenRequest<'_> {
    /// Asks for the token. An identity token is sent by POST; token servers that do not know that get it
    /// as a password.
    pub(super) async fn send(&self, client: &Client) -> Result<Token, Error> {
        if let Some(Credential::IdentityToken(secret)) = self.credential {
            let response = self.execute(self.post(client, secret)).await?;
            if !matches!(response.status().as_u16(), 400 | 401 | 404 | 405) {
                return self.read(response).await;
            }
        }
        let response = self.execute(self.get(client)).await?;
        self.read(response).await
    }

    fn get(&self, client: &Client) -> RequestBuilder {
        let mut url = self.realm.clone();
        if let Some(service) = self.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", self.scope);
        let request = client.get(url);
        match self.credential.and_then(basic) {
            Some(basic) => request.header(AUTHORIZATION, header(&basic)),
            None => request,
        }
    }

    fn post(&self, client: &Client, identity_token: &Secret) -> RequestBuilder {
        let mut form = self.realm.clone();
        form.query_pairs_mut()
            .clear()
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", self.service.unwrap_or_default())
            .append_pair("scope", self.scope)
            .append_pair("client_id", env!("CARGO_PKG_NAME"))
            .append_pair("refresh_token", identity_token.reveal());
        client
            .post(self.realm.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned())
    }

    async fn execute(&self, request: RequestBuilder) -> Result<Response, Error> {
        request.send().await.map_err(|source| Error::transport(ShownUrl::of(&self.realm), source))
    }

    async fn read(&self, response: Response) -> Result<Token, Error> {
        let response = check(response, false, false, self.timeouts).await?;
        let body = read_bounded(response, TOKEN_BYTES_MAX, self.timeouts).await;
        let body = body.map_err(|error| match error {
            // No digest was promised: that it goes on is no damage.
            Error::TooLong { url, .. } => Error::NoToken { url },
            other => other,
        })?;
        let answer = serde_json::from_slice::<Answer>(&body).ok();
        let token = answer.and_then(|answer| {
            let lifetime = answer.lifetime().unwrap_or(LIFETIME_DEFAULT);
            let secret = answer.token.or(answer.access_token)?;
            Some(Token { secret: Secret::new(secret), lifetime })
        });
        token
            .filter(|token| !token.secret.reveal().is_empty())
            .ok_or_else(|| Error::NoToken { url: ShownUrl::of(&self.realm) })
    }
}

/// The value of an `Authorization` header that shows user and password.
pub(super) fn basic(credential: &Credential) -> Option<Secret> {
    let pair = match credential {
        Credential::Password { user, password } => format!("{user}:{}", password.reveal()),
        Credential::IdentityToken(token) => format!("<token>:{}", token.reveal()),
        Credential::RegistryToken(_) => return None,
    };
    Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
}

/// A header's value that `reqwest` does not show either. A secret with bytes that no header can have
/// becomes an empty value, which the server refuses.
pub(super) fn header(secret: &Secret) -> HeaderValue {
    let mut value = HeaderValue::from_str(secret.reveal()).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_life_is_understood_in_every_form_or_not_at_all() {
        let lifetime = |said: &str| {
            let answer = format!(r#"{{"token":"t","expires_in":{said}}}"#);
            serde_json::from_str::<Answer>(&answer).unwrap().lifetime()
        };
        for said in ["300", "300.0", "3e2", r#""300""#] {
            assert_eq!(lifetime(said), Some(Duration::from_mins(5)), "{said}");
        }
        assert_eq!(lifetime("0"), Some(Duration::ZERO));
        for said in ["-1", "null", r#""soon""#, "[]", "1e300", r#""NaN""#, r#""inf""#] {
            assert_eq!(lifetime(said), None, "{said}");
        }
        assert!(lifetime("18446744073709551615").is_none_or(|life| life.as_secs() > 1 << 60));
    }

    #[test]
    fn a_realm_is_reached_over_tls_unless_the_registry_is_not() {
        assert!(realm("https://auth.example/token", "r.example", false).is_ok());
        assert!(realm("http://127.0.0.1:5001/token", "127.0.0.1:5000", true).is_ok());
        for text in
            ["http://auth.example/token", "https://ann:pw@auth.example/", "ftp://x/", "token"]
        {
            let error = realm(text, "r.example", false).unwrap_err();
            assert!(matches!(error, Error::Realm { .. }), "{text}");
            assert!(!error.to_string().contains("pw"));
        }
    }
}
