//! `why`: what a digest names, and who refers to it: the lock, and the store where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::usage::{Kind as UsageKind, Usage, usages};
use sandbox_images::store::Store;
use sandbox_images::store::presence::Verdict;
use sandbox_images::store::root::Root;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::reading::Why;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::render::printable;
use crate::cli::report::size;
use crate::cli::setup::{Setup, lock_alone};

/// What is asked about.
#[derive(Debug, PartialEq, Eq)]
struct Subject {
    /// The first hex digits of a digest.
    prefix: String,
    /// The kind of artifact, if a file of a store was named.
    kind: Option<&'static str>,
}

/// What `why --json` prints.
#[derive(Debug, Serialize)]
struct Explanation {
    schema: &'static str,
    subject: String,
    /// One for each digest that begins as was asked.
    digests: Vec<Named>,
}

/// What is known of one digest.
#[derive(Debug, Serialize)]
struct Named {
    digest: Digest,
    /// What it names, in the lock and in the store.
    kinds: BTreeSet<UsageKind>,
    /// Where the lock has it.
    used_by: Vec<Usage>,
    /// The files of the store that are named after it, or are what it is the digest of.
    stored: Vec<StoredFile>,
}

/// A file of the store.
#[derive(Debug, Clone, Serialize)]
struct StoredFile {
    artifact: Artifact,
    path: PathBuf,
    /// Of the record; nothing if the file is damaged.
    size_bytes: Option<u64>,
    /// What is wrong with it.
    damage: Option<String>,
    /// The locks of the projects that want it.
    roots: Vec<String>,
}

pub(crate) fn run(setup: &Setup<'_>, why: &Why) -> Done {
    let subject = subject(&why.subject)?;
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let mut digests: BTreeMap<Digest, Named> = BTreeMap::new();
    for usage in usages(&lock).into_iter().filter(|usage| is_meant(&subject, usage)) {
        let named = entry(&mut digests, usage.digest);
        named.kinds.insert(usage.kind);
        named.used_by.push(usage);
    }
    stored(project.store(), &subject, &mut digests)?;
    if digests.is_empty() {
        let message = format!("neither the lock nor the store has `{}`", why.subject);
        return Err(Failure::new(Kind::Usage, "unknown-digest", message)
            .help("`sandbox-images list --layers` shows what is locked"));
    }
    let digests = digests.into_values().collect();
    if setup.output.json {
        let schema = "sandbox-images/why/1";
        output::json(&Explanation { schema, subject: why.subject.clone(), digests });
    } else {
        output::data(printable(&digests.iter().map(text).collect::<Vec<_>>().join("\n")));
    }
    Ok(())
}

/// Reads a digest, the beginning of one, or the path of an artifact or of its record.
fn subject(text: &str) -> Result<Subject, Failure> {
    const HEX_CHARS: std::ops::RangeInclusive<usize> = 8..=64;
    let (hex, kind) = match text.strip_prefix("sha256:") {
        Some(hex) => (hex, None),
        None if text.contains(['/', '.']) => {
            let path = Path::new(text);
            (path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default(), kind_of(path))
        }
        None => (text, None),
    };
    let prefix = hex.to_ascii_lowercase();
    if HEX_CHARS.contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Subject { prefix, kind });
    }
    let message = format!("`{text}` is no digest and no file of a store");
    Err(Failure::new(Kind::Usage, "invalid-digest", message)
        .help("give at least the first 8 hex digits of a SHA-256, or a path that `path` prints"))
}

/// The kind of artifact that lies, or whose record lies, in a directory of this name.
fn kind_of(path: &Path) -> Option<&'static str> {
    let folders = path.iter().rev().skip(1).take(2).filter_map(|folder| folder.to_str());
    folders.into_iter().find_map(|folder| match folder {
        "blobs" | "blob" => Some("blob"),
        "layers" | "layer" => Some("layer"),
        "fsmeta" => Some("fsmeta"),
        "disks" | "disk" => Some("disk"),
        _ => None,
    })
}

fn is_meant(subject: &Subject, usage: &Usage) -> bool {
    let of_kind = |kind| usage.artifacts().iter().any(|artifact| artifact.kind() == kind);
    usage.digest.hex().starts_with(&subject.prefix) && subject.kind.is_none_or(of_kind)
}

fn entry(digests: &mut BTreeMap<Digest, Named>, digest: Digest) -> &mut Named {
    digests.entry(digest).or_insert_with(|| Named {
        digest,
        kinds: BTreeSet::new(),
        used_by: Vec::new(),
        stored: Vec::new(),
    })
}

