//! The arguments of the commands that write `sandbox-images.toml` and the lock.

use clap::Args;

/// `add`
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Where the images come from, such as alpine:3.20, ghcr.io/acme/tool:1.4 or oci:./images/base:v1
    #[arg(value_name = "REF", required = true)]
    pub(crate) sources: Vec<String>,
    /// The image's name [default: the last component of its repository or path]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Put it in this group; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
    /// Lock it for this platform instead of the default ones; may be given again
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Vec<String>,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

/// `remove`
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The images' names in sandbox-images.toml
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) edit: Edit,
}

/// What `add` and `remove` share.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// Change sandbox-images.toml only
    #[arg(long)]
    pub(crate) no_lock: bool,
    /// Print what would change as a diff, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `update`
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Only these images [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Only the images of this group; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
    /// Show what would move, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print what moved as a table for a pull request
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Exit 4 if anything moved
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `outdated`
#[derive(Debug, Args)]
pub(crate) struct Outdated {
    /// Exit 4 if anything is outdated
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `lock`
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag; `lock` turns the last two into a wish"
)]
pub(crate) struct Lock {
    /// Change nothing; exit 3 with the differences if the lock is stale
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) check: bool,
    /// Resolve what is stale and show what would change, but write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Build all that is locked, and write the digests of what is built into the lock
    #[arg(long, conflicts_with = "no_artifacts")]
    pub(crate) artifacts: bool,
    /// Take the digests of what is built out of the lock
    #[arg(long)]
    pub(crate) no_artifacts: bool,
}
