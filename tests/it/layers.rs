//! A stack of layers becomes one tree.

mod cases;
mod fixture;
mod model;
mod rules;
mod stacks;
