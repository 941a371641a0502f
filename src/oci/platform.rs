//! Platforms: which operating system and processor an image is for.
//!
//! The names are Go's, as OCI's `image-index.md` asks. A [`Platform`] is held in containerd's normal
//! form, so that equal platforms are equal values: `arm64/v8` is `arm64`, `amd64/v1` is `amd64`, `x86_64`
//! is `amd64`, `aarch64` is `arm64`, and `arm` alone is `arm/v7`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform `{0}` is not of the form `os/architecture[/variant]`")]
pub struct PlatformError(String);

/// An operating system, an architecture and perhaps a variant of it, in normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// The platform named by these words, in normal form.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, variant) = match (architecture, variant.filter(|word| !word.is_empty()))
        {
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("i386" | "i686", _) => ("386", None),
            other => other,
        };
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    /// Linux on the processor that this program was built for: what a microVM on this host runs.
    pub fn host_linux() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self::new("linux", architecture, None)
    }

    /// The operating system, such as `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture, such as `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, such as `v7`, where it is not the architecture's usual one.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// The platforms whose programs run on this one, best first, this one included: containerd's
    /// fallback from a newer variant to older ones.
    pub fn compatible(&self) -> Vec<Self> {
        let older: &[&str] = match (self.architecture.as_str(), self.variant()) {
            ("arm", Some("v8")) => &["v7", "v6", "v5"],
            ("arm", Some("v7")) => &["v6", "v5"],
            ("arm", Some("v6")) => &["v5"],
            ("amd64", Some("v4")) => &["v3", "v2", "v1"],
            ("amd64", Some("v3")) => &["v2", "v1"],
            ("amd64", Some("v2")) => &["v1"],
            _ => &[],
        };
        let older =
            older.iter().map(|variant| Self::new(&self.os, &self.architecture, Some(variant)));
        std::iter::once(self.clone()).chain(older).collect()
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        const WORD_CHARS_MAX: usize = 64;
        let words: Vec<&str> = text.split('/').collect();
        let plain = |word: &&str| {
            word.starts_with(|first: char| first.is_ascii_alphanumeric())
                && word.len() <= WORD_CHARS_MAX
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        match words[..] {
            [os, architecture] if words.iter().all(plain) => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] if words.iter().all(plain) => {
                Ok(Self::new(os, architecture, Some(variant)))
            }
            _ => Err(PlatformError(text.chars().take(WORD_CHARS_MAX).collect())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, normal: &str) {
        assert_eq!(text.parse::<Platform>().unwrap().to_string(), normal);
    }

    #[test]
    fn platforms_are_held_in_normal_form() {
        check("linux/amd64", "linux/amd64");
        check("linux/x86_64", "linux/amd64");
        check("linux/amd64/v1", "linux/amd64");
        check("linux/amd64/v3", "linux/amd64/v3");
        check("linux/arm64/v8", "linux/arm64");
        check("linux/aarch64", "linux/arm64");
        check("linux/arm", "linux/arm/v7");
        check("linux/arm/v6", "linux/arm/v6");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/amd64/v1/x",
            "linux/AMD64",
            "linux/a b",
            "../../x",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_newer_variant_falls_back_to_older_ones() {
        let arm: Platform = "linux/arm/v7".parse().unwrap();
        let names: Vec<String> = arm.compatible().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]);
        let newest: Platform = "linux/amd64/v2".parse().unwrap();
        assert_eq!(newest.compatible()[1].to_string(), "linux/amd64");
    }
}
