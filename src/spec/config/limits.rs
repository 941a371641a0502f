//! `[limits]`: every limit of [`Limits`] by its name, and how far each may be moved.

use crate::layer::limits::Limits;
use crate::spec::size::{self, SizeError};
use crate::spec::walk::{Problems, Table, Value};

/// A limit that the user may move.
#[derive(Debug)]
pub struct Limit {
    /// Its name: the field of [`Limits`] with hyphens.
    pub key: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The largest value that it may be set to.
    pub max: u64,
    slot: fn(&mut Limits) -> Slot<'_>,
}

/// What a limit counts, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things: a number.
    Count,
    /// Bytes: a number, or a size such as `64GiB`.
    Bytes,
    /// Unpacked bytes for each compressed byte: a number, or `unlimited`.
    Ratio,
}

/// The field of [`Limits`] that holds a limit.
#[derive(Debug)]
enum Slot<'l> {
    Number(&'l mut u64),
    Size(&'l mut usize),
    Ratio(&'l mut Option<u64>),
}

/// How a ratio without a limit is written.
const UNLIMITED: &str = "unlimited";

/// Bytes: more than any file system holds, and few enough that some of them can be added.
const BYTES_MAX: u64 = 1 << 60;

/// Entries and entries of sparse maps: inodes are numbered with 32 bits.
const ENTRIES_MAX: u64 = 1 << 31;

/// Layers: EROFS numbers the devices of an image with 16 bits, and 0 is the image itself.
const LAYERS_MAX: u64 = 65_535;

/// Bytes of an extended attribute's name, of its value, and of all attributes of an inode: Linux and EROFS
/// hold no more, so these can be lowered only.
const XATTR_MAX: [u64; 3] = [255, 65_535, 128 << 10];

/// All limits, in the order in which they are documented.
pub const LIMITS: [Limit; 13] = [
    limit("entries-max", Unit::Count, ENTRIES_MAX, |of| Slot::Number(&mut of.entries_max)),
    limit("layers-max", Unit::Count, LAYERS_MAX, |of| Slot::Size(&mut of.layers_max)),
    limit("unpacked-bytes-max", Unit::Bytes, BYTES_MAX, |of| {
        Slot::Number(&mut of.unpacked_bytes_max)
    }),
    limit("ratio-max", Unit::Ratio, BYTES_MAX, |of| Slot::Ratio(&mut of.ratio_max)),
    limit("ratio-free-bytes", Unit::Bytes, BYTES_MAX, |of| Slot::Number(&mut of.ratio_free_bytes)),
    limit("apparent-bytes-max", Unit::Bytes, BYTES_MAX, |of| {
        Slot::Number(&mut of.apparent_bytes_max)
    }),
    limit("trailer-bytes-max", Unit::Bytes, BYTES_MAX, |of| {
        Slot::Number(&mut of.trailer_bytes_max)
    }),
    limit("extension-bytes-max", Unit::Bytes, BYTES_MAX, |of| {
        Slot::Number(&mut of.extension_bytes_max)
    }),
    limit("pax-records-max", Unit::Count, ENTRIES_MAX, |of| Slot::Size(&mut of.pax_records_max)),
    limit("sparse-entries-max", Unit::Count, ENTRIES_MAX, |of| {
        Slot::Size(&mut of.sparse_entries_max)
    }),
    limit("xattr-name-bytes-max", Unit::Bytes, XATTR_MAX[0], |of| {
        Slot::Size(&mut of.xattr_name_bytes_max)
    }),
    limit("xattr-value-bytes-max", Unit::Bytes, XATTR_MAX[1], |of| {
        Slot::Size(&mut of.xattr_value_bytes_max)
    }),
    limit("xattr-inode-bytes-max", Unit::Bytes, XATTR_MAX[2], |of| {
        Slot::Size(&mut of.xattr_inode_bytes_max)
    }),
];

const fn limit(
    key: &'static str,
    unit: Unit,
    max: u64,
    slot: fn(&mut Limits) -> Slot<'_>,
) -> Limit {
    Limit { key, unit, max, slot }
}

impl Limit {
    /// Its value among `limits`; `None` if there is no limit.
    pub fn value(&self, limits: &Limits) -> Option<u64> {
        let mut limits = *limits;
        match (self.slot)(&mut limits) {
            Slot::Number(number) => Some(*number),
            Slot::Size(size) => Some(*size as u64),
            Slot::Ratio(ratio) => *ratio,
        }
    }

    fn set(&self, limits: &mut Limits, value: u64) {
        match (self.slot)(limits) {
            Slot::Number(slot) => *slot = value,
            Slot::Size(slot) => *slot = usize::try_from(value).unwrap_or(usize::MAX),
            Slot::Ratio(slot) => *slot = Some(value),
        }
    }

    /// Sets the limit to what is written.
    fn read(&self, value: &Value<'_>, limits: &mut Limits, problems: &mut Problems) {
        if value.is_string()
            && value.string(problems) == Some(UNLIMITED)
            && let Slot::Ratio(slot) = (self.slot)(limits)
        {
            *slot = None;
        } else if let Some(number) = self.number(value, problems) {
            self.set(limits, number);
        }
    }

    /// The number that is written.
    fn number(&self, value: &Value<'_>, problems: &mut Problems) -> Option<u64> {
        let text = if value.is_string() { value.string(problems) } else { None };
        let number = match (self.unit, text) {
            (Unit::Bytes, Some(text)) => size::parse(text).ok(),
            (Unit::Ratio, Some(_)) => None,
            _ => Some(value.number(problems)?),
        };
        if number.is_some_and(|number| (1..=self.max).contains(&number)) {
            return number;
        }
        let message = match (self.unit, number) {
            (_, Some(_)) => format!("`limits.{}` is from 1 to {}", self.key, self.max),
            (Unit::Ratio, None) => format!("a ratio is a number, or `{UNLIMITED}`"),
            _ => SizeError.to_string(),
        };
        problems.invalid(value.span.clone(), message);
        None
    }
}

/// The limits of `table`; those that it leaves out have their defaults.
pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Limits {
    table.refuse_unknown(&LIMITS.each_ref().map(|limit| limit.key), problems);
    let mut limits = Limits::default();
    for limit in &LIMITS {
        if let Some(value) = table.get(limit.key) {
            limit.read(&value, &mut limits, problems);
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_row_of_its_own() {
        let mut limits = Limits::default();
        for (limit, number) in LIMITS.iter().zip(1..) {
            limit.set(&mut limits, number);
        }
        let values: Vec<u64> = LIMITS.iter().filter_map(|limit| limit.value(&limits)).collect();
        assert_eq!(values, (1..=13).collect::<Vec<u64>>());
        let debug = format!("{limits:?}");
        for limit in &LIMITS {
            assert!(debug.contains(&limit.key.replace('-', "_")), "{} in {debug}", limit.key);
        }
    }

    #[test]
    fn no_default_is_above_what_may_be_set() {
        let limits = Limits::default();
        for limit in &LIMITS {
            assert!(limit.value(&limits).is_some_and(|value| value <= limit.max), "{}", limit.key);
        }
    }
}
