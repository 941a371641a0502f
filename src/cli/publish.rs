//! `publish`, and what `sync --publish` does at its end: synced images are handed to other programs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sandbox_images::engine::collect::withdrawal::{Withdrawn, WithdrawnWhy};
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::selection::{
    GroupChoice, PlatformChoice, Selection, SelectionRequest, Skipped, select,
};
use sandbox_images::project::files::Inputs;
use sandbox_images::project::publish::Target;
use sandbox_images::project::{Project, Session};
use sandbox_images::publish::error::Error;
use sandbox_images::publish::microsandbox::Published;
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::spec::name::ImageName;
use sandbox_images::spec::publish_target::PublishTarget;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::publishing::Publish;
use crate::cli::documents;
use crate::cli::documents::leaves_out_manifests;
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::{self, Tone};
use crate::cli::report::count;
use crate::cli::setup::{Setup, blocking, lock_alone};

/// What `publish --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    /// Every image, with where it is now.
    published: Vec<Line>,
    /// Images that are not locked for this machine's platform.
    skipped: &'a [Skipped],
}

/// One image in one place.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    image: ImageName,
    /// The program whose place it is.
    target: &'static str,
    /// The program's directory, absolute.
    directory: PathBuf,
    /// What the image can be asked for by there.
    references: BTreeSet<String>,
    /// Whether anything was written.
    changed: bool,
    /// Files that are the store's own under a second name.
    linked: u64,
    /// Files that were copied.
    copied: u64,
    /// Layers without attributes that the program does not read.
    altered: u64,
}

pub(crate) fn run(setup: &Setup<'_>, wanted: &Publish) -> Done {
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let is_online = leaves_out_manifests(&project) && !wanted.offline;
    let set = project.texts().ok().and_then(|texts| Inputs::parse(&texts).ok());
    let set = set.as_ref().map(|inputs| &inputs.image_set);
    let session = setup.session(is_online, None, set)?;
    let images = wanted.image.iter().map(|image| image.parse()).collect::<Result<_, _>>();
    let request = SelectionRequest {
        groups: GroupChoice::All,
        images: images.map_err(|error| Failure::of(Kind::Usage, "name", &error))?,
        platforms: PlatformChoice::Host(Platform::host_linux()),
    };
    let selection = select(None, &lock, &request);
    let mut selection = selection.map_err(|error| Failure::of(Kind::Usage, "selection", &error))?;
    for Skipped { image, platform, .. } in &selection.skipped {
        setup.output.note(&format!("{image} is not locked for {platform} and is left out"));
    }
    if request.images.is_empty() {
        leave_out_local(setup, &lock, &mut selection);
    }
    let directory = directory(setup, &wanted.target, None)?;
    let skipped = selection.skipped.clone();
    let work = Work { project, lock, selection, directories: vec![directory], session };
    let lines = setup.block_on(publish(setup, work))?;
    if setup.output.json {
        output::json(&Report {
            schema: "sandbox-images/publish/1",
            published: lines,
            skipped: &skipped,
        });
    }
    Ok(())
}

/// The directories that `sync` publishes to: those of the command line, else those of `config.toml`.
pub(crate) fn directories(
    setup: &Setup<'_>,
    named: &[PublishTarget],
) -> Result<Vec<PathBuf>, Failure> {
    let (targets, base) = match named {
        [] => (setup.config.publish(), Some(setup.config.directory())),
        named => (named, None),
    };
    targets.iter().map(|target| directory(setup, target, base)).collect()
}

/// The directory that a target means. A relative one starts at `base`.
fn directory(
    setup: &Setup<'_>,
    target: &PublishTarget,
    base: Option<&Path>,
) -> Result<PathBuf, Failure> {
    let PublishTarget::Microsandbox(named) = target;
    let path = match (named, &setup.environment.microsandbox_cache) {
        (Some(named), _) => base.unwrap_or(Path::new("")).join(named),
        (None, Some(usual)) => usual.clone(),
        (None, None) => {
            let message = "there is no home directory to find microsandbox's cache in";
            return Err(Failure::new(Kind::Usage, "publish-nowhere", message)
                .help("name its directory: `microsandbox=DIR`"));
        }
    };
    Ok(std::path::absolute(&path).unwrap_or(path))
}

/// Leaves out what is in no registry: `publish` without names means all that can be.
pub(crate) fn leave_out_local(setup: &Setup<'_>, lock: &Lock, selection: &mut Selection) {
    selection.images.retain(|name, _| {
        let is_local = lock.image(name.as_str()).is_some_and(|image| image.source.is_local());
        if is_local {
            setup.output.note(&format!("{name} is in no registry and is not published"));
        }
        !is_local
    });
}

