//! `config.toml`: what holds for one user on one machine, whatever the project.
//!
//! It is the only place for credentials, TLS, limits and speeds, and nothing of it can change a lock.
//! Reading it finds every error in one run, each with its place. Files that it names are not opened here:
//! paths and secrets keep the place where they are written, for those who open them.
//!
//! A password may stand in this file, and errors show lines of it: [`shown`](shown::shown) makes the text that
//! may be shown.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

use crate::layer::limits::Limits;
use crate::secret::Secret;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::publish_target::PublishTarget;

mod value;

pub mod limits;

mod credential;

mod registry;

mod read;

pub mod shown;

#[cfg(test)]
mod tests;

/// Bytes of the file. A thousand registries in long form are a quarter of it.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// What a user says about a machine. What the file leaves out is `None`, or the default where there is only
/// one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Where the store is.
    pub store: Option<Placed<String>>,
    /// Whether the store may be added to even if it belongs to another user.
    pub allow_foreign_owner: bool,
    /// Whether compressed layers stay in the store beside what is built of them.
    pub keep_blobs: bool,
    /// Whether a lock is believed without the index and the manifest of each image.
    pub trust_lock: bool,
    /// How many layers are worked on at once.
    pub jobs: Option<NonZeroUsize>,
    /// Where `sync` publishes to.
    pub publish: Vec<PublishTarget>,
    /// How the network is used.
    pub network: Network,
    /// What layers and images may hold.
    pub limits: Limits,
    /// What is kept of what nobody wants.
    pub gc: Gc,
    /// What is special about single registries, by canonical name.
    pub registries: BTreeMap<String, Registry>,
}

/// A value, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Bytes of the file's text.
    pub span: Range<usize>,
}

/// What is kept of what nobody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gc {
    /// What was used more lately stays.
    pub age_max: Option<Duration>,
    /// The store may have as many bytes.
    pub size_bytes_max: Option<u64>,
    /// Whether `sync` takes what its project dropped.
    pub auto: bool,
}

impl Default for Gc {
    /// Nothing is kept by `gc`, and `sync` collects.
    fn default() -> Self {
        Self { age_max: None, size_bytes_max: None, auto: true }
    }
}

/// How the network is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// How long a connection may take to be made.
    pub connect_timeout: Option<Duration>,
    /// How long the next bytes may take to come.
    pub idle_timeout: Option<Duration>,
    /// How long a credential helper may take to answer.
    pub helper_timeout: Option<Duration>,
    /// Tries of one request without progress.
    pub tries: Option<u32>,
    /// Failures of one registry in a run.
    pub failures_per_registry: Option<u32>,
    /// The longest pause that a registry may ask for.
    pub retry_after_max: Option<Duration>,
    /// Bytes a second below which a transfer is given up and made again.
    pub bytes_per_second_min: Option<u64>,
}

/// What is special about one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Base URLs that are asked before it, in this order; `None` leaves it to the project.
    pub mirrors: Option<Vec<Placed<String>>>,
    /// Whether it is asked itself where there are mirrors.
    pub fallback: bool,
    /// What of the protection of TLS is given up.
    pub insecure: Option<Insecure>,
    /// A file of certificates of authorities that are trusted beside the system's, in PEM.
    pub ca: Option<Placed<String>>,
    /// The client's own certificate.
    pub client: Option<ClientCertificate>,
    /// What is shown to it; `None` leaves it to other programs' files and helpers.
    pub credential: Option<Credential>,
}

impl Default for Registry {
    /// Nothing is special.
    fn default() -> Self {
        Self {
            mirrors: None,
            fallback: true,
            insecure: None,
            ca: None,
            client: None,
            credential: None,
        }
    }
}

/// What of the protection of TLS is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    /// There is no TLS.
    Http,
    /// Any certificate will do.
    SkipVerify,
}

/// Files with what a client shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file of the certificate, in PEM.
    pub certificate: Placed<String>,
    /// The file of its key, in PEM; `None` if the certificate's file has it.
    pub key: Option<Placed<String>>,
}

/// What is shown to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// What the helper `docker-credential-NAME` holds.
    Helper(String),
    /// A user's name and a password.
    Password {
        /// The name.
        username: String,
        /// Where the password is.
        password: SecretSource,
    },
    /// An identity token, which the token server changes into one for the registry.
    IdentityToken(SecretSource),
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In this file.
    Text(Placed<Secret>),
    /// In a file of its own.
    File(Placed<String>),
}

impl Config {
    /// Reads the text of `config.toml`, or says all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        read::config(text)
    }

    /// Where secrets stand in the file itself.
    pub fn secrets(&self) -> impl Iterator<Item = &Placed<Secret>> {
        let sources = self.registries.values().filter_map(|registry| match &registry.credential {
            Some(Credential::Password { password, .. }) => Some(password),
            Some(Credential::IdentityToken(token)) => Some(token),
            Some(Credential::Anonymous | Credential::Helper(_)) | None => None,
        });
        sources.filter_map(|source| match source {
            SecretSource::Text(text) => Some(text),
            SecretSource::File(_) => None,
        })
    }
}
