//! The form that entries of layers and trees have in JSON.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox_images::layer::tree::{Device, Metadata};
use sandbox_images::oci::digest::Digest;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// A byte string: as a string where it is UTF-8, else as `{"base64": "…"}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(self.0))?;
        map.end()
    }
}

/// One entry.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub(super) path: Bytes<'a>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    mode: u16,
    uid: u32,
    gid: u32,
    pub(super) size: u64,
    mtime: (i64, u32),
    pub(super) link: Option<Bytes<'a>>,
    pub(super) dev: Option<(u32, u32)>,
    xattrs: BTreeMap<String, String>,
    pub(super) sha256: Option<String>,
    /// Of a merged tree only.
    #[serde(flatten)]
    pub(super) inode: Option<Inode>,
}

/// Which names are one inode.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Inode {
    /// How many names it has; 2 and the subdirectories for a directory.
    pub(super) nlink: u32,
    /// Its number in this listing.
    pub(super) ino: u32,
}

impl<'a> Entry<'a> {
    pub(super) fn new(path: &'a [u8], kind: &'static str, metadata: &Metadata) -> Self {
        let xattrs = metadata.xattrs.iter();
        let xattrs = xattrs.map(|(name, value)| (key(name), STANDARD.encode(value)));
        Self {
            path: Bytes(path),
            kind,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            size: 0,
            mtime: (metadata.mtime.seconds, metadata.mtime.nanoseconds),
            link: None,
            dev: None,
            xattrs: xattrs.collect(),
            sha256: None,
            inode: None,
        }
    }

    /// The same, of a file with these bytes.
    pub(super) fn with_content(self, size: u64, digest: Digest) -> Self {
        Self { size, sha256: Some(digest.hex()), ..self }
    }

    /// The same, of a device.
    pub(super) fn with_device(self, device: Device) -> Self {
        Self { dev: Some((device.major, device.minor)), ..self }
    }
}

/// An attribute's name as a key: where it is not UTF-8, `base64:` and that. No attribute's name starts so.
fn key(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", STANDARD.encode(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_whose_name_is_no_text_is_shown_whole() {
        assert_eq!(key(b"user.note"), "user.note");
        assert_eq!(key(b"user.\xff"), "base64:dXNlci7/");
    }
}
