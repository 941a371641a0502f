//! The difference of two locks as people read it: in a terminal, and in a merge request.

use std::fmt::Write as _;

use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::diff::{Change, ImageDiff, Layer, LockDiff, PlatformDiff, Sides};

use crate::cli::neutral::code;
use crate::cli::report::{count, short, size};

fn verb(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

/// `0123456789ab → cdef01234567`, or the one side that there is.
fn moved(sides: &Sides<Digest>) -> String {
    match (sides.old, sides.new) {
        (Some(old), Some(new)) if old != new => format!("{} → {}", short(old), short(new)),
        (old, new) => new.or(old).map(short).unwrap_or_default(),
    }
}

/// A line for each image, and what follows from it indented.
pub(crate) fn text(diff: &LockDiff) -> String {
    let mut text = String::new();
    for image in &diff.images {
        describe(image, &mut text).expect("writing to a string cannot fail");
    }
    text + &summary(diff) + "\n"
}

fn describe(image: &ImageDiff, text: &mut String) -> std::fmt::Result {
    let ImageDiff { image: name, change, source, digest, platforms, download_bytes } = image;
    writeln!(text, "{name} {}, {} to fetch", verb(*change), size(*download_bytes))?;
    match (&source.old, &source.new) {
        (Some(old), Some(new)) if old != new => writeln!(text, "  source  {old} → {new}")?,
        (old, new) => {
            new.as_ref()
                .or(old.as_ref())
                .map_or(Ok(()), |source| writeln!(text, "  source  {source}"))?;
        }
    }
    writeln!(text, "  digest  {}", moved(digest))?;
    for platform in platforms {
        let PlatformDiff {
            platform,
            change,
            manifest,
            layers_added,
            layers_removed,
            layers_kept,
            ..
        } = platform;
        writeln!(
            text,
            "  {platform} {}: {}, {} kept",
            verb(*change),
            moved(manifest),
            count(*layers_kept as u64, "layer")
        )?;
        let mut layers = |sign: char, layers: &[Layer]| {
            layers.iter().try_for_each(|layer| {
                writeln!(text, "    {sign} {}  {}", short(layer.digest), size(layer.size_bytes))
            })
        };
        layers('-', layers_removed)?;
        layers('+', layers_added)?;
    }
    Ok(())
}

fn summary(diff: &LockDiff) -> String {
    let of = |wanted| diff.images.iter().filter(|image| image.change == wanted).count();
    format!(
        "{} added, {} changed, {} removed, {} unchanged; {} to fetch",
        of(Change::Added),
        of(Change::Changed),
        of(Change::Removed),
        diff.unchanged,
        size(diff.download_bytes)
    )
}

/// A table for a merge request.
pub(crate) fn markdown(diff: &LockDiff) -> String {
    let mut text = String::new();
    if !diff.images.is_empty() {
        text +=
            "| image | change | source | digest | layers | to fetch |\n|---|---|---|---|---|--:|\n";
    }
    for image in &diff.images {
        let source = match (&image.source.old, &image.source.new) {
            (Some(old), Some(new)) if old != new => format!("{} → {}", code(old), code(new)),
            (old, new) => new.as_ref().or(old.as_ref()).map(code).unwrap_or_default(),
        };
        let layers: Vec<String> = image.platforms.iter().map(layers).collect();
        let cells = [
            code(&image.image),
            verb(image.change).to_owned(),
            source,
            moved(&image.digest),
            layers.join("<br>"),
            size(image.download_bytes),
        ];
        text.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &summary(diff) + "\n"
}

fn layers(platform: &PlatformDiff) -> String {
    let PlatformDiff { platform, layers_added, layers_removed, layers_kept, .. } = platform;
    format!("{platform}: +{} −{} ={layers_kept}", layers_added.len(), layers_removed.len())
}
