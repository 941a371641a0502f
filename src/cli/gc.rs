//! `gc`: deletes what no root and no lease keeps.

use sandbox_images::engine::collect::withdrawal::{Withdrawn, WithdrawnFile};
use sandbox_images::engine::collect::{Collection, Error, Fate, Item, Request, What};
use sandbox_images::plan::root_life::Life;
use sandbox_images::plan::sweep::{LeftoverKind, Limits};
use sandbox_images::project::Project;
use sandbox_images::words::listed;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::keeping::Gc;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::publish::{tell_what_would_be_withdrawn, tell_withdrawn, why_withdrawn};
use crate::cli::report::{aligned, count, date, size};
use crate::cli::setup::{Setup, lock_alone};

/// What `gc --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    /// Whether nothing was done.
    dry_run: bool,
    /// What went, or would go.
    removed: Sum,
    /// What stayed.
    kept: Sum,
    /// Everything, and why.
    items: Vec<Line<'a>>,
    /// What left other programs' caches before, or would.
    withdrawn: &'a [Withdrawn],
}

/// How much.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Sum {
    /// Artifacts and leftovers; roots and leases are not counted.
    files: u64,
    bytes: u64,
}

/// One thing of a store.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    /// `root`, `lease`, `blob`, `layer`, `fsmeta`, `disk`, `unrecorded`, `partial`, `quarantined` or `reference`.
    kind: &'static str,
    /// The path of a root's lock, the digest in an artifact's name, the path or name of another file.
    name: String,
    /// `keep` or `remove`.
    action: &'static str,
    #[serde(flatten)]
    fate: &'a Fate,
    size_bytes: u64,
    /// Seconds since 1970.
    last_used: Option<u64>,
}

pub(crate) fn run(setup: &Setup<'_>, gc: &Gc) -> Done {
    let project = setup.project()?;
    let request = request(setup, &project, gc)?;
    let session = setup.session(false, None, None)?;
    let collection = if gc.dry_run {
        project.preview_gc(&request, session.now)
    } else {
        project.gc(&request, &session)
    };
    let (collection, failed) = match collection {
        Err(Error::Incomplete { collection, source }) => {
            let all = collection.as_ref().clone();
            (all, Some(failure(&Error::Incomplete { collection, source })))
        }
        collection => (collection.map_err(|error| failure(&error))?, None),
    };
    let tell = if gc.dry_run { tell_what_would_be_withdrawn } else { tell_withdrawn };
    tell(setup, &collection.withdrawn);
    let (removed, kept) = sums(&collection);
    let report = Report {
        schema: "sandbox-images/gc/1",
        dry_run: gc.dry_run,
        removed,
        kept,
        items: collection.items.iter().map(line).collect(),
        withdrawn: &collection.withdrawn,
    };
    if let Some(failure) = failed {
        return Err(failure.with("collected", &report));
    }
    if setup.output.json {
        output::json(&report);
        return Ok(());
    }
    if gc.dry_run {
        output::data(table(&collection));
    }
    let would = if gc.dry_run { "would remove" } else { "removed" };
    let Sum { files, bytes } = removed;
    setup.output.note(&format!(
        "{would} {}, {}; {}, {} in the store",
        count(files, "file"),
        size(bytes),
        if gc.dry_run {
            format!("{} would stay", kept.files)
        } else {
            format!("{} stay", kept.files)
        },
        size(kept.bytes)
    ));
    Ok(())
}

fn request(setup: &Setup<'_>, project: &Project, gc: &Gc) -> Result<Request, Failure> {
    let config = setup.config.gc();
    let limits = Limits {
        age_max: gc.max_age.or(config.age_max),
        size_bytes_max: gc.max_size.or(config.size_bytes_max),
    };
    if !gc.only_this_lock {
        return Ok(Request::Everything(limits));
    }
    let lock = lock_alone(project)?;
    let project = project.speaks(&lock).map_err(|error| Failure::store(&error))?;
    Ok(Request::OnlyThisLock { project, drop_other_roots: gc.drop_other_roots, limits })
}

/// Why nothing was collected.
pub(crate) fn failure(error: &Error) -> Failure {
    let failure = Failure::of(error.class().into(), error.code(), error);
    error.help().into_iter().fold(failure, Failure::help)
}

fn sums(collection: &Collection) -> (Sum, Sum) {
    let (mut removed, mut kept) = (Sum::default(), Sum::default());
    for item in &collection.items {
        if matches!(item.what, What::Artifact(_) | What::Leftover(_)) {
            let sum = if item.fate.removes() { &mut removed } else { &mut kept };
            sum.files += 1;
            sum.bytes = sum.bytes.saturating_add(item.size_bytes);
        }
    }
    (removed, kept)
}

