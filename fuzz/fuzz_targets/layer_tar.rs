//! Any bytes as a layer tar, in any pieces.
//!
//! * No panic, and no endless loop: no two events come without a byte between them.
//! * Data comes from the input, byte for byte: never more of it than the input or the limits allow.
//! * Offsets grow, within a file and from entry to entry; data lies within its file.
//! * The events and the error are the same wherever the input is cut.
//! * An error has a place in the input and is one line that is safe to print.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use sandbox_images::layer::limits::Limits;
use sandbox_images_fuzz::archive::seal_headers;
use sandbox_images_fuzz::events::{Cuts, read, seed_of, small_limits};

fuzz_target!(|tar: &[u8]| {
    let seed = seed_of(tar);
    for limits in [Limits::default(), small_limits()] {
        let whole = read(tar, &limits, Cuts::new(0));
        for cuts in [Cuts::new(seed | 1), Cuts::new(seed.rotate_left(32) | 1)] {
            assert_eq!(read(tar, &limits, cuts), whole);
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    // A wrong checksum ends the reading: let it, but rarely.
    if seed % 16 > 0 {
        seal_headers(&mut data[..size]);
    }
    size
});
