//! `export`: what the lock names, for hosts without a network and for other programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sandbox_images::archive::output::Packing;
use sandbox_images::engine::export::item::{Target, Written};
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::action::{Action, FetchLayer};
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::locked::check_format;
use sandbox_images::plan::selection::{
    GroupChoice, PlatformChoice, Selection, SelectionRequest, Skipped, select,
};
use sandbox_images::project::Project;
use sandbox_images::project::export::{Content, Format, Refusal, Request, everything};
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::name::ImageName;
use sandbox_images::words::with_causes;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::carrying::{Export, ExportContent, ExportFormat};
use crate::cli::documents;
use crate::cli::failure::{Failure, Kind};
use crate::cli::incomplete::missing;
use crate::cli::lock::require_fresh;
use crate::cli::output::{self, Tone};
use crate::cli::report::{count, size};
use crate::cli::setup::{Setup, lock_alone, parsed, unreadable};
use crate::cli::sync::platforms;

/// What `export --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    /// Absolute.
    output: PathBuf,
    format: ExportFormat,
    images: &'a BTreeMap<ImageName, BTreeSet<Platform>>,
    files: u64,
    size_bytes: u64,
}

pub(crate) fn run(setup: &Setup<'_>, export: &Export) -> Done {
    let started = Instant::now();
    let format = format(export)?;
    check_output(setup, export)?;
    let project = setup.project()?;
    let (set, lock, lock_text) = read(&project)?;
    check_format(&lock).map_err(|error| Failure::of(Kind::Stale, "artifact-format", &error))?;
    let wanted = SelectionRequest {
        groups: GroupChoice::Default,
        images: names(&export.image)?,
        platforms: platforms(&export.platform)?,
    };
    let selection = select(None, &lock, &wanted);
    let selection = selection.map_err(|error| Failure::of(Kind::Usage, "selection", &error))?;
    for Skipped { image, platform, .. } in &selection.skipped {
        setup.output.note(&format!("{image} is not locked for {platform} and is left out"));
    }
    let left_out = match &export.since {
        Some(path) => since(path, &wanted)?,
        None => BTreeSet::new(),
    };
    let request = Request { lock: &lock, lock_text: &lock_text, selection, format, left_out };
    let session = setup.session(!export.offline, export.jobs, set.as_ref())?;
    let target = target(export);
    let written = setup.block_on(async {
        documents::require(&project, request.lock, &request.selection, &session).await?;
        let written = project.export(&request, target, &session).await;
        written.map_err(failure)
    })?;
    tell(setup, export, &request.selection, written, started);
    Ok(())
}

fn tell(
    setup: &Setup<'_>,
    export: &Export,
    selection: &Selection,
    written: Written,
    started: Instant,
) {
    let Written { files, bytes: size_bytes } = written;
    let images = count(selection.images.len() as u64, "image");
    let (files_text, elapsed) = (count(files, "file"), started.elapsed());
    let text = format!(
        "{images} to {}: {files_text}, {} ({elapsed:.1?})",
        export.output.display(),
        size(size_bytes)
    );
    setup.output.say(Tone::Done, "Exported", &text);
    if setup.output.json {
        output::json(&Report {
            schema: "sandbox-images/export/1",
            output: std::path::absolute(&export.output).unwrap_or(export.output.clone()),
            format: export.format,
            images: &selection.images,
            files,
            size_bytes,
        });
    }
}

/// The lock, which is fresh where there is a `sandbox-images.toml`, and that file for its mirrors.
fn read(project: &Project) -> Result<(Option<ImageSet>, Lock, String), Failure> {
    let texts = project.texts().map_err(|error| unreadable(&error))?;
    if texts.image_set.is_none() {
        let lock = lock_alone(project)?;
        return Ok((None, lock, texts.lock.unwrap_or_default()));
    }
    let lock_text = texts.lock.clone().unwrap_or_default();
    let (inputs, shown) = parsed(project, texts)?;
    require_fresh(&inputs, &shown)?;
    Ok((Some(inputs.image_set), inputs.lock, lock_text))
}

fn names(images: &[String]) -> Result<BTreeSet<ImageName>, Failure> {
    let images = images.iter().map(|image| image.parse()).collect::<Result<_, _>>();
    images.map_err(|error| Failure::of(Kind::Usage, "name", &error))
}

