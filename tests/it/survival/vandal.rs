//! Who damages a store at random: any artifact or its record, in any way that a disk, a copy or a hand may.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Where an EROFS image's superblock starts: what stands before it has no checksum.
const SUPERBLOCK: u64 = 1024;

/// An artifact of a store: its name as reports have it, its file and its record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) artifact: String,
    pub(super) file: PathBuf,
    pub(super) record: PathBuf,
}

impl Target {
    /// `blob`, `layer`, `fsmeta` or `disk`.
    pub(super) fn kind(&self) -> &str {
        self.artifact.split(' ').next().expect("a name has a kind")
    }
}

/// What was done to an artifact.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    pub(super) target: Target,
    /// The same in words.
    what: String,
    /// Whether a size, a superblock, a record or the kind of file tells: no command may serve it.
    pub(super) is_plain: bool,
    /// Whether the record is gone, so that only who misses the artifact knows of it.
    pub(super) is_unrecorded: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target.artifact, self.what)
    }
}

/// What was done, for messages.
pub(super) fn listed(damages: &[Damage]) -> String {
    let lines: Vec<String> = damages.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Every artifact that the store at `store` has a file of, sorted.
pub(super) fn targets(store: &Path) -> Vec<Target> {
    let mut targets = Vec::new();
    for (kind, folder) in [
        ("blob", "v1/blobs/sha256"),
        ("layer", "v1/f1/layers/sha256"),
        ("fsmeta", "v1/f1/fsmeta/sha256"),
        ("disk", "v1/f1/disks/sha256"),
    ] {
        for entry in fs::read_dir(store.join(folder)).expect("a directory can be listed") {
            let file = entry.expect("a directory can be listed").path();
            let name = file.file_name().and_then(|name| name.to_str()).expect("it is a name");
            let hex = name.split('.').next().expect("it has a first part").to_owned();
            let record = store.join(format!("v1/f1/records/{kind}/{hex}.json"));
            targets.push(Target { artifact: format!("{kind} sha256:{hex}"), file, record });
        }
    }
    targets.sort();
    targets
}

/// A vandal who does the same again if he is given the same seed (`SplitMix64`).
#[derive(Debug)]
pub(super) struct Vandal {
    state: u64,
    /// What was taken out of a store, for symbolic links to lead to.
    loot: tempfile::TempDir,
    taken: u64,
}

impl Vandal {
    pub(super) fn new(seed: u64) -> Self {
        let loot = tempfile::tempdir().expect("a temporary directory is made");
        Self { state: seed, loot, taken: 0 }
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// One of `things`.
    pub(super) fn one_of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        let place = self.below(things.len() as u64);
        &things[usize::try_from(place).expect("it is an index")]
    }

    /// Damages `count` of `targets`, each once.
    pub(super) fn damage(&mut self, targets: &[Target], count: usize) -> Vec<Damage> {
        let mut hit = BTreeSet::new();
        let mut damages = Vec::new();
        while damages.len() < count.min(targets.len()) {
            let target = self.one_of(targets).clone();
            if hit.insert(target.artifact.clone()) {
                damages.extend(self.strike(&target));
            }
        }
        damages
    }

    /// Damages a file or its record; nothing if it is not a file any more.
    pub(super) fn strike(&mut self, target: &Target) -> Option<Damage> {
        let is_record = self.below(4) == 0;
        let path = if is_record { &target.record } else { &target.file };
        let size_bytes = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?.len();
        let place = if is_record { "record" } else { "file" };
        let way = self.below(9);
        let (what, is_plain) = match way {
            0..=2 => self.change(target, path, size_bytes, is_record)?,
            3 => (format!("cut to {}", self.cut(path, size_bytes)?), true),
            4 => (format!("extended by {}", self.extend(path, size_bytes)?), true),
            _ => (self.replace(path, way)?.to_owned(), true),
        };
        let is_unrecorded = is_record && way == 8;
        let target = target.clone();
        Some(Damage { what: format!("{place} {what}"), target, is_plain, is_unrecorded })
    }

    /// Flips a bit, or clears a page that is not clear.
    fn change(
        &mut self,
        target: &Target,
        path: &Path,
        size_bytes: u64,
        is_record: bool,
    ) -> Option<(String, bool)> {
        let file = opened(path)?;
        let offset = self.below(size_bytes.max(1));
        let page = offset / PAGE * PAGE;
        let mut bytes = vec![0; usize::try_from(PAGE.min(size_bytes - page)).ok()?];
        file.read_exact_at(&mut bytes, page).ok()?;
        let is_cleared = self.below(3) == 0 && bytes.iter().any(|&byte| byte != 0);
        let what = if is_cleared {
            bytes.fill(0);
            format!("cleared at {page}")
        } else {
            let bit = self.below(8);
            bytes[usize::try_from(offset - page).ok()?] ^= 1 << bit;
            format!("bit {bit} of byte {offset} flipped")
        };
        file.write_all_at(&bytes, page).ok()?;
        let is_image = matches!(target.kind(), "layer" | "fsmeta");
        let is_summed = if is_cleared { page == 0 } else { (SUPERBLOCK..PAGE).contains(&offset) };
        let is_plain = is_record || target.kind() == "disk" || (is_image && is_summed);
        Some((what, is_plain))
    }

    fn cut(&mut self, path: &Path, size_bytes: u64) -> Option<u64> {
        let left = self.below(size_bytes.max(1));
        opened(path)?.set_len(left).ok()?;
        Some(left)
    }

    fn extend(&mut self, path: &Path, size_bytes: u64) -> Option<u64> {
        let more = 1 + self.below(2 * PAGE);
        opened(path)?.set_len(size_bytes + more).ok()?;
        Some(more)
    }

    /// Puts something else in the place of a file, or nothing.
    fn replace(&mut self, path: &Path, way: u64) -> Option<&'static str> {
        self.taken += 1;
        let loot = self.loot.path().join(self.taken.to_string());
        fs::copy(path, &loot).ok()?;
        fs::remove_file(path).ok()?;
        Some(match way {
            5 => {
                symlink(&loot, path).ok()?;
                "replaced by a symbolic link to a copy"
            }
            6 => {
                mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).ok()?;
                "replaced by a FIFO"
            }
            7 => {
                fs::create_dir(path).ok()?;
                File::create(path.join("inside")).ok()?;
                "replaced by a directory"
            }
            _ => "removed",
        })
    }
}

/// A file of the store, open for those who may not write to it.
fn opened(path: &Path) -> Option<File> {
    fs::set_permissions(path, Permissions::from_mode(0o644)).ok()?;
    File::options().read(true).write(true).open(path).ok()
}
