//! Any text as a reference, a source, a platform and a digest.
//!
//! * What is accepted is written in one canonical way, which is read as the same thing.
//! * A reference's parts are what a URL and a file name can hold, and never lead elsewhere.
//! * A refusal points at a place inside of the text.

#![no_main]

use std::fmt::{Debug, Display};

use libfuzzer_sys::fuzz_target;
use sandbox_images::oci::digest::Digest;
use sandbox_images::oci::platform::Platform;
use sandbox_images::oci::reference::Reference;
use sandbox_images::spec::source::ImageSource;

const DEFAULT_REGISTRY: &str = "docker.io";

fuzz_target!(|text: &str| {
    round_trip(text.parse::<Platform>(), |text| text.parse());
    round_trip(text.parse::<Digest>(), |text| text.parse());
    round_trip(ImageSource::parse(text, DEFAULT_REGISTRY), |text| {
        ImageSource::parse(text, "other.example")
    });
    let parsed = Reference::parse(text, DEFAULT_REGISTRY);
    if let Ok(reference) = &parsed {
        check(reference);
    }
    round_trip(parsed, |text| Reference::parse(text, "other.example"));
});

fn round_trip<T, E>(parsed: Result<T, E>, parse: impl Fn(&str) -> Result<T, E>)
where
    T: Display + Debug + PartialEq,
    E: Display + Debug,
{
    match parsed {
        Ok(value) => {
            let written = value.to_string();
            let again = parse(&written).expect("what was written can be read");
            assert_eq!((&again, again.to_string()), (&value, written));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check(reference: &Reference) {
    let plain = |text: &str, extra: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte))
    };
    assert!(plain(reference.registry(), ".-_:[]"), "{reference:?}");
    assert!(plain(reference.repository(), "._-/"), "{reference:?}");
    assert!(reference.tag().is_none_or(|tag| plain(tag, "._-")), "{reference:?}");
    assert!(reference.repository().split('/').all(|name| !matches!(name, "" | "." | "..")));
}
