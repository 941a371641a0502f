//! Progress: a line for each thing done, or each event as JSON.
#![expect(clippy::print_stderr, reason = "this is what prints")]

use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use bytesize::ByteSize;
use jiff::Timestamp;
use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::event::{Event, Reporter, Silent, Totals};

use crate::cli::args::Progress;
use crate::cli::output::Output;
use crate::cli::render::printable;

/// The reporter that `output` asks for.
pub(crate) fn reporter(output: Output) -> Arc<dyn Reporter> {
    match output.progress {
        Progress::None => Arc::new(Silent),
        Progress::Json => Arc::new(Lines),
        Progress::Auto | Progress::Plain => Arc::new(Plain { color: output.color }),
    }
}

/// An event a line, as JSON.
struct Lines;

impl Reporter for Lines {
    fn report(&self, event: Event) {
        let line =
            serde_json::to_string(&event.versioned()).expect("an event has string keys only");
        eprintln!("{line}");
    }
}

/// A line for each thing done, its verb first.
struct Plain {
    color: bool,
}

/// Columns of the verb.
const VERB_CHARS: usize = 10;

impl Plain {
    fn say(&self, color: AnsiColor, verb: &str, text: &str) {
        let style = if self.color {
            Style::new().bold().fg_color(Some(color.into()))
        } else {
            Style::new()
        };
        eprintln!("{style}{verb:>VERB_CHARS$}{style:#} {}", printable(text));
    }

    fn done(&self, verb: &str, text: &str) {
        self.say(AnsiColor::Green, verb, text);
    }
}

impl Reporter for Plain {
    fn report(&self, event: Event) {
        match event {
            Event::Resolved { image, digest, platforms } => {
                let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
                self.done(
                    "Resolved",
                    &format!("{image} {} ({})", short(digest), platforms.join(", ")),
                );
            }
            Event::LayerDone { digest, size_bytes, image, .. } => {
                self.done(
                    "Fetched",
                    &format!("layer {} of {image}, {}", short(digest), size(size_bytes)),
                );
            }
            Event::DiskDone { image, .. } => self.done("Built", &format!("disk of {image}")),
            Event::Retry { subject, delay_ms, reason, .. } => {
                let delay = Duration::from_millis(delay_ms);
                self.say(
                    AnsiColor::Yellow,
                    "Retrying",
                    &format!("{subject} in {delay:.1?}: {reason}"),
                );
            }
            Event::Resumed { subject, offset_bytes } => {
                let text = format!("a download from {subject} at {}", size(offset_bytes));
                self.say(AnsiColor::Yellow, "Resuming", &text);
            }
            Event::Mirror { registry, mirror } => {
                self.done("Using", &format!("{mirror} as a mirror of {registry}"));
            }
            Event::Waiting { subject, waited_ms, .. } => {
                let waited = Duration::from_millis(waited_ms).as_secs();
                self.say(
                    AnsiColor::Yellow,
                    "Waiting",
                    &format!("for {subject}, {waited} s so far"),
                );
            }
            Event::Warning { image, message, .. } => {
                let image = image.map(|image| format!("{image}: ")).unwrap_or_default();
                self.say(AnsiColor::Yellow, "Warning", &format!("{image}{message}"));
            }
            _ => {}
        }
    }
}

/// As much of a digest as a person compares.
pub(crate) fn short(digest: Digest) -> String {
    const SHOWN_CHARS: usize = 12;
    digest.hex()[..SHOWN_CHARS].to_owned()
}

/// Bytes as a person reads them.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
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

/// Columns as wide as their widest cell, two spaces apart.
pub(crate) fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
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
