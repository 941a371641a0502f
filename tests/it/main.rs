//! The behaviour of the library and of the program, seen from outside.

#![expect(
    clippy::disallowed_methods,
    reason = "tests write fixtures, read the environment and damage stores on purpose"
)]

mod support;

mod registry;
