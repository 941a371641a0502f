//! The arguments of `pull`.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

/// `pull`
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// The image, such as alpine:3.20, ghcr.io/acme/tool:1.4 or oci:./images/base:v1
    #[arg(value_name = "REF", required_unless_present = "group", conflicts_with = "group")]
    pub(crate) reference: Option<String>,
    /// The images of this group of sandbox-images.toml, as its lock pins them if it is fresh
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Whether to ask the registry what the tag names now
    #[arg(long, value_enum, value_name = "POLICY", default_value_t)]
    pub(crate) policy: Policy,
    /// For which platform: host, or one such as linux/arm64 or linux/arm/v7
    #[arg(long, value_name = "PLATFORM", default_value = "host")]
    pub(crate) platform: String,
    /// Put each layer into DIR too
    #[arg(long, value_name = "DIR")]
    pub(crate) layers_dir: Option<PathBuf>,
    /// As what
    #[arg(long, value_enum, value_name = "FORM", default_value_t, requires = "layers_dir")]
    pub(crate) layers_format: LayersForm,
    /// Use no network
    #[arg(long, env = "SANDBOX_IMAGES_OFFLINE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
}

/// Whether a registry is asked.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Policy {
    /// Only for what was not pulled before
    #[default]
    IfMissing,
    /// Always; layers that are there are used
    Always,
    /// Never
    Never,
}

/// What a layer is handed out as.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LayersForm {
    /// Its EROFS image, shared with the store where the file system can
    #[default]
    Erofs,
    /// A directory, with whiteouts as overlayfs has them
    Dir,
}
