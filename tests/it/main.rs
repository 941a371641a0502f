//! The behaviour of the library and of the program, seen from outside.

#![expect(
    clippy::disallowed_methods,
    reason = "tests write fixtures, read the environment and damage stores on purpose"
)]

mod support;

mod architecture;

mod tar_reader;

mod layers;

mod erofs;

mod lock_versions;

mod store;

mod registry;
