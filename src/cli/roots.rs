//! `roots`: what keeps artifacts alive, and who says so.

use std::collections::BTreeSet;
use std::path::Path;

use sandbox_images::engine::collect::RootFile;
use sandbox_images::oci::digest::Digest;
use sandbox_images::plan::root_life::Life;
use sandbox_images::project::Project;
use sandbox_images::store::Store;
use sandbox_images::store::root::Root;
use sandbox_images::words::{listed, with_causes};
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::keeping::Roots;
use crate::cli::failure::{Failure, Kind};
use crate::cli::gc::state;
use crate::cli::output;
use crate::cli::report::{aligned, count};
use crate::cli::setup::{Setup, lock_alone, now};

/// Hex digits of an id that name it: as `roots list` shows.
const ID_CHARS_MIN: usize = 8;

/// What `roots --json` prints: all roots, that which was added, or those that were removed.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    roots: Vec<Line>,
}

/// One root.
#[derive(Debug, Serialize)]
struct Line {
    /// Its name in the store: the SHA-256 of its lock's path.
    id: String,
    /// The lock's path; nothing of a root that cannot be read.
    lock: Option<String>,
    /// `pinned`, `lock`, `expires`, `seen`, `ended` or `unreadable`.
    state: &'static str,
    /// When it ends, if nothing happens, in seconds since 1970.
    ends: Option<u64>,
    /// How many artifacts it wanted when it was written.
    artifacts: Option<usize>,
    /// When its project was last synced, in seconds since 1970.
    last_seen: Option<u64>,
    /// Why it cannot be read.
    problem: Option<String>,
    #[serde(skip)]
    shown: String,
}

pub(crate) fn run(setup: &Setup<'_>, roots: &Roots) -> Done {
    let project = setup.project()?;
    match roots {
        Roots::List => list(setup, &project),
        Roots::Add { lock } => add(setup, &project, lock.as_deref()),
        Roots::Remove { roots } => remove(setup, &project, roots),
    }
}

