//! What goes wrong with registries.

use std::time::Duration;

use crate::oci::document::error::DocumentError;
use crate::oci::reference::Reference;
use crate::registry::cause::is_certificate;
use crate::registry::shown::{ShownUrl, Words};

/// What a failure means to the caller: which exit code it gets and whether another try may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The network or the registry failed.
    Network,
    /// The registry's certificate is not trusted.
    Certificate,
    /// The registry asks for a pause that is too long to wait for.
    RateLimited,
    /// The registry refuses the credentials, or wants some.
    Denied,
    /// The registry does not have it.
    NotFound,
    /// The bytes are not what their digest, size or descriptor says.
    Integrity,
    /// The image is of a kind or for a platform that is not supported.
    Unsupported,
    /// The registry breaks a rule of the protocol that protects the client.
    Protocol,
    /// The settings cannot be used.
    Settings,
}

/// What goes wrong with registries. URLs are shown without userinfo and query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TLS client cannot be made, for want of a CA bundle or by a wrong certificate in the settings.
    #[error("cannot prepare connections to `{registry}`")]
    Client {
        /// The registry's host.
        registry: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The registry's name cannot be the host of a URL.
    #[error("`{registry}` is not a host that can be reached")]
    Host {
        /// The registry's host.
        registry: String,
    },
    /// No answer, or the connection broke.
    #[error("cannot get `{url}`")]
    Transport {
        /// What was asked for.
        url: ShownUrl,
        /// Why. It does not hold the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The other side's certificate is not trusted, or not for its name.
    #[error("`{url}` shows a certificate that is not trusted")]
    Certificate {
        /// What was asked for.
        url: ShownUrl,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The registry answered with a failure.
    #[error("`{url}` answered with {status}{words}")]
    Status {
        /// What was asked for.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
        /// What the registry says about it.
        words: Words,
        /// The pause that the registry asks for.
        retry_after: Option<Duration>,
        /// Whether another origin answered, to which the registry had redirected.
        redirected: bool,
    },
    /// The registry asks for a pause that is too long.
    #[error("`{url}` asks to come back in {} s{words}", .wait.as_secs())]
    RateLimited {
        /// What was asked for.
        url: ShownUrl,
        /// The pause.
        wait: Duration,
        /// What the registry says about it.
        words: Words,
    },
    /// The registry wants credentials, or refuses those it got.
    #[error("`{registry}` denies access to `{repository}`{words}")]
    Denied {
        /// The registry's host.
        registry: String,
        /// The repository.
        repository: String,
        /// What the registry says about it.
        words: Words,
    },
    /// The registry says in no way that is understood what it wants to be shown.
    #[error("`{registry}` asks for an authentication that is not supported")]
    Challenge {
        /// The registry's host.
        registry: String,
    },
    /// Credentials would travel in the clear, or to a place that the registry may not name.
    #[error("`{registry}` names the token server `{realm}`, which is not allowed: {reason}")]
    Realm {
        /// The registry's host.
        registry: String,
        /// The token server.
        realm: String,
        /// The rule that is broken.
        reason: &'static str,
    },
    /// The token server's answer holds no token.
    #[error("`{url}` answered without a token")]
    NoToken {
        /// The token server.
        url: ShownUrl,
    },
    /// A redirect that is not followed.
    #[error("redirect by `{url}` is not followed: {reason}")]
    Redirect {
        /// What was asked for.
        url: ShownUrl,
        /// The rule that is broken.
        reason: &'static str,
    },
    /// The body ended before its length.
    #[error("`{url}` ended after {actual} of {expected} bytes")]
    Truncated {
        /// What was asked for.
        url: ShownUrl,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// Less came than anybody would wait for.
    #[error("`{url}` sends less than {bytes_per_s} bytes a second")]
    TooSlow {
        /// What was asked for.
        url: ShownUrl,
        /// The limit.
        bytes_per_s: u64,
    },
    /// A part was asked for and another one came.
    #[error("`{url}` sent another range than was asked for")]
    Range {
        /// What was asked for.
        url: ShownUrl,
    },
    /// The body is whole and has another length than its descriptor says.
    #[error("`{url}` has {actual} bytes instead of {expected}")]
    Size {
        /// What was asked for.
        url: ShownUrl,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes that came or that the registry announced.
        actual: u64,
    },
    /// The body goes on beyond its limit; the transfer was stopped.
    #[error("`{url}` has more than {limit} bytes")]
    TooLong {
        /// What was asked for.
        url: ShownUrl,
        /// Bytes by the descriptor, or that any such document may have.
        limit: u64,
    },
    /// There is no such image, or none that can be used.
    #[error("cannot use `{image}`")]
    Unusable {
        /// The image.
        image: Reference,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// The document is refused.
    #[error("cannot use `{url}`")]
    Document {
        /// What was asked for.
        url: ShownUrl,
        /// Why.
        #[source]
        source: Box<DocumentError>,
    },
}

impl Error {
    /// No answer from `url`, or a connection that broke.
    pub(super) fn transport(url: ShownUrl, source: reqwest::Error) -> Self {
        let source = source.without_url();
        if is_certificate(&source) {
            return Self::Certificate { url, source };
        }
        Self::Transport { url, source }
    }

    /// What this means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Client { .. } | Self::Host { .. } => ErrorKind::Settings,
            Self::Status { status: 404, .. } => ErrorKind::NotFound,
            Self::Status { status: 429, .. } | Self::RateLimited { .. } => ErrorKind::RateLimited,
            Self::Status { status: 401 | 403, .. }
            | Self::Denied { .. }
            | Self::Challenge { .. } => ErrorKind::Denied,
            Self::Certificate { .. } => ErrorKind::Certificate,
            Self::Transport { .. }
            | Self::Status { .. }
            | Self::Truncated { .. }
            | Self::TooSlow { .. }
            | Self::Range { .. } => ErrorKind::Network,
            Self::Realm { .. } | Self::NoToken { .. } | Self::Redirect { .. } => {
                ErrorKind::Protocol
            }
            Self::Size { .. } | Self::TooLong { .. } => ErrorKind::Integrity,
            Self::Document { source, .. } if source.is_integrity() => ErrorKind::Integrity,
            Self::Document { .. } | Self::Unusable { .. } => ErrorKind::Unsupported,
        }
    }

    /// Whether the same request may succeed later.
    pub(super) const fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. }
            | Self::Truncated { .. }
            | Self::TooSlow { .. }
            | Self::Range { .. } => true,
            Self::Status { status, redirected, .. } => {
                // A presigned URL may have expired; the registry will give a new one.
                matches!(*status, 408 | 429 | 500..)
                    || (*redirected && matches!(*status, 401 | 403))
            }
            _ => false,
        }
    }

    /// Whether the transfer was whole and its bytes were others than promised.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Document { source, .. } => source.is_damage(),
            Self::Size { .. } | Self::TooLong { .. } => true,
            _ => false,
        }
    }
}
