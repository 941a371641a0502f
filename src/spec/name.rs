//! Names of images and groups: what users type, and what stands in the lock's table headers.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Bytes of a name. Names appear in file names, table headers and progress lines.
pub const NAME_BYTES_MAX: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "name `{0}` is not 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, starting with a letter or a digit"
)]
pub struct NameError(String);

fn check(text: &str) -> Result<String, NameError> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = text.len() <= NAME_BYTES_MAX
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || b"._-".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(NameError(text.chars().take(NAME_BYTES_MAX).collect()))
    }
}

/// Declares a kind of name: same rule, another type.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// The name of an image in `sandbox-images.toml` and in the lock, such as `python`.
    ImageName
}

name! {
    /// The name of a group of images, such as `ci`.
    GroupName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_path_and_in_a_table_header() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        for text in ["a", "0", "python3.12_slim-x", &longest] {
            assert_eq!(text.parse::<ImageName>().unwrap().as_str(), text);
        }
        let too_long = "a".repeat(NAME_BYTES_MAX + 1);
        for text in ["", ".a", "-a", "_a", "A", "a b", "a/b", "é", "a\n", &too_long] {
            assert!(text.parse::<ImageName>().is_err(), "{text:?}");
        }
    }
}