fn list(setup: &Setup<'_>, project: &Project) -> Done {
    let lines: Vec<Line> = found(project)?.iter().map(line).collect();
    if setup.output.json {
        print(lines);
        return Ok(());
    }
    if lines.is_empty() {
        setup.output.note("nothing keeps anything in this store");
    }
    let row = |line: &Line| {
        let artifacts = line.artifacts.map_or(String::new(), |number| {
            count(u64::try_from(number).unwrap_or(u64::MAX), "artifact")
        });
        let what = line.lock.clone().or(line.problem.clone()).unwrap_or_default();
        [line.id[..12].to_owned(), artifacts, line.shown.clone(), what]
    };
    output::data(aligned(&lines.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

fn add(setup: &Setup<'_>, project: &Project, lock: Option<&Path>) -> Done {
    let name = lock.filter(|lock| !lock.exists()).and_then(Path::to_str);
    if let Some(name) = name
        && let Ok(id) = choose(&found(project)?, name)
    {
        return add_known(setup, project, id);
    }
    let lock_path = lock.unwrap_or(project.lock_path()).to_owned();
    let project = project.clone().with_lock(lock_path);
    let lock = lock_alone(&project)?;
    let session = setup.session(false, None, None)?;
    let is_new = project.pin(&lock, &session).map_err(|error| Failure::store(&error))?;
    let path = Store::absolute(project.lock_path()).map_err(|error| Failure::store(&error))?;
    let shown = path.display();
    setup.output.note(&if is_new {
        format!("what `{shown}` names is kept")
    } else {
        format!("what `{shown}` names was kept already")
    });
    if setup.output.json {
        let id = Root::id_for(&path);
        print(found(&project)?.iter().filter(|(root, _)| *root == id).map(line).collect());
    }
    Ok(())
}

/// Pins a root that is there: of something that was pulled, or of a lock that is away.
fn add_known(setup: &Setup<'_>, project: &Project, id: Digest) -> Done {
    let roots = found(project)?;
    let Some((_, root)) = roots.into_iter().find(|(known, _)| *known == id) else {
        return Ok(());
    };
    let (root, _) = root.map_err(|error| Failure::store(&error))?;
    let caller = setup.session(false, None, None)?.caller;
    let shown = root.lock.clone();
    let pinned = project.store().pin_known_root(id, root, caller);
    let is_new = pinned.map_err(|error| Failure::store(&error))?;
    let word = if is_new { "is kept" } else { "was kept already" };
    setup.output.note(&format!("what `{shown}` names {word}"));
    if setup.output.json {
        print(found(project)?.iter().filter(|(root, _)| *root == id).map(line).collect());
    }
    Ok(())
}

fn remove(setup: &Setup<'_>, project: &Project, named: &[String]) -> Done {
    let roots = found(project)?;
    let chosen = named.iter().map(|name| choose(&roots, name));
    let chosen: BTreeSet<Digest> = chosen.collect::<Result<_, _>>()?;
    let session = setup.session(false, None, None)?;
    let ids: Vec<Digest> = chosen.iter().copied().collect();
    project.remove_roots(&ids, &session).map_err(|error| Failure::store(&error))?;
    let removed: Vec<Line> = roots.iter().filter(|(id, _)| chosen.contains(id)).map(line).collect();
    for line in &removed {
        let name = line.lock.as_ref().unwrap_or(&line.id);
        setup.output.note(&format!("what `{name}` names is kept no longer; `gc` may take it"));
    }
    if setup.output.json {
        print(removed);
    }
    Ok(())
}

fn found(project: &Project) -> Result<Vec<RootFile>, Failure> {
    project.roots(now()).map_err(|error| Failure::store(&error))
}

/// The root that is meant by the path of its lock, by what was pulled or by the first digits of its id.
fn choose(roots: &[RootFile], name: &str) -> Result<Digest, Failure> {
    let path = Store::absolute(Path::new(name)).map_err(|error| Failure::store(&error))?;
    let by_path = [Root::id_for(&path), Root::id_for(Path::new(name))];
    let is_id = name.len() >= ID_CHARS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let meant = roots.iter().map(|(id, _)| *id).filter(|id| {
        by_path.contains(id) || (is_id && id.hex().starts_with(&name.to_ascii_lowercase()))
    });
    match *meant.collect::<Vec<_>>() {
        [id] => Ok(id),
        [] => {
            let locks = roots.iter().filter_map(|(_, root)| Some(&root.as_ref().ok()?.0.lock));
            Err(Failure::new(Kind::Usage, "unknown-root", format!("there is no root `{name}`"))
                .help(format!("there are: {}", listed(locks))))
        }
        _ => {
            let message = format!("`{name}` begins the ids of several roots");
            Err(Failure::new(Kind::Usage, "ambiguous-root", message)
                .help("give more digits, or the path of the lock"))
        }
    }
}

fn line((id, root): &RootFile) -> Line {
    let id = id.hex();
    match root {
        Ok((root, life)) => Line {
            id,
            lock: Some(root.lock.clone()),
            state: word(*life),
            ends: match *life {
                Life::Expires { at } => Some(at),
                Life::Seen { until } => Some(until),
                Life::Pinned | Life::Lock | Life::Ended => None,
            },
            artifacts: Some(root.wanted.len()),
            last_seen: Some(root.last_seen),
            problem: None,
            shown: state(*life),
        },
        Err(error) => Line {
            id,
            lock: None,
            state: "unreadable",
            ends: None,
            artifacts: None,
            last_seen: None,
            problem: Some(with_causes(error)),
            shown: "unreadable".to_owned(),
        },
    }
}

const fn word(life: Life) -> &'static str {
    match life {
        Life::Pinned => "pinned",
        Life::Lock => "lock",
        Life::Expires { .. } => "expires",
        Life::Seen { .. } => "seen",
        Life::Ended => "ended",
    }
}

fn print(roots: Vec<Line>) {
    output::json(&Report { schema: "sandbox-images/roots/1", roots });
}
