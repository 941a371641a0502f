//! The command line as clap sees it. What the flags mean together is decided in `mode`.

pub(crate) mod locking;

pub(crate) mod reading;

pub(crate) mod keeping;

pub(crate) mod carrying;

pub(crate) mod publishing;

pub(crate) mod pulling;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use sandbox_images::spec::duration;
use sandbox_images::spec::publish_target::PublishTarget;
use serde::Serialize;

/// Lock and sync OCI images as bootable disks for microVM sandboxes.
#[derive(Debug, Parser)]
#[command(name = "sandbox-images", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, hide_short_help = true)]
    pub(crate) directory: Option<PathBuf>,
    /// The file that names the images
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        hide_short_help = true,
        default_value = "sandbox-images.toml"
    )]
    pub(crate) file: PathBuf,
    /// The lock file [default: beside the file that names the images]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) lockfile: Option<PathBuf>,
    /// The store [default: sandbox-images in the user's cache directory]
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        hide_short_help = true,
        env = "SANDBOX_IMAGES_STORE",
        hide_env_values = true
    )]
    pub(crate) store: Option<PathBuf>,
    /// The user's configuration [default: sandbox-images/config.toml in the user's configuration directory]
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        hide_short_help = true,
        env = "SANDBOX_IMAGES_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Print errors and data only
    #[arg(short, long, global = true, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Say why things are done and what is asked of registries; twice for more
    #[arg(short, long, global = true, hide_short_help = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        global = true,
        hide_short_help = true,
        default_value_t
    )]
    pub(crate) color: Color,
    /// How to show, on standard error, what is done
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        global = true,
        hide_short_help = true,
        default_value_t,
        env = "SANDBOX_IMAGES_PROGRESS",
        hide_env_values = true
    )]
    pub(crate) progress: Progress,
    /// Print data, and errors, as JSON on standard output
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) json: bool,
    /// How long to wait for another process that works on the same artifact
    #[arg(long, value_name = "DURATION", global = true, hide_short_help = true, default_value = "10m", value_parser = duration::parse)]
    pub(crate) wait_timeout: Duration,
}

/// When to use colour; `auto` is on a terminal.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How to show progress: bars, which need a terminal, a line for each thing done, an event a line as JSON,
/// or nothing; `auto` as suits where standard error goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    #[default]
    Auto,
    Bar,
    Plain,
    Json,
    None,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a sandbox-images.toml to start from
    Init,
    /// Write images into sandbox-images.toml, then lock
    Add(locking::Add),
    /// Take images out of sandbox-images.toml, then lock
    Remove(locking::Remove),
    /// Pin the images of sandbox-images.toml to digests in sandbox-images.lock
    Lock(locking::Lock),
    /// Move pins to what the images' tags name now
    Update(locking::Update),
    /// Show which tags name something else than the lock
    Outdated(locking::Outdated),
    /// Make the store hold what the lock says
    Sync(Sync),
    /// Pull one image without a project, or the images of a group
    Pull(pulling::Pull),
    /// Print where the disk of an image is
    Path(Path),
    /// Write the disk of an image in another form
    Disk(Disk),
    /// Show the images, their pins and whether they are in the store
    List(List),
    /// Write locked images to a bundle for hosts without a network, an OCI layout or a docker archive
    Export(carrying::Export),
    /// Fill the store from a bundle, with no network
    Import(carrying::Import),
    /// Hand synced images to another program's cache
    Publish(publishing::Publish),
    /// Hash the store again and compare it with its records and the lock
    Verify(keeping::Verify),
    /// Delete from the store what no project and no sandbox wants
    Gc(keeping::Gc),
    /// Show what keeps artifacts in the store alive, and change it
    #[command(subcommand)]
    Roots(keeping::Roots),
    /// Look for what is wrong with this machine, and how to mend it
    Doctor(Doctor),
    /// Show how the tool reads something, as JSON
    #[command(subcommand)]
    Inspect(Inspect),
    /// Check, without a network, that the lock is fresh and consistent
    Check(reading::Check),
    /// Compare the lock with an older one, for review
    Diff(reading::Diff),
    /// Show who refers to a digest, and what it names
    Why(reading::Why),
    /// Print a key for a CI's cache, which changes with the content
    CacheKey(reading::CacheKey),
    /// Print what makes a shell complete the command line
    Completions(reading::Completions),
    /// Print a manual page, or write all of them
    Man(reading::Man),
    /// Print a JSON Schema
    Schema(reading::Schema),
    /// Say what the code of an error means, and what to do
    Explain(reading::Explain),
}

