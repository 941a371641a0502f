//! The user's `config.toml`: found, read, and turned into how registries are used.

mod files;

mod rules;

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sandbox_images::layer::limits::Limits;
use sandbox_images::plan::extent::Documents;
use sandbox_images::registry::event::EventSink;
use sandbox_images::registry::settings::{Retry, Settings, Timeouts};
use sandbox_images::spec::config::shown::shown;
use sandbox_images::spec::config::{Config, Credential, FILE_BYTES_MAX, Gc};
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::publish_target::PublishTarget;

use crate::cli::args::Global;
use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::texts::{Text, Texts};

/// Rights of others than the owner.
const OTHERS: u32 = 0o077;

/// The user's configuration, or none.
#[derive(Debug, Default)]
pub(crate) struct UserConfig {
    /// Where it is, if there is a file.
    pub(crate) path: Option<PathBuf>,
    config: Config,
    /// The file's text without secrets, for diagnostics.
    texts: Texts,
    /// Others than the owner may read or change the file.
    is_open_to_others: bool,
}

impl UserConfig {
    /// Reads the file that the command line or the environment names, else the one at the usual place, if
    /// it is there.
    pub(crate) fn read(global: &Global, environment: &Environment) -> Result<Self, Failure> {
        let named = global.config.as_ref();
        let Some(path) = named.or(environment.default_config.as_ref()) else {
            return Ok(Self::default());
        };
        let (text, mode) = match text_of(path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) && named.is_none() => return Ok(Self::default()),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let texts =
            Texts { config: Text { path: path.clone(), text: shown(&text) }, ..Texts::default() };
        match Config::parse(&text) {
            Err(problems) => Err(Failure::in_files(Kind::Usage, problems, texts)),
            Ok(config) => Ok(Self {
                path: Some(path.clone()),
                config,
                texts,
                is_open_to_others: mode & OTHERS != 0,
            }),
        }
    }

    /// The store that it names. A relative path starts at the file's directory, as all in it.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        self.config.store.as_ref().map(|store| self.directory().join(&store.value))
    }

    pub(crate) fn allow_foreign_owner(&self) -> bool {
        self.config.allow_foreign_owner
    }

    /// Whether compressed layers stay in the store.
    pub(crate) fn keep_blobs(&self) -> bool {
        self.config.keep_blobs
    }

    /// Which documents of an image are wanted.
    pub(crate) fn documents(&self) -> Documents {
        if self.config.trust_lock { Documents::ConfigOnly } else { Documents::All }
    }

    pub(crate) fn jobs(&self) -> Option<NonZeroUsize> {
        self.config.jobs
    }

    /// Where `sync` publishes to.
    pub(crate) fn publish(&self) -> &[PublishTarget] {
        &self.config.publish
    }

    pub(crate) fn gc(&self) -> Gc {
        self.config.gc
    }

    pub(crate) fn limits(&self) -> Limits {
        self.config.limits
    }

    /// What to say about secrets that are not kept as such.
    pub(crate) fn warning(&self) -> Option<String> {
        let path = self.path.as_ref().filter(|_| self.is_open_to_others)?;
        self.config.secrets().next()?;
        let path = path.display();
        Some(format!("`{path}` holds a secret and is open to other users; run `chmod 600 {path}`"))
    }

    /// The names of the helpers that it names.
    pub(crate) fn helpers(&self) -> impl Iterator<Item = &str> {
        let credentials =
            self.config.registries.values().filter_map(|registry| registry.credential.as_ref());
        credentials.filter_map(|credential| match credential {
            Credential::Helper(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// How registries are used. The mirrors of `image_set` are those of registries for which this file names
    /// none. Reads the files that the configuration names.
    pub(crate) fn settings(
        &self,
        environment: &Environment,
        image_set: Option<&ImageSet>,
        events: EventSink,
    ) -> Result<Settings, Failure> {
        let in_config = |problems| Failure::in_files(Kind::Usage, problems, self.texts.clone());
        let mut registries = rules::of(&self.config, self.directory()).map_err(in_config)?;
        let project = image_set.into_iter().flat_map(|set| &set.mirrors);
        rules::add_mirrors(&mut registries, &self.config, project)?;
        Ok(Settings {
            registries,
            credential_files: environment.credential_files.clone(),
            retry: self.retry(),
            timeouts: self.timeouts(),
            events,
            ..Settings::default()
        })
    }

    fn retry(&self) -> Retry {
        let network = &self.config.network;
        let retry = Retry::default();
        Retry {
            tries_max: network.tries.unwrap_or(retry.tries_max),
            failures_per_registry_max: network
                .failures_per_registry
                .unwrap_or(retry.failures_per_registry_max),
            retry_after_max: network.retry_after_max.unwrap_or(retry.retry_after_max),
            ..retry
        }
    }

    fn timeouts(&self) -> Timeouts {
        let network = &self.config.network;
        let timeouts = Timeouts::default();
        Timeouts {
            connect: network.connect_timeout.unwrap_or(timeouts.connect),
            idle: network.idle_timeout.unwrap_or(timeouts.idle),
            helper: network.helper_timeout.unwrap_or(timeouts.helper),
            bytes_per_s_min: network.bytes_per_second_min.unwrap_or(timeouts.bytes_per_s_min),
            ..timeouts
        }
    }

    /// Where relative paths of the file start.
    pub(crate) fn directory(&self) -> &Path {
        self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }
}

/// The text of the file at `path`, and its mode.
fn text_of(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    // One byte more than is parsed, so that the parser says that the file is too large.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok((text, mode))
}

/// Whether there is no such file, or not even its directory.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot read the configuration `{}`: {error}", path.display());
    Failure::new(Kind::Usage, "config-unreadable", message)
        .help("`--config` or `SANDBOX_IMAGES_CONFIG` names another")
}
