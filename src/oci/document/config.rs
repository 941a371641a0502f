//! Image configs: what an image runs on, what its layers unpack to, and how it is started (OCI
//! `config.md`, Docker's `spec.md`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::oci::digest::DiffId;
use crate::oci::document::descriptor::read_platform;
use crate::oci::document::error::DocumentError;
use crate::oci::document::json;
use crate::oci::document::parsed::{CONFIG_BYTES_MAX, Parsed};
use crate::oci::platform::Platform;

/// What an image runs on, what its layers unpack to, and how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// The operating system; empty where the config does not say.
    pub os: String,
    /// The architecture; empty where the config does not say.
    pub architecture: String,
    /// The architecture's variant.
    pub variant: Option<String>,
    /// The digests of the layers' tars, bottom to top.
    pub diff_ids: Vec<DiffId>,
    /// `NAME=value` for the program's environment.
    pub env: Vec<String>,
    /// Arguments of the entrypoint, or the program itself where there is none.
    pub cmd: Vec<String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// The directory the program starts in; empty where the config does not say.
    pub working_dir: String,
    /// `user`, `uid`, `user:group` or `uid:gid`; empty where the config does not say.
    pub user: String,
    /// `port`, `port/tcp` or `port/udp`, sorted.
    pub exposed_ports: Vec<String>,
    /// Directories for data that is not the image's, sorted.
    pub volumes: Vec<String>,
    /// Remarks by key.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end.
    pub stop_signal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ConfigJson {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    rootfs: RootfsJson,
    config: Option<RunJson>,
}

#[derive(Debug, Deserialize)]
struct RootfsJson {
    diff_ids: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunJson {
    env: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    exposed_ports: Option<Map<String, Value>>,
    volumes: Option<Map<String, Value>>,
    labels: Option<BTreeMap<String, Option<String>>>,
    stop_signal: Option<String>,
}

impl ImageConfig {
    /// Checks that the image is for `expected`. The variant is not compared: many configs lack it.
    pub fn check_platform(&self, expected: &Platform) -> Result<(), DocumentError> {
        let agrees = read_platform(&self.os, &self.architecture, None).is_some_and(|actual| {
            actual.os() == expected.os() && actual.architecture() == expected.architecture()
        });
        if agrees {
            return Ok(());
        }
        Err(DocumentError::PlatformMismatch {
            expected: expected.clone(),
            actual: format!("{}/{}", self.os, self.architecture),
        })
    }

    /// The platform it says it is for, if it says so in words that a platform can have.
    pub fn platform(&self) -> Option<Platform> {
        read_platform(&self.os, &self.architecture, self.variant.as_deref())
    }
}

impl Parsed for ImageConfig {
    const BYTES_MAX: u64 = CONFIG_BYTES_MAX;
    const IS_BLOB: bool = true;

    /// A config does not say its own media type, so there is nothing that could contradict it.
    fn parse(bytes: &[u8], _: Option<&str>) -> Result<Self, DocumentError> {
        let config: ConfigJson = json::read(bytes)?;
        let wrong = |source| DocumentError::WrongDigest { field: "rootfs.diff_ids", source };
        let diff_ids = config.rootfs.diff_ids.unwrap_or_default();
        let run = config.config.unwrap_or_default();
        Ok(Self {
            os: config.os.unwrap_or_default(),
            architecture: config.architecture.unwrap_or_default(),
            variant: filled(config.variant),
            diff_ids: diff_ids
                .iter()
                .map(|diff_id| diff_id.parse().map_err(wrong))
                .collect::<Result<_, _>>()?,
            env: run.env.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            entrypoint: run.entrypoint.unwrap_or_default(),
            working_dir: run.working_dir.unwrap_or_default(),
            user: run.user.unwrap_or_default(),
            exposed_ports: keys(run.exposed_ports),
            volumes: keys(run.volumes),
            labels: run
                .labels
                .unwrap_or_default()
                .into_iter()
                .map(|(key, value)| (key, value.unwrap_or_default()))
                .collect(),
            stop_signal: filled(run.stop_signal),
        })
    }
}

/// Go writes an empty string where a value is missing.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Go's form of a set is a map whose values say nothing.
fn keys(set: Option<Map<String, Value>>) -> Vec<String> {
    let mut keys: Vec<String> = set.unwrap_or_default().into_iter().map(|(key, _)| key).collect();
    keys.sort();
    keys
}