/// The form, with what only a bundle takes.
fn format(export: &Export) -> Result<Format, Failure> {
    let only_bundle = |flag: &str| {
        let message = format!("`{flag}` is for bundles alone");
        Failure::new(Kind::Usage, "export-usage", message).help("leave it out, or `--format`")
    };
    if export.format != ExportFormat::Bundle {
        if export.content.is_some() {
            return Err(only_bundle("--content"));
        }
        if export.since.is_some() {
            return Err(only_bundle("--since"));
        }
    }
    Ok(match (export.format, export.content) {
        (ExportFormat::Bundle, None | Some(ExportContent::Artifacts)) => {
            Format::Bundle(Content::Artifacts)
        }
        (ExportFormat::Bundle, Some(ExportContent::Oci)) => Format::Bundle(Content::Oci),
        (ExportFormat::Bundle, Some(ExportContent::Both)) => Format::Bundle(Content::Both),
        (ExportFormat::Oci | ExportFormat::OciDir, _) => Format::Oci,
        (ExportFormat::DockerArchive, _) => Format::DockerArchive,
    })
}

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// Refuses an output that cannot take what is to be written, before any work.
fn check_output(setup: &Setup<'_>, export: &Export) -> Done {
    let wrong = |message: String| Err(Failure::new(Kind::Usage, "export-usage", message));
    if is_stream(&export.output) {
        if export.format == ExportFormat::OciDir {
            return wrong("a directory cannot go to standard output".to_owned());
        }
        if setup.output.json {
            return wrong("`--json` and an archive cannot both go to standard output".to_owned());
        }
        if std::io::stdout().is_terminal() {
            return wrong("an archive is not written to a terminal".to_owned());
        }
        return Ok(());
    }
    let path = export.output.display();
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut names| names.next().is_none());
    match (export.format == ExportFormat::OciDir, fs::metadata(&export.output)) {
        (true, Ok(found)) if !found.is_dir() || !is_empty(&export.output) => {
            wrong(format!("`{path}` exists and is no empty directory"))
        }
        (false, Ok(found)) if found.is_dir() => wrong(format!("`{path}` is a directory")),
        _ => Ok(()),
    }
}

fn target(export: &Export) -> Target {
    let path = export.output.clone();
    match export.format {
        _ if is_stream(&path) => Target::Stream(Box::new(std::io::stdout()), std::env::temp_dir()),
        ExportFormat::OciDir => Target::Directory(path),
        _ => {
            let packing = Packing::of(&path);
            Target::File(path, packing)
        }
    }
}

/// What the bundle of an older lock held, exported alike. Images that it does not have are new.
fn since(path: &Path, request: &SelectionRequest) -> Result<BTreeSet<Artifact>, Failure> {
    let wrong = |reason: String| {
        let message = format!("cannot use the older lock `{}`: {reason}", path.display());
        Failure::new(Kind::Usage, "export-since", message)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let old = Lock::parse(&text).map_err(|error| wrong(with_causes(&error)))?;
    let has = |name: &ImageName| old.image(name.as_str()).is_some();
    let images: BTreeSet<ImageName> =
        request.images.iter().filter(|name| has(name)).cloned().collect();
    if images.is_empty() && !request.images.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut held = BTreeSet::new();
    for (name, image) in
        old.images().filter(|(name, _)| images.is_empty() || images.contains(*name))
    {
        // A platform that the older lock did not have is new too.
        let platforms = match &request.platforms {
            PlatformChoice::Named(named) => {
                let named = named.iter().filter(|it| image.platforms.contains_key(*it));
                PlatformChoice::Named(named.cloned().collect())
            }
            other => other.clone(),
        };
        let only = SelectionRequest {
            groups: GroupChoice::Default,
            images: BTreeSet::from([name.clone()]),
            platforms,
        };
        if let Ok(selection) = select(None, &old, &only) {
            held.extend(everything(&old, &selection));
        }
    }
    Ok(held)
}

fn failure(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NotInSync(actions) => {
            let actions: Vec<&Action> = actions.iter().collect();
            missing(&actions, true)
        }
        Refusal::OutOfReach(layers) => out_of_reach(&layers),
        Refusal::Several(image, platforms) => {
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            let message = format!(
                "a docker archive has one platform of an image, and `{image}` is wanted for {}",
                platforms.join(", ")
            );
            Failure::new(Kind::Usage, "export-usage", message).help("name one with `--platform`")
        }
        Refusal::Store(error) => Failure::store(&error),
        Refusal::Failed(failures) => failures
            .iter()
            .map(|(image, error)| match image {
                Some(image) => Failure::engine(image.as_str(), error),
                None => Failure::engine("export", error),
            })
            .reduce(Failure::and)
            .unwrap_or_else(|| Failure::new(Kind::Failed, "output", "nothing was written")),
        _ => Failure::new(Kind::Failed, "output", "nothing was written"),
    }
}

fn out_of_reach(layers: &[FetchLayer]) -> Failure {
    let bytes: u64 = layers.iter().map(|layer| layer.size).sum();
    let line = |layer: &FetchLayer| {
        format!("blob {} of {}, {} bytes", layer.digest, layer.origin.image, layer.size)
    };
    let lines: Vec<String> = layers.iter().map(line).collect();
    let message = format!(
        "{} to fetch, {bytes} bytes, and there is no network\n{}",
        count(layers.len() as u64, "compressed layer"),
        lines.join("\n")
    );
    Failure::new(Kind::Missing, "export-offline", message)
        .help("run it with a network: the store keeps layers as images, not as they were fetched")
}
