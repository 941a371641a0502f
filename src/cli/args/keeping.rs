//! The arguments of the commands that say what a store keeps.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use sandbox_images::spec::{duration, size};

/// `verify`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag, and asks for one thing more")]
pub(crate) struct Verify {
    /// Also read every structure, and compare what was built with what it was built of
    #[arg(long)]
    pub(crate) deep: bool,
    /// Move what is damaged to quarantine, and make it again
    #[arg(long)]
    pub(crate) repair: bool,
    /// Use no network: --repair makes again only what is built of other files
    #[arg(long, env = "SANDBOX_IMAGES_OFFLINE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// Leave the store alone, and compare the lock with the documents that its digests name at the registries
    #[arg(long, conflicts_with_all = ["deep", "repair"])]
    pub(crate) registry: bool,
}

/// `gc`
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Show what would go, what would stay, and why, but delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Keep what was used more lately than this ago, such as 12h, 30d or 2w
    #[arg(long, value_name = "AGE", value_parser = duration::parse_age)]
    pub(crate) max_age: Option<Duration>,
    /// Delete what was used longest ago, until the store has at most as many bytes, such as 50GiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) max_size: Option<u64>,
    /// Keep only what the lock of this project names; refused if others keep things in the store
    #[arg(long)]
    pub(crate) only_this_lock: bool,
    /// With --only-this-lock: take the roots of the others away
    #[arg(long, requires = "only_this_lock")]
    pub(crate) drop_other_roots: bool,
}

/// `roots`
#[derive(Debug, Subcommand)]
pub(crate) enum Roots {
    /// Show what keeps artifacts alive
    List,
    /// Keep what a lock names, without syncing it, and whatever becomes of the lock; or what was pulled
    Add {
        /// The lock [default: that of this project], or the id of a root as `roots list` shows it
        #[arg(value_name = "LOCK|ID")]
        lock: Option<PathBuf>,
    },
    /// Keep what a lock names no longer; the next gc may take it
    Remove {
        /// Paths of locks, or ids as `roots list` shows them
        #[arg(value_name = "LOCK|ID", required = true)]
        roots: Vec<String>,
    },
}
