//! Roots: what each project wants of a store that serves many.
//!
//! A root is a file named after the project's lock. It keeps what the lock names alive, also while the
//! project's folder is away, and remembers since when the project no longer wants something.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::store::keeper::VERSION;

/// A root that still wants the same is not rewritten before this has passed: most runs write nothing.
const SEEN_EVERY: Duration = Duration::from_hours(24);

/// How long what was pulled is kept after it was last asked for.
const PULLED_KEPT: Duration = Duration::from_hours(30 * 24);

/// What a project wants of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Root {
    version: u32,
    /// The absolute path of the lock. A hint: the project may have been moved.
    pub lock: String,
    /// What the lock names, all images and platforms of it.
    pub wanted: BTreeSet<Artifact>,
    /// What it named before.
    pub dropped: Vec<Dropped>,
    /// When the project was last synced, in seconds since 1970.
    pub last_seen: u64,
    /// Somebody said that it stays, with or without a lock.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pinned: bool,
    /// When it ends, in seconds since 1970, if it is of no project; `lock` is then what was pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// What newer versions of this program wrote, kept as it is.
    #[serde(flatten)]
    newer: Map<String, Value>,
}

/// Something that a project wanted once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// What it was.
    pub artifact: Artifact,
    /// Since when it is no longer wanted, in seconds since 1970.
    pub since: u64,
}

impl Root {
    /// The bytes of its file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("numbers and strings are always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// What the root of the lock at this absolute path is named after.
    pub fn id_for(lock: &Path) -> Digest {
        Digest::of(lock.as_os_str().as_bytes())
    }

    /// The name of the root `id` in `roots/`.
    pub(super) fn file_name(id: Digest) -> String {
        format!("{}.json", id.hex())
    }

    /// The root to write in place of `previous`, or `None` if that one still serves.
    pub fn next(
        previous: Option<Self>,
        lock: &Path,
        wanted: &BTreeSet<Artifact>,
        now: SystemTime,
    ) -> Option<Self> {
        let now = seconds(now);
        let lock = lock.to_string_lossy().into_owned();
        let mut root = previous.unwrap_or_default();
        let seen_lately = now.abs_diff(root.last_seen) <= SEEN_EVERY.as_secs();
        if root.wanted == *wanted && root.lock == lock && seen_lately {
            return None;
        }
        let dropped = root.wanted.difference(wanted);
        let dropped = dropped.map(|&artifact| Dropped { artifact, since: now });
        root.dropped.retain(|was| !wanted.contains(&was.artifact));
        root.dropped.extend(dropped);
        root.wanted.clone_from(wanted);
        root.lock = lock;
        root.last_seen = now;
        Some(root)
    }

    /// The root in place of `previous` of something that was pulled, which `name` tells: it ends by itself.
    pub(super) fn next_of_pulled(
        previous: Option<Self>,
        name: &Path,
        wanted: &BTreeSet<Artifact>,
        now: SystemTime,
    ) -> Option<Self> {
        let mut root = Self::next(previous, name, wanted, now)?;
        root.expires = Some(seconds(now).saturating_add(PULLED_KEPT.as_secs()));
        Some(root)
    }
}

impl Default for Root {
    /// A root that wants nothing and was never seen.
    fn default() -> Self {
        Self {
            version: VERSION,
            lock: String::new(),
            wanted: BTreeSet::new(),
            dropped: Vec::new(),
            last_seen: 0,
            pinned: false,
            expires: None,
            newer: Map::new(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Seconds since 1970; 0 before.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn blobs(names: &[&str]) -> BTreeSet<Artifact> {
        names.iter().map(|name| Artifact::Blob(Digest::of(name))).collect()
    }

    fn root(wanted: &[&str], seen: u64) -> Root {
        Root::next(None, Path::new("/p/lock"), &blobs(wanted), at(seen)).unwrap()
    }

    #[test]
    fn an_unchanged_root_is_written_once_a_day() {
        let next = |now| {
            Root::next(Some(root(&["a"], 9 * DAY)), Path::new("/p/lock"), &blobs(&["a"]), at(now))
        };
        assert_eq!(next(9 * DAY + 60), None);
        assert_eq!(next(10 * DAY + 1), Some(root(&["a"], 10 * DAY + 1)));
        assert_eq!(next(5 * DAY), Some(root(&["a"], 5 * DAY)), "a clock that was ahead");
    }

    #[test]
    fn what_is_no_longer_wanted_is_remembered_until_it_is_wanted_again() {
        let lock = Path::new("/p/lock");
        let without_a =
            Root::next(Some(root(&["a", "b"], 1)), lock, &blobs(&["b"]), at(2)).unwrap();
        let a = Artifact::Blob(Digest::of("a"));
        assert_eq!(without_a.dropped, [Dropped { artifact: a, since: 2 }]);
        let again = Root::next(Some(without_a), lock, &blobs(&["a"]), at(3)).unwrap();
        assert_eq!(
            again.dropped,
            [Dropped { artifact: Artifact::Blob(Digest::of("b")), since: 3 }]
        );
    }

    #[test]
    fn a_root_reads_what_it_writes_and_keeps_what_it_does_not_know() {
        let written = root(&["a"], 7);
        let parse = |bytes: &[u8]| serde_json::from_slice::<Root>(bytes).unwrap();
        assert_eq!(parse(&written.to_json()), written);
        let json = String::from_utf8(written.to_json()).unwrap();
        let newer = parse(json.replacen('{', "{\"colour\": \"red\",", 1).as_bytes());
        let next = Root::next(Some(newer), Path::new("/p/lock"), &blobs(&["b"]), at(8)).unwrap();
        assert!(String::from_utf8(next.to_json()).unwrap().contains("\"colour\": \"red\""));
    }

    #[test]
    fn a_pin_and_an_expiry_are_kept_and_need_not_be_there() {
        let plain = String::from_utf8(root(&["a"], 7).to_json()).unwrap();
        assert!(!plain.contains("pinned") && !plain.contains("expires"), "{plain}");
        let pinned = Root { pinned: true, expires: Some(9), ..root(&["a"], 7) };
        let read: Root = serde_json::from_slice(&pinned.to_json()).unwrap();
        let next = Root::next(Some(read), Path::new("/p/lock"), &blobs(&["b"]), at(8)).unwrap();
        assert!(next.pinned && next.expires == Some(9));
    }
}
