//! PAX extended headers: records framed by their declared length, never by line feeds.
//!
//! A record is `LENGTH KEY=VALUE\n`, and the length counts itself and the line feed (POSIX `pax`,
//! "pax Extended Header"). A value may hold any byte, line feeds too: file capabilities do. The last of
//! several records with one key wins, except for `GNU.sparse.offset` and `GNU.sparse.numbytes`, which
//! repeat. Keys that no layer needs are ignored, as is an empty value of a standard key.

use crate::layer::limits::{LimitExceeded, Limits};
use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::number;
use crate::layer::tar::sparse::{self, Region};
use crate::layer::tree::{Timestamp, Xattrs};

/// What an extended header says about the entry behind it.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<i64>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: Xattrs,
    sparse: Sparse,
}

/// The records `GNU.sparse.*`.
#[derive(Debug, Default)]
struct Sparse {
    major: Option<u64>,
    minor: Option<u64>,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
    entries: Option<u64>,
    /// `GNU.sparse.map`, of 0.1.
    listed: Option<Vec<Region>>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes`, of 0.0.
    repeated: Vec<Region>,
    /// An offset that waits for its number of bytes.
    offset: Option<u64>,
}

/// How a PAX header says that its entry is sparse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SparseMap {
    /// 0.0 and 0.1: the map is here.
    Here(Vec<Region>),
    /// 1.0: the map is text before the data.
    BeforeData,
}

/// A sparse file, its own name and its apparent size, where the header gives them.
#[derive(Debug)]
pub(super) struct PaxSparse {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) map: SparseMap,
}

impl Pax {
    /// Reads the body of an `x` header.
    pub(super) fn parse(body: &[u8], limits: &Limits) -> Result<Self, TarErrorKind> {
        let mut pax = Self::default();
        let mut count = 0;
        for record in Records::new(body) {
            let (key, value) = record?;
            if !pax.repeated_sparse(key, value, limits)? {
                count += 1;
                check_count(count, limits)?;
                pax.record(key, value, limits)?;
            }
        }
        if pax.sparse.offset.is_some() {
            return Err(TarErrorKind::SparseMap("has an offset without a length"));
        }
        let xattr_bytes: usize =
            pax.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        LimitExceeded::check(
            xattr_bytes as u64,
            limits.xattr_inode_bytes_max as u64,
            "bytes of extended attributes on one entry",
            "xattr-inode-bytes-max",
        )?;
        Ok(pax)
    }

    fn record(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), TarErrorKind> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return self.xattr(key, name, value, limits);
        }
        let integer = || optional(key, value, number::decimal);
        let natural = || optional(key, value, sparse::decimal);
        match key {
            b"path" => self.path = name("path", value)?,
            b"linkpath" => self.link = name("linkpath", value)?,
            b"size" => self.size = integer()?,
            b"uid" => self.uid = integer()?,
            b"gid" => self.gid = integer()?,
            b"mtime" => self.mtime = optional(key, value, number::time)?,
            b"GNU.sparse.major" => self.sparse.major = natural()?,
            b"GNU.sparse.minor" => self.sparse.minor = natural()?,
            b"GNU.sparse.name" => self.sparse.name = name("GNU.sparse.name", value)?,
            b"GNU.sparse.size" => self.sparse.size = natural()?,
            b"GNU.sparse.realsize" => self.sparse.real_size = natural()?,
            b"GNU.sparse.numblocks" => self.sparse.entries = natural()?,
            b"GNU.sparse.map" => self.sparse.listed = Some(listed(value, limits)?),
            _ => {}
        }
        Ok(())
    }

    fn xattr(
        &mut self,
        key: &[u8],
        name: &[u8],
        value: &[u8],
        limits: &Limits,
    ) -> Result<(), TarErrorKind> {
        if name.is_empty() {
            return Err(TarErrorKind::PaxValue(key.into()));
        }
        LimitExceeded::check(
            name.len() as u64,
            limits.xattr_name_bytes_max as u64,
            "bytes in the name of an extended attribute",
            "xattr-name-bytes-max",
        )?;
        LimitExceeded::check(
            value.len() as u64,
            limits.xattr_value_bytes_max as u64,
            "bytes in the value of an extended attribute",
            "xattr-value-bytes-max",
        )?;
        self.xattrs.insert(name.into(), value.into());
        Ok(())
    }

    /// Takes the records that repeat, strictly in turn, and says whether this was one.
    fn repeated_sparse(
        &mut self,
        key: &[u8],
        value: &[u8],
        limits: &Limits,
    ) -> Result<bool, TarErrorKind> {
        let number = || sparse::decimal(value).ok_or_else(|| TarErrorKind::PaxValue(key.into()));
        match (key, self.sparse.offset) {
            (b"GNU.sparse.offset", None) => self.sparse.offset = Some(number()?),
            (b"GNU.sparse.numbytes", Some(offset)) => {
                let region = Region { offset, length: number()? };
                sparse::push(&mut self.sparse.repeated, region, limits.sparse_entries_max)?;
                self.sparse.offset = None;
            }
            (b"GNU.sparse.offset" | b"GNU.sparse.numbytes", _) => {
                return Err(TarErrorKind::SparseMap(
                    "has offsets and lengths that do not alternate",
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What the records `GNU.sparse.*` together say; `None` if there are none. Go reads a file with an
    /// unknown version as if it were not sparse, which would change its content: refused here.
    pub(super) fn take_sparse(&mut self) -> Result<Option<PaxSparse>, TarErrorKind> {
        let sparse = std::mem::take(&mut self.sparse);
        let has_map = sparse.listed.is_some() || !sparse.repeated.is_empty();
        let map = match (sparse.major, sparse.minor) {
            (Some(1), Some(0)) if !has_map => SparseMap::BeforeData,
            (Some(0), Some(0 | 1)) => SparseMap::Here(sparse.regions()?),
            (None, None) if has_map => SparseMap::Here(sparse.regions()?),
            (None, None) if sparse.is_absent() => return Ok(None),
            _ => return Err(TarErrorKind::SparseMap("is of no known version")),
        };
        Ok(Some(PaxSparse { size: sparse.size.or(sparse.real_size), name: sparse.name, map }))
    }
}

impl Sparse {
    /// The map of 0.0 or 0.1, if it has as many entries as it says.
    fn regions(&self) -> Result<Vec<Region>, TarErrorKind> {
        let regions = match (&self.listed, &self.repeated[..]) {
            (Some(_), [_, ..]) => return Err(TarErrorKind::SparseMap("is given twice")),
            (Some(listed), []) => listed,
            (None, repeated) => repeated,
        };
        if self.entries != Some(regions.len() as u64) {
            return Err(TarErrorKind::SparseMap("has another number of entries than it says"));
        }
        Ok(regions.to_vec())
    }

    fn is_absent(&self) -> bool {
        let numbers = [self.size, self.real_size, self.entries];
        self.name.is_none() && numbers.iter().all(Option::is_none)
    }
}

/// Checks the framing of a `g` header. What it says is ignored, as Go and containerd do.
pub(super) fn check_global(body: &[u8], limits: &Limits) -> Result<(), TarErrorKind> {
    let mut count = 0;
    for record in Records::new(body) {
        record?;
        count += 1;
        check_count(count, limits)?;
    }
    Ok(())
}

fn check_count(count: u64, limits: &Limits) -> Result<(), LimitExceeded> {
    let max = limits.pax_records_max as u64;
    LimitExceeded::check(count, max, "records in one PAX header", "pax-records-max")
}

/// A name, unless it is empty.
fn name(key: &'static str, value: &[u8]) -> Result<Option<Vec<u8>>, TarErrorKind> {
    if value.contains(&0) {
        return Err(TarErrorKind::NulInName(key));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

/// A value of a standard key. An empty one takes back an earlier record, so that the header's field counts.
fn optional<T>(
    key: &[u8],
    value: &[u8],
    parse: fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, TarErrorKind> {
    match parse(value) {
        _ if value.is_empty() => Ok(None),
        None => Err(TarErrorKind::PaxValue(key.into())),
        parsed => Ok(parsed),
    }
}

/// The map of 0.1: offsets and lengths in turn, with commas between them.
fn listed(value: &[u8], limits: &Limits) -> Result<Vec<Region>, TarErrorKind> {
    let mut regions = Vec::new();
    if value.is_empty() {
        return Ok(regions);
    }
    let mut numbers = value
        .split(|&byte| byte == b',')
        .map(|text| sparse::decimal(text).ok_or(TarErrorKind::SparseMap("has a malformed number")));
    while let Some(offset) = numbers.next() {
        let region = Region {
            offset: offset?,
            length: numbers
                .next()
                .ok_or(TarErrorKind::SparseMap("has an offset without a length"))??,
        };
        sparse::push(&mut regions, region, limits.sparse_entries_max)?;
    }
    Ok(regions)
}

/// The records of one header: key and value, as far as they are well framed.
struct Records<'a> {
    body: &'a [u8],
    position: usize,
}

impl<'a> Records<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { body, position: 0 }
    }

    /// Cuts the next record off. Nothing but its declared length says where it ends.
    fn cut(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        /// A header has at most a few MiB.
        const LENGTH_DIGITS_MAX: usize = 10;
        let rest = &self.body[self.position..];
        let digits = rest.iter().take(LENGTH_DIGITS_MAX + 1).position(|&byte| byte == b' ')?;
        let length = usize::try_from(sparse::decimal(&rest[..digits])?).ok()?;
        let record = rest.get(digits + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.is_empty() || key.contains(&0) {
            return None;
        }
        self.position += length;
        Some((key, value))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), TarErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position == self.body.len() {
            return None;
        }
        let start = self.position;
        Some(self.cut().ok_or(TarErrorKind::PaxRecord(start)))
    }
}

#[cfg(test)]
mod tests;
