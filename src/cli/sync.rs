//! `sync`: makes the store hold what the lock says, or says what is missing.

mod dropped;

mod planned;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use sandbox_images::oci::digest::ChainId;
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::event::Totals;
use sandbox_images::plan::extent::{Content, Extent};
use sandbox_images::plan::selection::{
    GroupChoice, PlatformChoice, Selection, SelectionRequest, Skipped, select,
};
use sandbox_images::project::files::Inputs;
use sandbox_images::project::sync::Synced;
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::freshness::{is_fixable_offline, to_resolve};
use sandbox_images::spec::lockfile::Lock;
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::name::ImageName;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::Sync;
use crate::cli::artifacts::require_format;
use crate::cli::failure::{Failure, Kind};
use crate::cli::gc::{Line, line};
use crate::cli::incomplete::failure_of;
use crate::cli::lock::{relock, require_fresh, stale, write};
use crate::cli::mode::{Collecting, Effect, LockMode, Mode};
use crate::cli::output::{self, Tone};
use crate::cli::publish;
use crate::cli::report::{built, count, fetched_things, size};
use crate::cli::setup::{Setup, inputs, lock_alone, platform};
use crate::cli::texts::Texts;

/// What `sync --json` prints when it is done.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    /// What was done.
    done: Totals,
    /// Every selected image that is in the store now, or all that it is built of.
    images: Vec<Image<'a>>,
    /// Images that are not locked for the wanted platform.
    skipped: &'a [Skipped],
    /// What was deleted.
    removed: Vec<Line<'a>>,
    /// Every image in each other program's cache that it was handed to.
    published: Vec<publish::Line>,
}

/// An image in the store.
#[derive(Debug, Serialize)]
struct Image<'a> {
    #[serde(rename = "image")]
    name: &'a ImageName,
    platform: &'a Platform,
    /// The disk's absolute path; nothing if none was built.
    disk: Option<PathBuf>,
}

/// What was decided before anything is done to the store.
struct Decided {
    project: Project,
    session: Session,
    inputs: Option<Inputs>,
    lock: Lock,
    resolved: BTreeSet<ImageName>,
    selection: Selection,
    /// Other programs' directories that images are handed to.
    publish_to: Vec<PathBuf>,
}

pub(crate) fn run(setup: &Setup<'_>, sync: &Sync) -> Done {
    let auto_gc = setup.config.gc().auto && !setup.environment.no_gc;
    let mode = Mode::of(sync, setup.environment.ci, auto_gc);
    if sync.fetch_only && !mode.network && mode.effect != Effect::Check {
        let message = "`--fetch-only` fetches, and there is to be no network";
        return Err(Failure::new(Kind::Usage, "fetch-only-offline", message)
            .help("without `--fetch-only`, `sync` builds of what was fetched before"));
    }
    let started = Instant::now();
    setup.block_on(async {
        let decided = decide(setup, sync, &mode).await?;
        for skipped in &decided.selection.skipped {
            let Skipped { image, platform, .. } = skipped;
            setup.output.note(&format!("{image} is not locked for {platform} and is left out"));
        }
        match mode.effect {
            Effect::Apply => apply(setup, &decided, mode.collecting, started).await,
            Effect::Check => planned::check(setup, &decided, mode.network),
            Effect::DryRun => planned::dry_run(setup, &decided, &mode),
        }
    })
}

/// Finds the lock to sync from, and what of it is wanted. Writes at most the lock.
async fn decide(setup: &Setup<'_>, sync: &Sync, mode: &Mode) -> Result<Decided, Failure> {
    let request = request(sync)?;
    let mut project = setup.project()?;
    let mut publish_to = Vec::new();
    if sync.fetch_only {
        let extent = Extent { content: Content::Blobs, ..project.extent() };
        project = project.with_extent(extent);
    } else {
        publish_to = publish::directories(setup, &sync.publish)?;
    }
    let session = |set: Option<&ImageSet>| setup.session(mode.network, sync.jobs, set);
    let (session, inputs, lock, resolved) = match &mode.lock {
        LockMode::Alone(file) => {
            if let Some(file) = file {
                project = project.with_lock(file.clone());
            }
            let lock = lock_alone(&project)?;
            (session(None)?, None, lock, BTreeSet::new())
        }
        LockMode::Require => {
            let (inputs, texts) = inputs(&project)?;
            require_fresh(&inputs, &texts).map_err(|failure| by_ci(mode, failure))?;
            let lock = inputs.lock.clone();
            (session(Some(&inputs.image_set))?, Some(inputs), lock, BTreeSet::new())
        }
        LockMode::Fix => {
            let (inputs, texts) = inputs(&project)?;
            let session = session(Some(&inputs.image_set))?;
            let (lock, resolved) = fix(&project, &inputs, &texts, mode, &session).await?;
            (session, Some(inputs), lock, resolved)
        }
    };
    require_format(&lock)?;
    let set = inputs.as_ref().map(|inputs| &inputs.image_set);
    let selection = select(set, &lock, &request);
    let selection = selection.map_err(|error| Failure::of(Kind::Usage, "selection", &error))?;
    Ok(Decided { project, session, inputs, lock, resolved, selection, publish_to })
}

fn by_ci(mode: &Mode, failure: Failure) -> Failure {
    if !mode.locked_by_ci {
        return failure;
    }
    failure.note("`CI` is set, so the lock must be fresh; `--no-locked` lets `sync` change it")
}

