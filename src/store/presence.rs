//! Whether an artifact is there, and whether it is what was committed.

use std::fs::File;

use crate::disk::vmdk::DESCRIPTOR_BYTES_MAX;
use crate::plan::artifact::{Artifact, Inventory};
use crate::store::content::{for_each_piece, has_whole_superblock};
use crate::store::directory::{Directory, Found};
use crate::store::error::{Damage, Error};
use crate::store::layout::{Shelf, Shelves, file_name_of};
use crate::store::record::{RECORD_BYTES_MAX, Record};
use crate::words::with_causes;

/// What is known of an artifact after a look at it: its record, or why it cannot be used.
pub type Verdict = Result<Record, Damage>;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The record, the size, and the superblock's checksum of an EROFS image or all of a disk's text: what
    /// `sync` trusts.
    Quick,
    /// Also every byte: what `verify` does.
    Full,
}

/// Looks at `artifact`, and opens it if it is good. The error is one that says nothing about it.
pub(super) fn examine(
    shelves: &Shelves,
    artifact: Artifact,
    depth: Depth,
) -> Result<Result<(Record, File), Damage>, Error> {
    examine_telling(shelves, artifact, depth, &|_| ())
}

/// As [`examine`], and tells `on_read` how many bytes more were read.
pub(super) fn examine_telling(
    shelves: &Shelves,
    artifact: Artifact,
    depth: Depth,
    on_read: &dyn Fn(u64),
) -> Result<Result<(Record, File), Damage>, Error> {
    let Some(shelf) = shelves.of(artifact) else {
        return Ok(Err(Damage::Missing));
    };
    match look(shelf, artifact, depth, on_read) {
        Ok(seen) => Ok(seen),
        Err(error) if error.is_about_the_file() => {
            Ok(Err(Damage::Unreadable { reason: with_causes(&error) }))
        }
        Err(error) => Err(error),
    }
}

/// Which of `wanted` are there, as far as a quick look tells.
pub(super) fn inventory(
    shelves: &Shelves,
    wanted: impl IntoIterator<Item = Artifact>,
) -> Result<Inventory, Error> {
    let mut present = Inventory::new();
    for artifact in wanted {
        if examine(shelves, artifact, Depth::Quick)?.is_ok() {
            present.insert(artifact);
        }
    }
    Ok(present)
}

fn look(
    shelf: &Shelf,
    artifact: Artifact,
    depth: Depth,
    on_read: &dyn Fn(u64),
) -> Result<Result<(Record, File), Damage>, Error> {
    let record = match read_record(&shelf.records, artifact)? {
        Ok(record) => record,
        Err(damage) => return Ok(Err(damage)),
    };
    let name = file_name_of(artifact);
    let (file, actual) = match shelf.files.find(&name)? {
        Found::Nothing => return Ok(Err(Damage::Missing)),
        Found::Other(found) => return Ok(Err(Damage::Unexpected { found })),
        Found::File(file, size_bytes) => (file, size_bytes),
    };
    if actual != record.size_bytes {
        return Ok(Err(Damage::Size { expected: record.size_bytes, actual }));
    }
    let damage = match depth {
        Depth::Quick => quick_damage(&file, artifact, &record),
        Depth::Full => digest_damage(&file, &record, on_read),
    };
    let damage = damage.map_err(|error| Error::io("read", shelf.files.path_of(&name), error))?;
    Ok(damage.map_or(Ok((record, file)), Err))
}

fn read_record(records: &Directory, artifact: Artifact) -> Result<Verdict, Error> {
    Ok(match records.read(&Record::name_of(artifact), RECORD_BYTES_MAX)? {
        None => Err(Damage::Missing),
        Some(bytes) => Record::parse(&bytes, artifact)
            .map_err(|error| Damage::Unreadable { reason: error.to_string() }),
    })
}

/// What a small read tells. A disk is a text of about 100 bytes a layer, so all of it is a small read.
fn quick_damage(
    file: &File,
    artifact: Artifact,
    record: &Record,
) -> std::io::Result<Option<Damage>> {
    match artifact {
        Artifact::Layer(_) | Artifact::Fsmeta(_) => {
            Ok((!has_whole_superblock(file)?).then_some(Damage::Superblock))
        }
        Artifact::Disk(_) if record.size_bytes <= DESCRIPTOR_BYTES_MAX as u64 => {
            digest_damage(file, record, &|_| ())
        }
        Artifact::Disk(_) | Artifact::Blob(_) => Ok(None),
    }
}

fn digest_damage(
    file: &File,
    record: &Record,
    on_read: &dyn Fn(u64),
) -> std::io::Result<Option<Damage>> {
    let (expected, mut hasher) = (record.content, record.content.hasher());
    for_each_piece(file, record.size_bytes, |bytes| {
        hasher.update(bytes);
        on_read(bytes.len() as u64);
    })?;
    let actual = hasher.finish();
    Ok((actual != expected).then_some(Damage::Digest { expected, actual }))
}
