//! `bundle.json`: which files follow it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::archive::index::{INDEX, MARKER};
use crate::oci::digest::{ChainId, DiffId, Digest};
use crate::oci::document::json;
use crate::oci::platform::Platform;
use crate::plan::artifact::{Artifact, FORMAT};
use crate::spec::name::ImageName;

/// The name of the list.
pub const CONTENTS: &str = "bundle.json";

/// The name of the lock.
pub const LOCK: &str = "sandbox-images.lock";

/// Bytes of the list: 256 for each of the most files.
pub const CONTENTS_BYTES_MAX: u64 = 25_600_000;

/// Files of a bundle. A thousand images of fifty layers of their own are half of it.
const FILES_MAX: usize = 100_000;

/// The version of the list's form.
const VERSION: u32 = 1;

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The images, and the platforms of each, that it is for.
    pub images: BTreeMap<ImageName, BTreeSet<Platform>>,
    /// All files behind the list, in their order.
    pub members: Vec<Member>,
}

/// A file of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// Its bytes.
    pub size_bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// What a file of a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberKind {
    /// What makes the bundle an OCI layout.
    Marker,
    /// What names the images in it.
    Index,
    /// The lock.
    Lock,
    /// A file of a store.
    Artifact(Artifact),
}

/// Why a list is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentsError {
    /// It is no JSON of a list.
    #[error("it cannot be read: {0}")]
    Json(String),
    /// It is of another version.
    #[error("it has version {0}, this tool reads {VERSION}")]
    Version(u32),
    /// Its artifacts are of another format.
    #[error("its artifacts have format {0}, this tool reads {FORMAT}")]
    Format(u32),
    /// It names a file that no bundle has.
    #[error("it names `{}`, which no bundle holds", .0.escape_debug())]
    Name(String),
    /// A file is in it twice.
    #[error("it names `{0}` twice")]
    Twice(String),
    /// A blob has another digest than its name.
    #[error("it says that `{name}` has the digest {digest}")]
    Digest {
        /// The blob.
        name: String,
        /// What it is said to have.
        digest: Digest,
    },
    /// It has more files than any real one.
    #[error("it names {0} files, at most {FILES_MAX} are read")]
    TooMany(usize),
    /// The lock does not stand before what it is needed for.
    #[error("it does not begin with `{MARKER}`, `{INDEX}` and `{LOCK}`")]
    Order,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Json {
    version: u32,
    artifact_format: u32,
    images: BTreeMap<String, Vec<String>>,
    files: Vec<FileJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJson {
    name: String,
    size: u64,
    digest: Digest,
}

impl MemberKind {
    /// Its name in the bundle.
    pub fn name(&self) -> String {
        match self {
            Self::Marker => MARKER.to_owned(),
            Self::Index => INDEX.to_owned(),
            Self::Lock => LOCK.to_owned(),
            Self::Artifact(artifact) => artifact.path(),
        }
    }

    /// What has this name in a bundle.
    fn named(name: &str) -> Option<Self> {
        let fixed = [Self::Marker, Self::Index, Self::Lock];
        fixed
            .into_iter()
            .find(|kind| kind.name() == name)
            .or_else(|| artifact_at(name).map(Self::Artifact))
    }
}

/// The artifact that has this path in a store.
fn artifact_at(path: &str) -> Option<Artifact> {
    let file = path.rsplit('/').next()?;
    let hex = file.split('.').next()?;
    let digest = Digest::from_hex(hex).ok()?;
    [
        Artifact::Blob(digest),
        Artifact::Layer(DiffId(digest)),
        Artifact::Fsmeta(ChainId(digest)),
        Artifact::Disk(ChainId(digest)),
    ]
    .into_iter()
    .find(|artifact| artifact.path() == path)
}

impl Contents {
    /// The bytes of `bundle.json`.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let platforms = |platforms: &BTreeSet<Platform>| {
            platforms.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let file = |member: &Member| FileJson {
            name: member.kind.name(),
            size: member.size_bytes,
            digest: member.digest,
        };
        let json = Json {
            version: VERSION,
            artifact_format: FORMAT,
            images: self
                .images
                .iter()
                .map(|(name, wanted)| (name.to_string(), platforms(wanted)))
                .collect(),
            files: self.members.iter().map(file).collect(),
        };
        serde_json::to_vec(&json).expect("texts and numbers are always JSON")
    }

    /// Reads `bundle.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentsError> {
        let unreadable = |error: &dyn std::fmt::Display| ContentsError::Json(error.to_string());
        let Json { version, artifact_format, images, files } = json::read(bytes)
            .map_err(|error| ContentsError::Json(crate::words::with_causes(&error)))?;
        if version != VERSION {
            return Err(ContentsError::Version(version));
        }
        if artifact_format != FORMAT {
            return Err(ContentsError::Format(artifact_format));
        }
        if files.len() > FILES_MAX {
            return Err(ContentsError::TooMany(files.len()));
        }
        let mut wanted = BTreeMap::new();
        for (name, platforms) in images {
            let platforms = platforms.iter().map(|platform| platform.parse());
            let platforms: Result<BTreeSet<Platform>, _> = platforms.collect();
            let name: ImageName = name.parse().map_err(|error| unreadable(&error))?;
            wanted.insert(name, platforms.map_err(|error| unreadable(&error))?);
        }
        Ok(Self { images: wanted, members: members(files)? })
    }

    /// The entry of an artifact.
    pub fn artifact(&self, artifact: Artifact) -> Option<&Member> {
        self.members.iter().find(|member| member.kind == MemberKind::Artifact(artifact))
    }
}