pub(crate) fn line(item: &Item) -> Line<'_> {
    Line {
        kind: kind(&item.what),
        name: name(&item.what),
        action: action(&item.fate),
        fate: &item.fate,
        size_bytes: item.size_bytes,
        last_used: item.used,
    }
}

/// Everything and why, what goes first.
fn table(collection: &Collection) -> String {
    let (gone, kept): (Vec<&Item>, Vec<&Item>) =
        collection.items.iter().partition(|item| item.fate.removes());
    let row = |item: &&Item| {
        let bytes = match item.what {
            What::Root { .. } | What::Lease(_) => String::new(),
            What::Artifact(_) | What::Leftover(_) => size(item.size_bytes),
        };
        let [action, kind] = [action(&item.fate), kind(&item.what)].map(str::to_owned);
        [action, kind, name(&item.what), bytes, why(item)]
    };
    let withdrawn = |action, files: fn(&Withdrawn) -> &[WithdrawnFile]| {
        let rows = move |one| files(one).iter().map(move |file| withdrawn_row(action, one, file));
        collection.withdrawn.iter().flat_map(rows)
    };
    let goes = withdrawn("remove", |one| &one.removed).chain(gone.iter().map(row));
    let stays = kept.iter().map(row).chain(withdrawn("keep", |one| &one.kept));
    aligned(&goes.chain(stays).collect::<Vec<_>>())
}

/// A file in another program's cache. Its bytes are not those of the store.
fn withdrawn_row(
    action: &str,
    Withdrawn { cache, .. }: &Withdrawn,
    file: &WithdrawnFile,
) -> [String; 5] {
    let path = cache.join(&file.path).display().to_string();
    [action.to_owned(), "published".to_owned(), path, String::new(), why_withdrawn(&file.why)]
}

const fn action(fate: &Fate) -> &'static str {
    if fate.removes() { "remove" } else { "keep" }
}

const fn kind(what: &What) -> &'static str {
    match what {
        What::Root { .. } => "root",
        What::Lease(_) => "lease",
        What::Artifact(artifact) => artifact.kind(),
        What::Leftover(leftover) => match leftover.kind {
            LeftoverKind::Unrecorded => "unrecorded",
            LeftoverKind::Partial => "partial",
            LeftoverKind::Quarantined => "quarantined",
            LeftoverKind::Reference => "reference",
        },
    }
}

fn name(what: &What) -> String {
    match what {
        What::Root { lock, .. } => lock.clone(),
        What::Lease(name) => name.clone(),
        What::Artifact(artifact) => artifact.digest().to_string(),
        What::Leftover(leftover) => leftover.path.clone(),
    }
}

/// The reason as a person reads it.
fn why(item: &Item) -> String {
    match &item.fate {
        Fate::Wanted { by } => format!("wanted by {}", listed(by)),
        Fate::Recent => "used lately enough".to_owned(),
        Fate::Grace => "dropped too lately".to_owned(),
        Fate::Left => "it could not be removed".to_owned(),
        Fate::NotDropped => "not dropped by this project".to_owned(),
        Fate::Alive(life) => state(*life),
        Fate::Unwanted => "nobody wants it".to_owned(),
        Fate::Age { unused_seconds } => format!("not used for {}", age(*unused_seconds)),
        Fate::Size => "the store is too large".to_owned(),
        Fate::Ended if matches!(item.what, What::Lease(_)) => "its process ended".to_owned(),
        Fate::Ended => state(Life::Ended),
        Fate::OtherRoot => "it is not of this lock".to_owned(),
    }
}

/// Whether a root is alive, as a person reads it.
pub(crate) fn state(life: Life) -> String {
    match life {
        Life::Pinned => "pinned".to_owned(),
        Life::Lock => "its lock is there".to_owned(),
        Life::Expires { at } => format!("until {}", date(at)),
        Life::Seen { until } => format!("its lock is not there; until {}", date(until)),
        Life::Ended => "ended".to_owned(),
    }
}

fn age(seconds: u64) -> String {
    const HOUR: u64 = 60 * 60;
    match seconds {
        0..HOUR => count(seconds / 60, "minute"),
        HOUR..172_800 => count(seconds / HOUR, "hour"),
        _ => count(seconds / (24 * HOUR), "day"),
    }
}
