//! A stack of layers becomes one tree.

#![expect(clippy::unwrap_used, reason = "a test whose input is wrong has failed")]

mod cases;
mod fixture;
mod kernel;
mod model;
mod rules;
mod scale;
mod stacks;