/// What is to be published, and to where.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) project: Project,
    pub(crate) lock: Lock,
    pub(crate) selection: Selection,
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) session: Session,
}

/// What came of each image in one directory.
type Outcome = (PathBuf, Vec<(ImageName, Result<Published, Error>)>);

impl Work {
    fn all(self) -> Vec<Outcome> {
        let Self { project, lock, selection, directories, session } = self;
        let to_one = |directory: PathBuf| {
            let target = Target::Microsandbox(&directory);
            let published = project.publish(&lock, &selection, target, &session);
            (directory, published)
        };
        directories.into_iter().map(to_one).collect()
    }
}

/// Publishes what is selected to each of the directories, and says so. What fails for one image does not
/// keep the others.
pub(crate) async fn publish(setup: &Setup<'_>, work: Work) -> Result<Vec<Line>, Failure> {
    documents::require(&work.project, &work.lock, &work.selection, &work.session).await?;
    let outcomes = blocking(|| work.all()).await.unwrap_or_default();
    let (mut lines, mut failures) = (Vec::new(), Vec::new());
    for (directory, published) in outcomes {
        let before = lines.len();
        for (image, published) in published {
            match published {
                Ok(published) => lines.push(line(image, &directory, published)),
                Err(error) => failures.push(failure(&image, &error)),
            }
        }
        tell(setup, &directory, &lines[before..]);
    }
    failures.into_iter().reduce(Failure::and).map_or(Ok(lines), Err)
}

/// Says what would be published.
pub(crate) fn preview(
    setup: &Setup<'_>,
    project: &Project,
    lock: &Lock,
    selection: &Selection,
    directories: &[PathBuf],
    session: &Session,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for directory in directories {
        let target = Target::Microsandbox(directory);
        for image in project.unpublished(lock, selection, target, session) {
            setup.output.note(&format!("would publish {image} to {}", directory.display()));
            let directory = directory.clone();
            planned.push(Planned { image, target: "microsandbox", directory });
        }
    }
    planned
}

/// One image that would be published to one place.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    image: ImageName,
    target: &'static str,
    directory: PathBuf,
}

/// Says what left other programs' places before it was deleted from the store.
pub(crate) fn tell_withdrawn(setup: &Setup<'_>, all: &[Withdrawn]) {
    tell_each(setup, all, "withdrew", "stay");
}

/// Says what would leave them.
pub(crate) fn tell_what_would_be_withdrawn(setup: &Setup<'_>, all: &[Withdrawn]) {
    tell_each(setup, all, "would withdraw", "would stay");
}

fn tell_each(setup: &Setup<'_>, all: &[Withdrawn], withdrew: &str, stay: &str) {
    for Withdrawn { cache, removed, kept, problem } in all {
        let cache = cache.display();
        if !removed.is_empty() {
            let files = count(removed.len() as u64, "file");
            setup.output.note(&format!("{withdrew} {files} from {cache}"));
        }
        if !kept.is_empty() {
            let files = count(kept.len() as u64, "file");
            setup.output.note(&format!("{files} of what goes {stay} in {cache}: they are in use"));
        }
        if let Some(problem) = problem {
            setup.output.warning(
                "publish-not-withdrawn",
                &format!("what was published to {cache} stays there: {problem}"),
            );
        }
    }
}

/// The reason why a file goes or stays, as a person reads it.
pub(crate) fn why_withdrawn(why: &WithdrawnWhy) -> String {
    match why {
        WithdrawnWhy::ImageGoes { artifact } => format!("its image loses {artifact}"),
        WithdrawnWhy::NoImage => "no published image has it any more".to_owned(),
        WithdrawnWhy::InUse => "another program uses it".to_owned(),
        WithdrawnWhy::Mentioned => "another program's image has it".to_owned(),
    }
}

fn line(image: ImageName, directory: &Path, published: Published) -> Line {
    let Published { references, changed, linked, copied, altered } = published;
    let directory = directory.to_owned();
    Line { image, target: "microsandbox", directory, references, changed, linked, copied, altered }
}

fn tell(setup: &Setup<'_>, directory: &Path, lines: &[Line]) {
    let changed = lines.iter().filter(|line| line.changed).count();
    let (verb, images, to) = match changed {
        0 if lines.is_empty() => return,
        0 => ("Unchanged", lines.len(), "in"),
        changed => ("Published", changed, "to"),
    };
    let text = format!("{} {to} {}", count(images as u64, "image"), directory.display());
    setup.output.say(Tone::Done, verb, &text);
}

fn failure(image: &ImageName, error: &Error) -> Failure {
    Failure::engine_kind(error.kind(), error.code(), image.as_str(), error, error.help())
}
