//! The arguments of the command that hands images to other programs.

use clap::Args;
use clap::builder::FalseyValueParser;
use sandbox_images::spec::publish_target::PublishTarget;

/// `publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// microsandbox, or microsandbox=DIR for its cache in another place
    #[arg(value_name = "TARGET")]
    pub(crate) target: PublishTarget,
    /// Only these images; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Vec<String>,
    /// Use no network: with trust-lock in config.toml, manifests that are not in the store are missing
    #[arg(long, env = "SANDBOX_IMAGES_OFFLINE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
}
