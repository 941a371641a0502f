//! Credentials that other programs have stored: Docker's `config.json` and containers' `auth.json`
//! (containers-auth.json(5)).
//!
//! [`CredentialFile::find`] is a pure lookup in a file's content. What it finds is a credential, or the
//! name of a helper program, which [`helper`] asks. [`lookup`] goes through all files that there are.

pub mod helper;

pub mod lookup;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::oci::reference::{DOCKER_HUB, Reference};
use crate::secret::Secret;

/// Docker Hub's name in Docker's file, from the times of its first protocol.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What helpers name the user of an identity token.
const TOKEN_USER: &str = "<token>";

/// What is shown to a registry or to its token server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that the token server changes into one for the registry (OAuth 2).
    IdentityToken(Secret),
    /// A token for the registry itself.
    RegistryToken(Secret),
}

/// What the user's configuration says is shown to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// This.
    Credential(Credential),
    /// What the helper `docker-credential-NAME` holds for it.
    Helper(String),
    /// Nothing, whatever files and helpers hold.
    Nothing,
}

/// Where a lookup leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file holds it.
    Stored(Credential),
    /// The helper `docker-credential-NAME` may hold it, under this server's name.
    Helper {
        /// The helper's name.
        name: String,
        /// The server's name.
        server: String,
    },
    /// The entry under this key holds something, and no credential can be read from it.
    Unusable(String),
}

/// Why a file of credentials cannot be used. The parser's own words could hold a part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credentials are not the expected JSON at line {line}, column {column}")]
pub struct CredentialsError {
    line: usize,
    column: usize,
}

/// The content of a file of credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialFile {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl CredentialFile {
    /// Reads a file's content; an empty file holds nothing. An error shows no part of the content.
    pub fn parse(json: &[u8]) -> Result<Self, CredentialsError> {
        if json.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(json)
            .map_err(|error| CredentialsError { line: error.line(), column: error.column() })
    }

    /// Where to look for the credential for `reference`, in this order: the registry's own helper, the
    /// entry of the repository, of its parents and of the registry, the helper for all registries. Where
    /// the registry has a helper of its own, the one for all is not asked; an empty name is none at all.
    ///
    /// Docker asks the helper for all registries before the entries, but leaves no entries with content
    /// where there is one; this order spares the helper where somebody wrote an entry by hand.
    pub fn find(&self, reference: &Reference) -> Vec<Source> {
        let server = server_name(reference);
        let helper =
            |name: &String| Source::Helper { name: name.clone(), server: server.to_owned() };
        let own = keys_of_host(reference.registry())
            .iter()
            .find_map(|key| self.cred_helpers.as_ref()?.get(key));
        let common = self.creds_store.as_ref().filter(|_| own.is_none());
        let [own, common] =
            [own, common].map(|name| name.filter(|name| !name.is_empty()).map(helper));
        own.into_iter().chain(self.stored(reference)).chain(common).collect()
    }

    /// The names of all helpers that the file names.
    pub fn helpers(&self) -> BTreeSet<&str> {
        let own = self.cred_helpers.iter().flat_map(BTreeMap::values);
        own.chain(&self.creds_store).map(String::as_str).filter(|name| !name.is_empty()).collect()
    }

    /// Whether the file itself holds a credential.
    pub fn holds_secrets(&self) -> bool {
        let mut entries = self.auths.iter().flat_map(BTreeMap::values).flatten();
        entries.any(|entry| matches!(entry.credential(), Ok(Some(_))))
    }

    /// The credential of the most special entry that has one, after those that have none and should.
    fn stored(&self, reference: &Reference) -> Vec<Source> {
        let mut sources = Vec::new();
        for (key, entry) in scopes(reference).iter().flat_map(|scope| self.entries(scope)) {
            match entry.credential() {
                Ok(None) => {}
                Ok(Some(credential)) => {
                    sources.push(Source::Stored(credential));
                    break;
                }
                Err(Unusable) => sources.push(Source::Unusable(key.to_owned())),
            }
        }
        sources
    }

    /// The entries whose key is `scope`, or a URL of the host `scope`.
    fn entries<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let auths = || self.auths.iter().flatten();
        let exact = auths().filter(move |(key, _)| *key == scope);
        let urls = auths().filter(move |(key, _)| *key != scope && host_of(key) == Some(scope));
        exact.chain(urls).filter_map(|(key, entry)| Some((key.as_str(), entry.as_ref()?)))
    }
}

/// An entry holds something that is no credential.
struct Unusable;

impl Entry {
    fn credential(&self) -> Result<Option<Credential>, Unusable> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        let (user, password) = match filled(&self.auth) {
            Some(auth) => decode(&auth).ok_or(Unusable)?,
            None => match (filled(&self.username), filled(&self.password)) {
                (None, None) => return Ok(None),
                (user, password) => user.zip(password).ok_or(Unusable)?,
            },
        };
        Ok(Some(Credential::from_login(user, password)))
    }
}

impl Credential {
    /// The credential that a user's name and a secret make, where a helper or a file gave them.
    pub(super) fn from_login(user: String, secret: String) -> Self {
        if user == TOKEN_USER {
            return Self::IdentityToken(Secret::new(secret));
        }
        Self::Password { user, password: Secret::new(secret) }
    }
}

/// User and password of `base64(user:password)`. As Docker does, line ends in the base64 are passed over,
/// and so is the NUL that old versions put around the password.
fn decode(auth: &str) -> Option<(String, String)> {
    let auth: String = auth.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    let password = password.trim_matches('\0');
    (!user.is_empty() || !password.is_empty()).then(|| (user.to_owned(), password.to_owned()))
}

/// What helpers call the registry of `reference`.
fn server_name(reference: &Reference) -> &str {
    match reference.registry() {
        DOCKER_HUB => DOCKER_HUB_KEY,
        registry => registry,
    }
}

/// The keys under which a repository's credential may stand, most special first:
/// `host/a/b`, `host/a`, `host`, and what else the host is called.
fn scopes(reference: &Reference) -> Vec<String> {
    let host = reference.registry();
    let whole = format!("{host}/{}", reference.repository());
    let mut scopes: Vec<String> =
        whole.match_indices('/').map(|(at, _)| whole[..at].to_owned()).skip(1).collect();
    scopes.reverse();
    scopes.insert(0, whole);
    scopes.extend(keys_of_host(host));
    scopes
}

fn keys_of_host(host: &str) -> Vec<String> {
    let mut keys = vec![host.to_owned()];
    if host == DOCKER_HUB {
        keys.extend([DOCKER_HUB_KEY, "index.docker.io", "registry-1.docker.io"].map(str::to_owned));
    }
    keys
}

/// The host of a key that Docker wrote as a URL, `https://host/v1/`, at times without its scheme.
fn host_of(key: &str) -> Option<&str> {
    let url = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    match url {
        Some(rest) => rest.split('/').next(),
        None => key.strip_suffix("/v1/").or_else(|| key.strip_suffix("/v2/")),
    }
}

#[cfg(test)]
mod tests;
