//! The bytes of layer images, fsmeta and disks: pinned, read back, damaged, and shown to readers that are
//! not ours.

mod sample;

mod listing;

mod bytes;

mod round_trip;

mod hostile;

mod oracles;
