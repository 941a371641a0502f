//! Every step by which the program changes a file system fails or is its last: what comes after is a typed
//! error, and a store that the next run completes.
//!
//! A target of its own, with what it shares with `it` compiled once more and nothing else. The program is
//! built with the feature `failpoints`.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write fixtures, read the environment and damage stores on purpose"
)]

#[expect(dead_code, reason = "this target needs a part of what `it` needs")]
mod support;

#[expect(dead_code, reason = "this target needs a part of what `it` needs")]
#[path = "survival/scene.rs"]
mod scene;

#[path = "failpoints/scenario.rs"]
mod scenario;

#[path = "failpoints/world.rs"]
mod world;

#[path = "failpoints/sweep.rs"]
mod sweep;

#[path = "failpoints/power.rs"]
mod power;

#[path = "failpoints/inside.rs"]
mod inside;

#[path = "failpoints/clock.rs"]
mod clock;