fn members(files: Vec<FileJson>) -> Result<Vec<Member>, ContentsError> {
    let mut members = Vec::new();
    let mut seen = BTreeSet::new();
    for FileJson { name, size: size_bytes, digest } in files {
        let kind = MemberKind::named(&name).ok_or(ContentsError::Name(name))?;
        if !seen.insert(kind) {
            return Err(ContentsError::Twice(kind.name()));
        }
        match kind {
            MemberKind::Artifact(Artifact::Blob(named)) if named != digest => {
                return Err(ContentsError::Digest { name: kind.name(), digest });
            }
            _ => members.push(Member { kind, size_bytes, digest }),
        }
    }
    let first: Vec<MemberKind> = members.iter().take(3).map(|member| member.kind).collect();
    if first != [MemberKind::Marker, MemberKind::Index, MemberKind::Lock] {
        return Err(ContentsError::Order);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        let member = |kind| Member { kind, size_bytes: 7, digest: Digest::of("x") };
        let digest = Digest::of("x");
        let images = [("app".parse().unwrap(), [Platform::host_linux()].into())].into();
        let artifacts = [
            Artifact::Blob(digest),
            Artifact::Layer(DiffId(digest)),
            Artifact::Fsmeta(ChainId(digest)),
            Artifact::Disk(ChainId(digest)),
        ];
        let first = [MemberKind::Marker, MemberKind::Index, MemberKind::Lock];
        let kinds = first.into_iter().chain(artifacts.map(MemberKind::Artifact));
        Contents { images, members: kinds.map(member).collect() }
    }

    #[test]
    fn a_list_reads_what_it_writes() {
        assert_eq!(Contents::parse(&contents().to_json()).unwrap(), contents());
    }

    #[test]
    fn a_list_that_no_export_writes_is_refused() {
        let text = String::from_utf8(contents().to_json()).unwrap();
        let (x, y) = (Digest::of("x").hex(), Digest::of("y").hex());
        for (wrong, told) in [
            (text.replace("\"version\":1", "\"version\":2"), "version 2"),
            (text.replace("format\":1", "format\":9"), "format 9"),
            (text.replace("oci-layout", "../oci-layout"), "names `../oci-layout`"),
            (text.replace("blobs/sha256/", "blobs/sha256//"), "which no bundle holds"),
            (text.replace(".vmdk", ".vmdx"), "which no bundle holds"),
            (text.replacen("oci-layout", "index.json", 1), "names `index.json` twice"),
            (text.replacen("sandbox-images.lock", &format!("blobs/sha256/{y}"), 1), &y),
            (
                text.replacen(&format!("blobs/sha256/{x}"), &format!("blobs/sha256/{y}"), 1),
                "digest",
            ),
            (text.replacen('{', "{\"version\":1,", 1), "duplicate key"),
        ] {
            let error = Contents::parse(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
