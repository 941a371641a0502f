//! `requires-tool`: the oldest version of this tool that may read a file.

use std::fmt;
use std::str::FromStr;

/// A released version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u64, pub(super) u64, pub(super) u64);

/// The version of this library.
pub(super) const THIS_TOOL: Version = Version(
    decimal(env!("CARGO_PKG_VERSION_MAJOR")),
    decimal(env!("CARGO_PKG_VERSION_MINOR")),
    decimal(env!("CARGO_PKG_VERSION_PATCH")),
);

/// Reads what cargo has checked to be a decimal number.
const fn decimal(text: &str) -> u64 {
    let digits = text.as_bytes();
    let mut value = 0;
    let mut index = 0;
    while index < digits.len() {
        value = value * 10 + (digits[index] - b'0') as u64;
        index += 1;
    }
    value
}

/// `>=x.y[.z]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requirement(pub(super) Version);

/// Why a text is not a requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a requirement is of the form `>=0.1` or `>=0.1.2`")]
pub(super) struct RequirementError;

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let version = text.trim().strip_prefix(">=").ok_or(RequirementError)?.trim_start();
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten().ok_or(RequirementError)
        };
        match version.split('.').collect::<Vec<_>>()[..] {
            [x, y] => Ok(Self(Version(number(x)?, number(y)?, 0))),
            [x, y, z] => Ok(Self(Version(number(x)?, number(y)?, number(z)?))),
            _ => Err(RequirementError),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_names_the_oldest_version() {
        let parse = |text: &str| text.parse().map(|Requirement(version)| version);
        assert_eq!(parse(">=0.1"), Ok(Version(0, 1, 0)));
        assert_eq!(parse(">= 1.20.3"), Ok(Version(1, 20, 3)));
        for text in
            ["", "1.0", ">=1", ">=1.2.3.4", "^1.0", ">=1.x", ">=1.+2", ">=99999999999999999999.0"]
        {
            assert_eq!(parse(text), Err(RequirementError), "{text}");
        }
    }

    #[test]
    fn this_tool_knows_its_version() {
        assert_eq!(THIS_TOOL.to_string(), env!("CARGO_PKG_VERSION"));
    }
}
