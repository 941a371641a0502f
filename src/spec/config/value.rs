//! Values that have more to them than a type: numbers with a range, durations, paths.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::spec::config::Placed;
use crate::spec::duration::{parse, parse_age};
use crate::spec::size;
use crate::spec::walk::{Problems, Value};

/// Bytes of a path: Linux's `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4096;

/// A number within `range`.
pub(super) fn number(
    value: &Value<'_>,
    range: RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    let number = value.number(problems)?;
    if !range.contains(&number) {
        let (from, to) = range.into_inner();
        problems.invalid(value.span.clone(), format!("`{}` is from {from} to {to}", value.key));
        return None;
    }
    Some(number)
}

/// A duration, perhaps of nothing.
pub(super) fn duration(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let duration = parse(value.string(problems)?);
    duration.map_err(|error| problems.invalid(value.span.clone(), error)).ok()
}

/// An age, in units up to weeks.
pub(super) fn age(value: &Value<'_>, problems: &mut Problems) -> Option<Duration> {
    let age = parse_age(value.string(problems)?);
    age.map_err(|error| problems.invalid(value.span.clone(), error)).ok()
}

/// A number of bytes, perhaps with a unit.
pub(super) fn size(value: &Value<'_>, problems: &mut Problems) -> Option<u64> {
    if !value.is_string() {
        return value.number(problems);
    }
    let size = size::parse(value.string(problems)?);
    size.map_err(|error| problems.invalid(value.span.clone(), error)).ok()
}

/// A path. No shell reads this file, so that `~` would be a directory of that name.
pub(super) fn path(value: &Value<'_>, problems: &mut Problems) -> Option<Placed<String>> {
    const HOME: &str = "`~` does not stand for a directory here: write the whole path";
    let path = value.string(problems)?;
    let problem = match path {
        "" => "a path is not empty",
        "~" => HOME,
        path if path.starts_with("~/") => HOME,
        path if path.contains('\0') => "a path holds no NUL",
        path if path.len() > PATH_BYTES_MAX => "a path has at most 4096 bytes",
        path => return Some(Placed { value: path.to_owned(), span: value.span.clone() }),
    };
    problems.invalid(value.span.clone(), problem);
    None
}
