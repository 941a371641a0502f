//! The behaviour of the library and of the program, seen from outside.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write fixtures, read the environment and damage stores on purpose"
)]

mod support;

mod annotations;
mod architecture;
mod archives;
mod auth_topologies;
mod cache_key;
mod check;
mod client_certificate;
mod config;
mod crash;
mod credentials;
mod diagnostics;
mod diff;
mod disk;
mod docs;
mod doctor;
mod edit;
mod erofs;
mod events;
mod examples;
mod explain;
mod export;
mod gc;
mod generated;
mod hostile_registry;
mod huge_sizes;
mod import;
mod init;
mod inspect;
mod inspect_auth;
mod keep_blobs;
mod large;
mod layers;
mod lock;
mod lock_artifacts;
mod lock_merges;
mod lock_versions;
mod logs;
mod odd_paths;
mod offline;
mod pins;
mod private_registry;
mod progress;
mod publish;
mod pull;
mod real_image;
mod reference;
mod registry;
mod registry_faults;
mod resume;
mod roots;
mod schema;
mod secrets;
mod store;
mod survival;
mod sync;
mod tar_differential;
mod tar_reader;
mod terminal;
mod trust_lock;
mod untouched;
mod update;
mod verify;
mod why;