/// Adds what the store has. A blob's file has the digest that it is named after; of the other artifacts
/// both the name and the SHA-256 of the content, where the record has it, may be meant.
fn stored(
    store: &Store,
    subject: &Subject,
    digests: &mut BTreeMap<Digest, Named>,
) -> Result<(), Failure> {
    let files = store.scan().map_err(|error| Failure::store(&error))?;
    let roots = store.roots().map_err(|error| Failure::store(&error))?;
    for (artifact, verdict) in files {
        if subject.kind.is_some_and(|kind| kind != artifact.kind()) {
            continue;
        }
        let content = verdict.as_ref().ok().and_then(|record| record.sha256);
        let meant = [Some(artifact.digest()), content.filter(|_| subject.kind.is_none())];
        let meant: BTreeSet<Digest> = meant.into_iter().flatten().collect();
        for digest in meant.into_iter().filter(|digest| digest.hex().starts_with(&subject.prefix)) {
            let named = entry(digests, digest);
            named.kinds.extend(kind_in_store(artifact, digest));
            named.stored.push(file(store, artifact, &verdict, &roots));
        }
    }
    Ok(())
}

/// What the store alone says that `digest` is. A blob may be anything.
fn kind_in_store(artifact: Artifact, digest: Digest) -> Option<UsageKind> {
    let is_name = artifact.digest() == digest;
    match artifact {
        Artifact::Blob(_) => None,
        Artifact::Layer(_) if is_name => Some(UsageKind::DiffId),
        Artifact::Layer(_) => Some(UsageKind::LayerImage),
        Artifact::Fsmeta(_) | Artifact::Disk(_) if is_name => Some(UsageKind::ChainId),
        Artifact::Fsmeta(_) => Some(UsageKind::FsmetaImage),
        Artifact::Disk(_) => Some(UsageKind::DiskText),
    }
}

fn file(store: &Store, artifact: Artifact, verdict: &Verdict, roots: &[Root]) -> StoredFile {
    let wanting = roots.iter().filter(|root| root.wanted.contains(&artifact));
    StoredFile {
        artifact,
        path: store.path_of(artifact),
        size_bytes: verdict.as_ref().ok().map(|record| record.size_bytes),
        damage: verdict.as_ref().err().map(ToString::to_string),
        roots: wanting.map(|root| root.lock.clone()).collect(),
    }
}

fn text(named: &Named) -> String {
    let kinds: Vec<String> = named.kinds.iter().map(ToString::to_string).collect();
    let kinds = if kinds.is_empty() { "blob".to_owned() } else { kinds.join(", ") };
    let mut lines = vec![format!("{}: {kinds}", named.digest)];
    for Usage { kind, image, platform, layer, size_bytes, .. } in &named.used_by {
        let of = platform.as_ref().map(|platform| format!(" on {platform}")).unwrap_or_default();
        let layer = layer.map(|layer| format!(", layer {}", layer + 1)).unwrap_or_default();
        let bytes = size_bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
        lines.push(format!("  {kind} of {image}{of}{layer}{bytes}"));
    }
    if named.used_by.is_empty() {
        lines.push("  no image of this lock refers to it".to_owned());
    }
    for StoredFile { artifact, path, size_bytes, damage, roots } in &named.stored {
        let state = match (size_bytes, damage) {
            (Some(bytes), _) => size(*bytes),
            (None, damage) => damage.clone().unwrap_or_default(),
        };
        lines.push(format!("  {} in the store, {state}: {}", artifact.kind(), path.display()));
        lines.extend(roots.iter().map(|lock| format!("    kept for {lock}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_its_beginning_or_a_file_is_read() {
        let hex = Digest::of("").hex();
        let read = |text: &str| subject(text).ok().map(|Subject { prefix, kind }| (prefix, kind));
        assert_eq!(read(&hex), Some((hex.clone(), None)));
        assert_eq!(read(&format!("sha256:{hex}")), Some((hex.clone(), None)));
        assert_eq!(read("E3B0C442"), Some(("e3b0c442".to_owned(), None)));
        let path = format!("/srv/store/v1/f1/disks/sha256/{hex}.vmdk");
        assert_eq!(read(&path), Some((hex.clone(), Some("disk"))));
        let record = format!("v1/f1/records/layer/{hex}.json");
        assert_eq!(read(&record), Some((hex.clone(), Some("layer"))));
        for wrong in ["e3b0c44", "sha256:", "not-hex-at-all", "/etc/passwd", &format!("{hex}0")] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
