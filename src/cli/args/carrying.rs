//! The arguments of the commands that carry images between hosts.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use serde::Serialize;

/// `export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where to write it; - is standard output. A docker archive or a layout named .gz is compressed
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) output: PathBuf,
    /// In which form
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ExportFormat,
    /// Only these images
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Vec<String>,
    /// For which platform: host, all, or one such as linux/arm64
    #[arg(long, value_name = "PLATFORM", default_value = "host")]
    pub(crate) platform: String,
    /// What a bundle holds: compressed layers, artifacts, or both [default: artifacts]
    #[arg(long, value_enum)]
    pub(crate) content: Option<ExportContent>,
    /// Leave out of a bundle what is in that of an older lock
    #[arg(long, value_name = "OLD.lock")]
    pub(crate) since: Option<PathBuf>,
    /// Use no network
    #[arg(long, env = "SANDBOX_IMAGES_OFFLINE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// How many layers at once
    #[arg(short, value_name = "N", env = "SANDBOX_IMAGES_CONCURRENCY", hide_env_values = true)]
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// The forms of what is exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExportFormat {
    /// A tar for `import`: an OCI layout with the lock and the artifacts in it
    #[default]
    Bundle,
    /// A tar of an OCI layout
    Oci,
    /// A directory that is an OCI layout
    OciDir,
    /// A tar for `docker load`
    DockerArchive,
}

/// What a bundle holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportContent {
    /// The compressed layers; `import` builds the artifacts
    Oci,
    /// Layer images, fsmetas and disks
    Artifacts,
    /// Both
    Both,
}

/// `import`
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The bundle; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// Check all of the bundle, but keep nothing of it
    #[arg(long)]
    pub(crate) verify_only: bool,
    /// Fail with exit 3 unless the project has the lock of the bundle
    #[arg(long, env = "SANDBOX_IMAGES_LOCKED", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) locked: bool,
}
