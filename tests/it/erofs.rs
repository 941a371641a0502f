//! The bytes of layer images, fsmeta and disks: pinned, read back, damaged, and shown to readers that are
//! not ours.

#![expect(clippy::unwrap_used, reason = "what a helper cannot do fails the test that asked for it")]

pub(crate) mod sample;

pub(crate) mod listing;

mod bytes;

mod round_trip;

mod hostile;

pub(crate) mod oracles;

mod kernel;
