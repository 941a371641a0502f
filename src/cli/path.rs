//! `path`: the launcher's question. Reads the lock and the store, and asks no network. It never waits, but
//! with `--lease-pid` for who is deleting right now: what that one takes must not be answered.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use sandbox_images::engine::error::Error;
use sandbox_images::oci::document::config::ImageConfig;
use sandbox_images::oci::document::parsed::{CONFIG_BYTES_MAX, Parsed as _};
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::project::{Project, Session};
use sandbox_images::spec::lockfile::{Lock, LockedPlatform};
use sandbox_images::store::process::Process;
use sandbox_images::words::listed;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::args::{FileKind, Path};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::setup::{Setup, lock_alone, now, platform};

/// What `path --json` prints: all that a launcher needs.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: &'static str,
    image: &'a str,
    platform: &'a Platform,
    /// Absolute paths.
    disk: PathBuf,
    fsmeta: PathBuf,
    /// Bottom to top.
    layers: Vec<PathBuf>,
    env: Vec<String>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    user: String,
    workdir: String,
}

pub(crate) fn run(setup: &Setup<'_>, path: &Path) -> Done {
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let wanted = platform(path.platform.as_deref())?;
    let (platform, locked) = find(&lock, &path.name, &wanted)?;
    let chain_id = locked.chain_id();
    let (disk, fsmeta) = (Artifact::Disk(chain_id), Artifact::Fsmeta(chain_id));
    let layers: Vec<Artifact> = locked.diff_ids().map(Artifact::Layer).collect();
    let all = [&[disk, fsmeta], &layers[..]].concat();
    for artifact in &all {
        require(&project, &lock, &path.name, *artifact)?;
    }
    if let Some(pid) = path.lease_pid {
        lease(setup, &project, pid, &all)?;
    }
    for artifact in &all {
        project.store().touch(*artifact, now()).map_err(|error| Failure::store(&error))?;
    }
    let file = |artifact| project.store().path_of(artifact);
    let (disk, fsmeta, layers) = (file(disk), file(fsmeta), layers.into_iter().map(file).collect());
    if setup.output.json {
        let schema = "sandbox-images/path/1";
        let ImageConfig { env, entrypoint, cmd, user, working_dir: workdir, .. } =
            config(&project, locked)?;
        let image = &path.name;
        output::json(&Answer {
            schema,
            image,
            platform,
            disk,
            fsmeta,
            layers,
            env,
            entrypoint,
            cmd,
            user,
            workdir,
        });
        return Ok(());
    }
    let files = match path.kind {
        FileKind::Disk => vec![disk],
        FileKind::Fsmeta => vec![fsmeta],
        FileKind::Layers => layers,
    };
    for file in files {
        output::data([file.as_os_str().as_bytes(), b"\n"].concat());
    }
    Ok(())
}

/// Fails if `artifact` of the image `name` is not there, or not what the lock says.
pub(crate) fn require(project: &Project, lock: &Lock, name: &str, artifact: Artifact) -> Done {
    match project.open(lock, artifact) {
        Ok(_) => Ok(()),
        Err(Error::Store(error)) => Err(Failure::store(&error)),
        Err(error) => Err(Failure::engine(name, &error)),
    }
}

/// Keeps what is `wanted` for as long as the process `pid` lives.
fn lease(
    setup: &Setup<'_>,
    project: &Project,
    pid: u32,
    wanted: &[Artifact],
) -> Result<(), Failure> {
    let process = Process::find(pid).map_err(|error| Failure::store(&error))?;
    let process = process.ok_or_else(|| {
        Failure::new(Kind::Usage, "no-process", format!("there is no process {pid}"))
            .help("give the number of the process that uses the disk, while it runs")
    })?;
    let Session { now, caller, .. } = setup.session(false, None, None)?;
    let leased = project.store().lease(&process, wanted, now, caller);
    leased.map_err(|error| Failure::store(&error))
}

/// What the lock has for the image `name`: for the platform itself, or the best whose programs run on it.
pub(crate) fn find<'l>(
    lock: &'l Lock,
    name: &str,
    wanted: &Platform,
) -> Result<(&'l Platform, &'l LockedPlatform), Failure> {
    let Some(image) = lock.image(name) else {
        let names = listed(lock.images().map(|(name, _)| name));
        let message = format!("there is no image `{name}` in the lock");
        return Err(
            Failure::new(Kind::Usage, "unknown-image", message).help(format!("there is {names}"))
        );
    };
    let locked =
        wanted.compatible().into_iter().find_map(|one| image.platforms.get_key_value(&one));
    locked.ok_or_else(|| {
        let message = format!("image `{name}` is not locked for {wanted}");
        Failure::new(Kind::Usage, "no-platform", message)
            .help(format!("it is locked for {}", listed(image.platforms.keys())))
    })
}

fn config(project: &Project, locked: &LockedPlatform) -> Result<ImageConfig, Failure> {
    let bytes = project
        .store()
        .read_blob(locked.config.digest, CONFIG_BYTES_MAX)
        .map_err(|error| Failure::store(&error))?;
    ImageConfig::parse(&bytes, None).map_err(|error| Failure::of(Kind::Integrity, "config", &error))
}
