//! Records: what says that an artifact is there, complete and durable.
//!
//! A record is written last. A file without one does not exist for this program, whatever its name.

use serde::{Deserialize, Serialize};

use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::store::content::ContentDigest;

/// Bytes of one record. Ours have at most about 350.
pub(super) const RECORD_BYTES_MAX: u64 = 4096;

const VERSION: u32 = 1;

/// What was committed as an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Bytes of the file.
    pub size_bytes: u64,
    /// What its bytes are known by: BLAKE3 for the image of a layer that was built here, else SHA-256.
    pub content: ContentDigest,
    /// SHA-256 of the file, if anybody asked for it before.
    pub sha256: Option<Digest>,
    /// The version of this program that wrote the file.
    pub builder: String,
}

/// Why a file is not the record of an artifact.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("its record is no JSON of a record")]
    Json(#[from] serde_json::Error),
    #[error("its record has version {0}, this program reads {VERSION}")]
    Version(u32),
    #[error("its record is of a blob with the digest {0}")]
    OtherBlob(ContentDigest),
    #[error("its record does not fit its own sum")]
    Sum,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    version: u32,
    size: u64,
    digest: ContentDigest,
    /// Only where `digest` is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    builder: String,
    /// Hex SHA-256 of the record in which this is empty: a record that was changed says nothing of its file.
    sum: String,
}

impl Record {
    /// The record of a file that this version of the program wrote.
    pub(super) fn new(size_bytes: u64, content: impl Into<ContentDigest>) -> Self {
        let (content, builder) = (content.into(), env!("CARGO_PKG_VERSION").to_owned());
        Self { size_bytes, content, sha256: content.sha256(), builder }
    }

    /// The name of an artifact's record in the directory of its kind.
    pub(super) fn name_of(artifact: Artifact) -> String {
        format!("{}.json", artifact.digest().hex())
    }

    /// The bytes of its file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let line = |sum: String| {
            let json = Json {
                version: VERSION,
                size: self.size_bytes,
                digest: self.content,
                sha256: self.sha256.filter(|_| self.content.sha256().is_none()),
                builder: self.builder.clone(),
                sum,
            };
            let mut bytes = serde_json::to_vec(&json).expect("numbers and strings are always JSON");
            bytes.push(b'\n');
            bytes
        };
        line(Digest::of(line(String::new())).hex())
    }

    /// Reads the record of `artifact`. It must be what [`Record::to_json`] writes, to the byte, and a blob's
    /// must name the blob's own digest.
    pub(super) fn parse(bytes: &[u8], artifact: Artifact) -> Result<Self, RecordError> {
        let json: Json = serde_json::from_slice(bytes)?;
        if json.version != VERSION {
            return Err(RecordError::Version(json.version));
        }
        if matches!(artifact, Artifact::Blob(digest) if json.digest != digest.into()) {
            return Err(RecordError::OtherBlob(json.digest));
        }
        let record = Self {
            size_bytes: json.size,
            content: json.digest,
            sha256: json.digest.sha256().or(json.sha256),
            builder: json.builder,
        };
        if record.to_json() == bytes { Ok(record) } else { Err(RecordError::Sum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::DiffId;

    #[test]
    fn a_record_reads_what_it_writes() {
        let layer = Artifact::Layer(DiffId(Digest::of("y")));
        let by_sha256 = Record::new(7, Digest::of("x"));
        let by_blake3 = Record::new(7, ContentDigest::Blake3(blake3::hash(b"x")));
        let by_both = Record { sha256: by_sha256.sha256, ..by_blake3.clone() };
        for record in [by_sha256, by_blake3, by_both] {
            assert_eq!(Record::parse(&record.to_json(), layer).unwrap(), record);
        }
    }

    #[test]
    fn a_damaged_or_newer_record_is_none() {
        let (x, y) = (Digest::of("x"), Digest::of("y"));
        let good = String::from_utf8(Record::new(7, x).to_json()).unwrap();
        for (bytes, why) in [
            (good[..40].to_owned(), "its record is no JSON of a record"),
            (good.replace("size", "sice"), "its record is no JSON of a record"),
            (good.replace(":7", ":-7"), "its record is no JSON of a record"),
            (
                good.replace("\"version\":1", "\"version\":2"),
                "its record has version 2, this program reads 1",
            ),
            (
                good.replace(&x.hex(), &y.hex()),
                &format!("its record is of a blob with the digest {y}"),
            ),
            (good.replace(":7", ":9"), "its record does not fit its own sum"),
            (
                good.replace("\"builder\":\"", "\"builder\":\"1"),
                "its record does not fit its own sum",
            ),
            (format!("{good} "), "its record does not fit its own sum"),
        ] {
            let error = Record::parse(bytes.as_bytes(), Artifact::Blob(x)).unwrap_err();
            assert_eq!(error.to_string(), why, "{bytes}");
        }
    }
}
