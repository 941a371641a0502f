//! Any text as a lock.
//!
//! * What is accepted is written in one canonical way, which is read as the same lock and written as the
//!   same text.
//! * A refusal has diagnostics, and each points at a place inside of the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_images::spec::lockfile::Lock;

fuzz_target!(|text: &str| {
    match Lock::parse(text) {
        Ok(lock) => {
            let written = lock.render();
            let again = Lock::parse(&written).expect("what was written can be read");
            assert_eq!(again, lock);
            assert_eq!(again.render(), written);
            for (name, _) in lock.images() {
                let consistent = lock.is_consistent(name.as_str());
                assert_eq!(
                    again.is_consistent(name.as_str()),
                    consistent,
                    "sums are not laundered"
                );
            }
        }
        Err(error) => {
            for diagnostic in error.diagnostics() {
                let place = diagnostic.span.unwrap_or(0..0);
                assert!(text.get(place).is_some(), "a place in the text");
            }
        }
    }
});
