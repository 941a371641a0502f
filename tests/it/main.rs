//! The behaviour of the library and of the program, seen from outside.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write fixtures, read the environment and damage stores on purpose"
)]

mod support;

mod architecture;

mod tar_reader;

mod store;

mod tar_reader;
mod registry;

mod lock_versions;
mod layers;
mod erofs;
mod lock;

mod sync;

mod offline;

mod hostile_registry;

mod crash;

mod real_image;
