//! How numbers, sizes, times and digests are written, and tables of them.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::Timestamp;
use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::event::Totals;

use crate::cli::neutral::one_line;

/// As much of a digest as a person compares.
pub(crate) fn short(digest: Digest) -> String {
    const SHOWN_CHARS: usize = 12;
    digest.hex()[..SHOWN_CHARS].to_owned()
}

/// Bytes as a person reads them.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// A time as a person reads it, in whole seconds: `7 s`, `2 min 5 s`, `1 h 0 min`.
pub(crate) fn duration(time: Duration) -> String {
    match time.saturating_add(Duration::from_millis(500)).as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A day, of seconds since 1970.
pub(crate) fn date(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok().and_then(|at| Timestamp::from_second(at).ok());
    timestamp.map_or("for ever".to_owned(), |at| at.strftime("%F").to_string())
}

/// A number of things: `1 layer`, `2 layers`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// What was built, or would be: `2 layers and 1 disk`.
pub(crate) fn built(totals: &Totals) -> String {
    format!("{} and {}", count(totals.layers, "layer"), count(totals.disks, "disk"))
}

/// What was fetched and not built, or would be: `2 layers and 3 documents`.
pub(crate) fn fetched_things(totals: &Totals) -> String {
    format!("{} and {}", count(totals.blobs, "layer"), count(totals.documents, "document"))
}

/// Columns as wide as their widest cell, two spaces apart. No cell reaches into another line.
pub(crate) fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let lines: Vec<[String; N]> =
        lines.iter().map(|line| std::array::from_fn(|column| one_line(&line[column]))).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
