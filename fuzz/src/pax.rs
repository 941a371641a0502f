//! A second reader of PAX headers, for comparison: slow, plain and apart from the one that is tested.

use std::collections::BTreeMap;

use crate::archive::record;

/// Keys that a layer means something by, for inputs that are too short to spell them.
const KEYS: [&[u8]; 20] = [
    b"path",
    b"linkpath",
    b"size",
    b"uid",
    b"gid",
    b"mtime",
    b"atime",
    b"comment",
    b"SCHILY.xattr.user.a",
    b"SCHILY.xattr.user.b",
    b"SCHILY.xattr.security.capability",
    b"SCHILY.xattr.",
    b"GNU.sparse.major",
    b"GNU.sparse.minor",
    b"GNU.sparse.name",
    b"GNU.sparse.realsize",
    b"GNU.sparse.numblocks",
    b"GNU.sparse.map",
    b"GNU.sparse.offset",
    b"GNU.sparse.numbytes",
];

/// The body of a header, as `input` has it or put together from it: its first byte chooses. Put together,
/// each record is a byte for the key, a byte for the value's length, and the value.
pub fn body(input: &[u8]) -> Vec<u8> {
    match input {
        [] => Vec::new(),
        [mode, raw @ ..] if mode % 2 == 0 => raw.to_vec(),
        [_, script @ ..] => framed(script),
    }
}

fn framed(mut script: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let [key, length, rest @ ..] = script {
        let (value, later) = rest.split_at(usize::from(*length).min(rest.len()));
        body.extend(record(KEYS[usize::from(*key) % KEYS.len()], value));
        script = later;
    }
    body
}

/// The records of a header; `None` where the framing is wrong.
pub fn records(mut body: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let space = body.iter().position(|&byte| byte == b' ')?;
        let digits = std::str::from_utf8(&body[..space]).ok()?;
        if digits.len() > 10 || !digits.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let length: usize = digits.parse().ok()?;
        let record = body.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.is_empty() || key.contains(&0) {
            return None;
        }
        records.push((key, value));
        body = &body[length..];
    }
    Some(records)
}

/// What the last record of each key says.
#[derive(Debug)]
pub struct Said<'a>(BTreeMap<&'a [u8], &'a [u8]>);

impl<'a> Said<'a> {
    /// Of these records.
    pub fn by(records: &[(&'a [u8], &'a [u8])]) -> Self {
        Self(records.iter().copied().collect())
    }

    /// The value of a standard key, unless it is empty.
    pub fn value(&self, key: &str) -> Option<&'a [u8]> {
        self.0.get(key.as_bytes()).copied().filter(|value| !value.is_empty())
    }

    /// A number, of a header that was accepted.
    pub fn number(&self, key: &str) -> Option<i64> {
        let text = std::str::from_utf8(self.value(key)?).expect("a number is text");
        Some(text.parse().expect("a number that was accepted is one"))
    }

    /// The time in nanoseconds since 1970, of a header that was accepted.
    pub fn nanoseconds(&self) -> Option<i128> {
        let text = std::str::from_utf8(self.value("mtime")?).expect("a time is text");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i128 = whole.parse().expect("a time that was accepted has seconds");
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let part: i128 = digits.parse().expect("a fraction that was accepted is digits");
        Some(seconds * 1_000_000_000 + if whole.starts_with('-') { -part } else { part })
    }

    /// The extended attributes.
    pub fn xattrs(&self) -> BTreeMap<Box<[u8]>, Box<[u8]>> {
        let xattr = |(key, value): (&&[u8], &&[u8])| {
            Some((key.strip_prefix(b"SCHILY.xattr.")?.into(), (*value).into()))
        };
        self.0.iter().filter_map(xattr).collect()
    }

    /// Whether a key starts with one of `prefixes`.
    pub fn has(&self, prefixes: &[&str]) -> bool {
        let found = |key: &[u8]| prefixes.iter().any(|it| key.starts_with(it.as_bytes()));
        self.0.keys().any(|key| found(key))
    }
}
