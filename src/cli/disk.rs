//! `disk`: an image's disk, in the form that a hypervisor wants. Reads the lock and the store alone.

use std::path::{Path, PathBuf};

use sandbox_images::disk::extents::{Extent, SECTOR_BYTES};
use sandbox_images::engine::disk::{Disk, DiskPart};
use sandbox_images::engine::error::Error;
use sandbox_images::oci::platform::Platform;
use sandbox_images::plan::artifact::Artifact;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::cli::Done;
use crate::cli::args::{Disk as Arguments, DiskFormat};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;
use crate::cli::path::{find, require};
use crate::cli::setup::{Setup, lock_alone, now, platform};

/// What `disk --json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: &'static str,
    image: &'a str,
    platform: &'a Platform,
    format: DiskFormat,
    /// The file that was written, absolute.
    output: Option<PathBuf>,
    /// The VMDK or the table, where it was not written to a file.
    text: Option<String>,
    size_bytes: u64,
    /// The files that are the disk, one behind the other.
    extents: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Part {
    /// Absolute.
    path: PathBuf,
    size_bytes: u64,
}

pub(crate) fn run(setup: &Setup<'_>, wanted: &Arguments) -> Done {
    let project = setup.project()?;
    let lock = lock_alone(&project)?;
    let platform = platform(wanted.platform.as_deref())?;
    let (platform, locked) = find(&lock, &wanted.name, &platform)?;
    let output = wanted.output.as_deref().filter(|path| *path != Path::new("-"));
    let form = form(wanted.format, output)?;
    let failed = |error: Error| Failure::engine(&wanted.name, &error);
    let artifacts = locked.diff_ids().map(Artifact::Layer);
    for artifact in artifacts.chain([Artifact::Fsmeta(locked.chain_id())]) {
        require(&project, &lock, &wanted.name, artifact)?;
    }
    let disk = Disk::open(project.store(), locked.chain_id()).map_err(failed)?;
    let artifact = Artifact::Disk(locked.chain_id());
    project.store().touch(artifact, now()).map_err(|error| Failure::store(&error))?;

    let (size_bytes, extents) = (disk.size_bytes(), disk.extents().iter().map(part).collect());
    let text = setup.block_on(async move {
        // On a thread of its own, so that a signal is heard.
        match spawn_blocking(move || write(&disk, form)).await {
            Ok(written) => written.map_err(failed),
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    })?;
    if setup.output.json {
        output::json(&Answer {
            schema: "sandbox-images/disk/1",
            image: &wanted.name,
            platform,
            format: wanted.format,
            output: output.map(|path| std::path::absolute(path).unwrap_or(path.to_owned())),
            text,
            size_bytes,
            extents,
        });
    } else if let Some(text) = text {
        output::data(&text);
    }
    Ok(())
}

/// A form, and where it goes: to a file, or as text to whoever asked.
#[derive(Debug, Clone)]
enum Form {
    RawTo(PathBuf),
    VmdkTo(PathBuf),
    Vmdk,
    DmTableTo(PathBuf),
    DmTable,
}

fn form(format: DiskFormat, output: Option<&Path>) -> Result<Form, Failure> {
    Ok(match (format, output) {
        (DiskFormat::Raw, Some(file)) => Form::RawTo(file.to_owned()),
        (DiskFormat::Vmdk, Some(file)) => Form::VmdkTo(file.to_owned()),
        (DiskFormat::DmTable, Some(file)) => Form::DmTableTo(file.to_owned()),
        (DiskFormat::Vmdk, None) => Form::Vmdk,
        (DiskFormat::DmTable, None) => Form::DmTable,
        (DiskFormat::Raw, None) => {
            let message = "a raw disk is not printed: its holes would be lost";
            return Err(
                Failure::new(Kind::Usage, "no-output", message).help("name a file with `-o FILE`")
            );
        }
    })
}

/// Writes the disk to its file, or answers the text that is to be printed.
fn write(disk: &Disk, form: Form) -> Result<Option<String>, Error> {
    match form {
        Form::RawTo(file) => disk.write_raw(&file)?,
        Form::VmdkTo(file) => disk.write_vmdk(&file)?,
        Form::DmTableTo(file) => disk.write_text(&file, &disk.dm_table()?)?,
        Form::Vmdk => return disk.absolute_vmdk().map(Some),
        Form::DmTable => return disk.dm_table().map(Some),
    }
    Ok(None)
}

fn part(extent: &Extent<DiskPart>) -> Part {
    let path = extent.file.file.path().to_owned();
    Part { path, size_bytes: extent.sectors * SECTOR_BYTES }
}