/// `sync`
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag; `mode` turns them into what they mean together"
)]
pub(crate) struct Sync {
    /// Fail with exit 3 if the lock does not match sandbox-images.toml
    #[arg(long, env = "SANDBOX_IMAGES_LOCKED", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) locked: bool,
    /// Fix a stale lock also where CI is set
    #[arg(long, conflicts_with_all = ["frozen", "check", "from_lock"])]
    pub(crate) no_locked: bool,
    /// Use no network
    #[arg(long, env = "SANDBOX_IMAGES_OFFLINE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// The same as --locked --offline
    #[arg(long, env = "SANDBOX_IMAGES_FROZEN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) frozen: bool,
    /// Sync what a lock says, without sandbox-images.toml
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, conflicts_with_all = ["group", "all_groups"])]
    #[expect(clippy::option_option, reason = "absent, given without a file, given with one")]
    pub(crate) from_lock: Option<Option<PathBuf>>,
    /// Change nothing; exit 4 if anything is to be fetched or built
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) check: bool,
    /// Show what would be done, but do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only the images of these groups, and those without a group
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
    /// The images of all groups
    #[arg(long, conflicts_with = "group")]
    pub(crate) all_groups: bool,
    /// Only these images
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Vec<String>,
    /// For which platform: host, all, or one such as linux/arm64
    #[arg(long, value_name = "PLATFORM", default_value = "host")]
    pub(crate) platform: String,
    /// Fetch all that is needed to build without a network, but build nothing
    #[arg(long, conflicts_with = "publish")]
    pub(crate) fetch_only: bool,
    /// Delete now what the lock no longer names and nobody else wants, not after a week
    #[arg(long, conflicts_with_all = ["no_gc", "offline", "frozen", "check"])]
    pub(crate) prune: bool,
    #[arg(long, help = "Delete nothing from the store [env: SANDBOX_IMAGES_NO_GC]")]
    pub(crate) no_gc: bool,
    /// Hand the images to microsandbox's cache too: microsandbox or microsandbox=DIR; may be given again
    #[arg(long, value_name = "TARGET")]
    pub(crate) publish: Vec<PublishTarget>,
    /// How many layers at once
    #[arg(short, value_name = "N", env = "SANDBOX_IMAGES_CONCURRENCY", hide_env_values = true)]
    pub(crate) jobs: Option<std::num::NonZeroUsize>,
}

/// `path`
#[derive(Debug, Args)]
pub(crate) struct Path {
    /// The image's name in sandbox-images.toml
    pub(crate) name: String,
    /// Which file
    #[arg(long, value_enum, default_value_t)]
    pub(crate) kind: FileKind,
    /// For which platform [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// Keep the files of the image in the store for as long as this process lives
    #[arg(long, value_name = "PID")]
    pub(crate) lease_pid: Option<u32>,
}

/// The files of an image: the VMDK that joins the others, the merged metadata, or the layers' images,
/// bottom to top, a line each.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum FileKind {
    #[default]
    Disk,
    Fsmeta,
    Layers,
}

/// `disk`
#[derive(Debug, Args)]
pub(crate) struct Disk {
    /// The image's name in sandbox-images.toml
    pub(crate) name: String,
    /// In which form
    #[arg(long, value_enum)]
    pub(crate) format: DiskFormat,
    /// Where to write it; a VMDK or a table without FILE, or to -, is printed
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// For which platform [default: the host's]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
}

/// The forms of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DiskFormat {
    /// A text that joins the files of the store: QEMU, libkrun, cloud-hypervisor
    Vmdk,
    /// One file that needs no other: Firecracker, any hypervisor
    Raw,
    /// Lines for dmsetup, in which files stand for the loop devices to attach
    DmTable,
}

/// `list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Show the layers too, and what they share
    #[arg(long)]
    pub(crate) layers: bool,
}

/// `doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Ask registries and mirrors for the images of the project
    #[arg(long)]
    pub(crate) online: bool,
}

/// `inspect`
#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    /// An image reference
    Reference {
        /// Such as alpine:3.20
        reference: String,
    },
    /// An index or manifest
    Manifest {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// The entries of a layer, in the order of its tar
    Layer {
        /// A file, or - for standard input
        file: PathBuf,
    },
    /// A merged tree
    Tree(InspectTree),
    /// What would be shown to a registry, without the secret
    Auth {
        /// An image reference, such as ghcr.io/acme/tool:1.4
        reference: String,
    },
}

/// `inspect tree`
#[derive(Debug, Args)]
pub(crate) struct InspectTree {
    /// An image of the lock that is in the store
    #[arg(required_unless_present_any = ["layers", "erofs"])]
    pub(crate) name: Option<String>,
    /// Layer tars, bottom to top, merged without a store
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["name", "erofs"])]
    pub(crate) layers: Vec<PathBuf>,
    /// An EROFS image: a layer, an fsmeta or a whole disk
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub(crate) erofs: Option<PathBuf>,
    /// The layer images that an fsmeta refers to, in the order of its device table
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "erofs")]
    pub(crate) device: Vec<PathBuf>,
    /// For which platform [default: the host's]
    #[arg(long, value_name = "PLATFORM", requires = "name")]
    pub(crate) platform: Option<String>,
}
