//! What people write and commit: `sandbox-images.toml`, the lock, and whether the two agree; and the user's
//! own `config.toml`. No I/O: texts go in, data and diagnostics come out.

pub mod diagnostic;

pub mod name;

pub mod source;

pub mod suggest;

pub mod unknown;

mod walk;

pub mod misplaced;

pub mod duration;

pub mod size;

pub mod publish_target;

mod registries;

pub mod manifest_file;

pub mod edit;

pub mod config;

pub mod lockfile;

pub mod freshness;

pub mod git_attributes;

pub mod consistency;

pub mod schema;
