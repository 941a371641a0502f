//! Any text as `sandbox-images.toml`.
//!
//! * The answer is a set of images or at least one diagnostic, each with a place inside of the text.
//! * What is accepted is accepted again in the same way, and its policy can be judged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_images::spec::diagnostic::Diagnostic;
use sandbox_images::spec::manifest_file::ImageSet;

fuzz_target!(|text: &str| {
    match ImageSet::parse(text) {
        Ok(set) => {
            assert_eq!(ImageSet::parse(text).as_ref(), Ok(&set));
            assert!(set.images.values().all(|image| !image.platforms.is_empty()));
            assert!(set.images.values().all(|image| text.get(image.source_span.clone()).is_some()));
            check(text, &set.policy_violations());
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            check(text, &problems);
        }
    }
});

fn check(text: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.code.is_empty() && !diagnostic.message.is_empty());
        let place = diagnostic.span.clone().unwrap_or(0..0);
        assert!(text.get(place).is_some(), "a place in the text");
    }
}
