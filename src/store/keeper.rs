//! What roots and leases have in common: small JSON files that keep artifacts alive, each with a version.
//!
//! A keeper that cannot be read may keep anything. So who deletes reads all of them or deletes nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::store::directory::Directory;
use crate::store::error::{Error, KeeperKind};

/// The version of both files.
pub(super) const VERSION: u32 = 1;

/// Bytes of one keeper: over a hundred thousand artifacts.
const BYTES_MAX: u64 = 16 << 20;

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Reads the keeper `name`; `None` if there is none.
pub(super) fn read<T: DeserializeOwned>(
    directory: &Directory,
    name: &str,
    kind: KeeperKind,
) -> Result<Option<T>, Error> {
    let Some(bytes) = directory.read(name, BYTES_MAX)? else {
        return Ok(None);
    };
    let path = || directory.path_of(name);
    let damaged = |source| Error::KeeperDamaged { path: path(), kind, source };
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(Error::KeeperTooNew { path: path(), kind, version, known: VERSION });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// The digest in names such as `<hex>.json`; `None` for names that this program does not give.
pub(super) fn hex_of<'n>(name: &'n str, suffix: &str) -> Option<&'n str> {
    const HEX_CHARS: usize = 64;
    let hex = name.strip_suffix(suffix)?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (hex.len() == HEX_CHARS && hex.bytes().all(is_hex)).then_some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_programs_form_have_a_digest() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(hex_of(&format!("{hex}.json"), ".json"), Some(hex.as_str()));
        for name in ["", ".json", "notes.json", &hex, &format!("{}.json", hex.to_uppercase())] {
            assert_eq!(hex_of(name, ".json"), None, "{name}");
        }
    }
}
