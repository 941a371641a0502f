//! The arguments of the commands that only read: the files, the store, or the program itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// `check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Also demand that the store holds what a plain `sync` would put there; exit 4 if it does not
    #[arg(long)]
    pub(crate) in_sync: bool,
}

/// `diff`
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older lock: a file, or a revision of git
    #[arg(value_name = "FILE|REV", default_value = "HEAD")]
    pub(crate) old: String,
    /// Print a table for a merge request
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

/// `why`
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// A digest, its first 8 hex digits or more, or a file of the store
    #[arg(value_name = "DIGEST|PATH")]
    pub(crate) subject: String,
}

/// `cache-key`
#[derive(Debug, Args)]
pub(crate) struct CacheKey {
    /// Only the images of these groups, and those without a group
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
    /// For which platform: host, all, or one such as linux/arm64
    #[arg(long, value_name = "PLATFORM", default_value = "host")]
    pub(crate) platform: String,
}

/// `completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell that is to complete
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// `man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command whose page is printed [default: that of the program]
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub(crate) command: Vec<String>,
    /// Write all pages into DIR instead
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// `schema`
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of what
    #[arg(value_enum)]
    pub(crate) subject: SchemaSubject,
}

/// What there is a JSON Schema of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SchemaSubject {
    /// sandbox-images.toml
    Images,
    /// sandbox-images.lock
    Lock,
    /// The user's config.toml
    Config,
    /// What commands print with --json
    Output,
    /// What they write on standard error with --progress json, a line each
    Events,
}

/// `explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Such as lock-stale; without it, all codes are listed
    pub(crate) code: Option<String>,
    /// List all codes
    #[arg(long, conflicts_with = "code")]
    pub(crate) list: bool,
}