/// Fixes what is stale, as far as the network is allowed, and writes the lock when all images are resolved.
async fn fix(
    project: &Project,
    inputs: &Inputs,
    texts: &Texts,
    mode: &Mode,
    session: &Session,
) -> Result<(Lock, BTreeSet<ImageName>), Failure> {
    if inputs.stale.is_empty() {
        return Ok((inputs.lock.clone(), BTreeSet::new()));
    }
    if !mode.network && !is_fixable_offline(&inputs.stale) {
        let failure = stale(inputs, texts);
        return Err(failure.expect("a stale lock is a failure"));
    }
    require_no_new_digests(inputs, texts)?;
    let relocked = relock(project, inputs, texts, session).await?;
    if mode.effect == Effect::Apply {
        write(project, &relocked.lock.render())?;
    }
    Ok((relocked.lock, relocked.resolved))
}

/// Fails if a stale image needs digests of artifacts: only `lock` and `update` write them, since they build
/// for all platforms.
fn require_no_new_digests(inputs: &Inputs, texts: &Texts) -> Done {
    let has_digests = inputs.lock.artifact_format().is_some();
    let needs_new = has_digests && !to_resolve(&inputs.stale).is_empty();
    match stale(inputs, texts).filter(|_| needs_new) {
        Some(failure) => Err(failure.help(
            "run `sandbox-images lock` and commit the result: the lock has digests of artifacts, which `sync` does not write",
        )),
        None => Ok(()),
    }
}

fn request(sync: &Sync) -> Result<SelectionRequest, Failure> {
    let images = sync.image.iter().map(|image| image.parse()).collect::<Result<_, _>>();
    Ok(SelectionRequest {
        groups: if sync.all_groups { GroupChoice::All } else { groups(&sync.group)? },
        images: images.map_err(|error| Failure::of(Kind::Usage, "name", &error))?,
        platforms: platforms(&sync.platform)?,
    })
}

/// The groups of `--group`; without one, the default groups.
pub(crate) fn groups(named: &[String]) -> Result<GroupChoice, Failure> {
    if named.is_empty() {
        return Ok(GroupChoice::Default);
    }
    let groups = named.iter().map(|group| group.parse()).collect::<Result<_, _>>();
    groups.map(GroupChoice::Named).map_err(|error| Failure::of(Kind::Usage, "name", &error))
}

/// The platforms of `--platform host|all|PLATFORM`.
pub(crate) fn platforms(text: &str) -> Result<PlatformChoice, Failure> {
    Ok(match text {
        "all" => PlatformChoice::All,
        "host" => PlatformChoice::Host(Platform::host_linux()),
        named => PlatformChoice::Named(BTreeSet::from([platform(Some(named))?])),
    })
}

async fn apply(
    setup: &Setup<'_>,
    decided: &Decided,
    collecting: Collecting,
    started: Instant,
) -> Done {
    let Decided { project, session, inputs, lock, selection, .. } = decided;
    let synced = project.sync(lock, selection, inputs.as_ref(), session).await;
    if let Some(failure) = failure_of(&synced) {
        return Err(failure);
    }
    let content = project.extent().content;
    let (verb, text) = summary(&synced, selection, content, started);
    setup.output.say(Tone::Done, verb, &text);
    let published = publish_all(setup, decided).await?;
    let collection = dropped::collect(setup, project, lock, collecting, session).await;
    if synced.totals.disks > 0
        && let Some(name) = selection.images.keys().next()
    {
        setup.output.hint(&format!("`sandbox-images path {name}` prints where its disk is"));
    }
    if synced.totals.blobs > 0 {
        setup.output.hint("`sandbox-images sync --offline` builds the disks");
    }
    if setup.output.json {
        let images = locked(decided).map(|(image, platform, chain_id)| Image {
            name: image,
            platform,
            disk: (content == Content::Disk)
                .then(|| project.store().path_of(Artifact::Disk(chain_id))),
        });
        output::json(&Report {
            schema: "sandbox-images/sync/1",
            done: synced.totals,
            images: images.collect(),
            skipped: &selection.skipped,
            removed: collection.removed().map(line).collect(),
            published,
        });
    }
    Ok(())
}

/// Hands what was synced to other programs.
async fn publish_all(setup: &Setup<'_>, decided: &Decided) -> Result<Vec<publish::Line>, Failure> {
    if decided.publish_to.is_empty() {
        return Ok(Vec::new());
    }
    let Decided { project, session, lock, publish_to, .. } = decided;
    let mut selection = decided.selection.clone();
    publish::leave_out_local(setup, lock, &mut selection);
    let work = publish::Work {
        project: project.clone(),
        lock: lock.clone(),
        selection,
        directories: publish_to.clone(),
        session: session.clone(),
    };
    publish::publish(setup, work).await
}

/// Every selected image on each of its platforms, and the name of its disk.
fn locked(decided: &Decided) -> impl Iterator<Item = (&ImageName, &Platform, ChainId)> {
    decided.selection.images.iter().flat_map(|(name, platforms)| {
        let image = decided.lock.image(name.as_str());
        platforms.iter().filter_map(move |platform| {
            Some((name, platform, image?.platforms.get(platform)?.chain_id()))
        })
    })
}

fn summary(
    synced: &Synced,
    selection: &Selection,
    content: Content,
    started: Instant,
) -> (&'static str, String) {
    let images = count(selection.images.len() as u64, "image");
    let elapsed = started.elapsed();
    let is_unchanged = synced.totals == Totals::default();
    let fetched = size(synced.totals.download_bytes);
    if content == Content::Blobs {
        let things = fetched_things(&synced.totals);
        return if is_unchanged {
            ("Unchanged", format!("{images} fetched ({elapsed:.0?})"))
        } else {
            ("Fetched", format!("{images}: {fetched}, {things} ({elapsed:.1?})"))
        };
    }
    if is_unchanged {
        return ("Unchanged", format!("{images} in sync ({elapsed:.0?})"));
    }
    let built = built(&synced.totals);
    ("Synced", format!("{images}: {fetched} fetched, {built} built ({elapsed:.1?})"))
}
