//! Places that serve a registry's repositories: the registry itself, and its mirrors.

use std::fmt;

use reqwest::Url;

use crate::oci::reference::Reference;

/// How a place is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// That of `url`, which is one for HTTP.
    pub(super) fn of(url: &Url) -> Self {
        if url.scheme() == "http" { Self::Http } else { Self::Https }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A place that serves what a registry has.
///
/// What it sends is believed no more than what anybody sends: digests decide. It is told the registry it
/// stands for by `?ns=`, as containerd does, and is shown credentials of its own only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mirror {
    scheme: Scheme,
    host: String,
    prefix: String,
}

/// Why a text is not a mirror's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// It is no URL.
    #[error("it is not a URL")]
    Url,
    /// It is reached by another protocol.
    #[error("it starts with neither `https://` nor `http://`")]
    Scheme,
    /// A password in it would be shown wherever the URL is.
    #[error("it holds a user or a password; name them as the mirror's own registry")]
    User,
    /// It has a query or a fragment, which requests would lose.
    #[error("it has a query or a fragment")]
    Query,
    /// What stands before repositories is not a part of a repository's name.
    #[error("its path is not a part of a repository's name")]
    Path,
}

impl Mirror {
    /// Reads `https://HOST[:PORT][/PREFIX]`. The prefix is put before each repository's name, as
    /// `docker-hub` in `/v2/docker-hub/library/alpine/`; a `v2` at its start means the protocol's own.
    pub fn parse(text: &str) -> Result<Self, MirrorError> {
        let url = Url::parse(text).map_err(|_| MirrorError::Url)?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(MirrorError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(MirrorError::User);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(MirrorError::Query);
        }
        let path = url.path().trim_matches('/');
        let prefix = path.strip_prefix("v2/").unwrap_or(if path == "v2" { "" } else { path });
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(MirrorError::Path);
        }
        Ok(Self { scheme, host: host_of(&url), prefix: prefix.to_owned() })
    }

    /// Its host, with a port where that is not the scheme's own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is reached over TLS.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What `reference` names, here.
    fn mirrored(&self, reference: &Reference) -> Reference {
        let repository = reference.repository();
        let repository = match self.prefix.as_str() {
            "" => repository.to_owned(),
            prefix => format!("{prefix}/{repository}"),
        };
        reference.moved(&self.host, repository)
    }
}

/// A repository at one of the places that serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The place by its own name, the repository as it is called there.
    reference: Reference,
    scheme: Option<Scheme>,
    stands_for: Option<String>,
}

impl Endpoint {
    /// The registry of `reference` itself.
    pub(super) fn origin(reference: &Reference) -> Self {
        Self { reference: reference.clone(), scheme: None, stands_for: None }
    }

    /// What `mirror` has of the same repository.
    pub(super) fn mirror(mirror: &Mirror, reference: &Reference) -> Self {
        Self {
            reference: mirror.mirrored(reference),
            scheme: Some(mirror.scheme),
            stands_for: Some(reference.registry().to_owned()),
        }
    }

    /// The place by its own name, the repository as it is called there.
    pub(super) const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The place's name in settings and in files of credentials.
    pub(super) fn host(&self) -> &str {
        self.reference.registry()
    }

    /// How it is reached, where that was said.
    pub(super) const fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// The registry that it stands for, if it is a mirror.
    pub(super) fn stands_for(&self) -> Option<&str> {
        self.stands_for.as_deref()
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// `host:port` of a URL, or `host` where the port is the scheme's own.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_host_and_perhaps_a_prefix() {
        for (text, shown, repository) in [
            ("https://m.example", "https://m.example", "library/alpine"),
            ("https://m.example:443/", "https://m.example", "library/alpine"),
            ("http://[::1]:5000/v2/", "http://[::1]:5000", "library/alpine"),
            ("https://m.example/hub", "https://m.example/hub", "hub/library/alpine"),
            ("https://m.example/v2/a/b/", "https://m.example/a/b", "a/b/library/alpine"),
        ] {
            let mirror = Mirror::parse(text).unwrap();
            assert_eq!(mirror.to_string(), shown);
            let alpine = "docker.io/library/alpine:3".parse().unwrap();
            let endpoint = Endpoint::mirror(&mirror, &alpine);
            assert_eq!(endpoint.reference().repository(), repository);
            assert_eq!(endpoint.reference().tag(), Some("3"));
            assert_eq!(endpoint.stands_for(), Some("docker.io"));
        }
    }

    #[test]
    fn what_could_mislead_is_no_mirror() {
        for (text, error) in [
            ("m.example", MirrorError::Url),
            ("ftp://m.example", MirrorError::Scheme),
            ("https://ann:pw@m.example", MirrorError::User),
            ("https://m.example/?ns=x", MirrorError::Query),
            ("https://m.example/#x", MirrorError::Query),
            ("https://m.example/a//b", MirrorError::Path),
            ("https://m.example/a%20b", MirrorError::Path),
        ] {
            assert_eq!(Mirror::parse(text), Err(error), "{text}");
        }
    }
}
