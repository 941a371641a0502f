//! `diff`: the lock beside an older one, for who reviews the change.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::diff::{Change, ImageDiff, Layer, LockDiff, PlatformDiff, Sides, diff};
use sandbox_images::project::Project;
use sandbox_images::spec::lockfile::{FILE_BYTES_MAX, Lock};
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::reading::Diff;
use crate::cli::failure::{Failure, Kind};
use crate::cli::git::{Committed, file_at};
use crate::cli::neutral::code;
use crate::cli::output;
use crate::cli::render::printable;
use crate::cli::report::{count, short, size};
use crate::cli::setup::{Setup, lock_alone};
use crate::cli::texts::{Text, Texts};

/// What `diff --json` prints.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    schema: &'static str,
    /// The file or revision that is compared with.
    old: &'a str,
    #[serde(flatten)]
    diff: &'a LockDiff,
}

pub(crate) fn run(setup: &Setup<'_>, arguments: &Diff) -> Done {
    let project = setup.project()?;
    let new = lock_alone(&project)?;
    let old = old(setup, &project, &arguments.old)?;
    let diff = diff(&old, &new);
    if setup.output.json {
        let schema = "sandbox-images/diff/1";
        output::json(&Compared { schema, old: &arguments.old, diff: &diff });
    } else if arguments.markdown {
        output::data(printable(&markdown(&diff)));
    } else {
        output::data(printable(&text(&diff)));
    }
    Ok(())
}

/// The lock to compare with: the file of that name, or what the revision has.
fn old(setup: &Setup<'_>, project: &Project, named: &str) -> Result<Lock, Failure> {
    let path = Path::new(named);
    let text = if path.is_file() {
        let beside = Project::with_files(
            project.image_set_path().to_owned(),
            path.to_owned(),
            project.store().clone(),
        );
        let texts = beside.texts().map_err(|error| Failure::of(Kind::Usage, "file", &error))?;
        texts.lock.unwrap_or_default()
    } else {
        match file_at(named, project.lock_path(), FILE_BYTES_MAX)? {
            Committed::File(bytes) => String::from_utf8(bytes).map_err(|_| {
                Failure::new(Kind::Usage, "file", format!("the lock of `{named}` is not UTF-8"))
            })?,
            Committed::Nothing => {
                setup.output.note(&format!("`{named}` has no lock: all images are new"));
                return Ok(Lock::new());
            }
        }
    };
    Lock::parse(&text).map_err(|error| {
        let lock = Text { path: PathBuf::from(named), text };
        Failure::in_files(Kind::Usage, error.diagnostics(), Texts { lock, ..Texts::default() })
    })
}

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

/// One line, and what follows from it indented.
fn text(diff: &LockDiff) -> String {
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
fn markdown(diff: &LockDiff) -> String {
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
