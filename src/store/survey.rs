//! Survey: all that lies in a store, and who keeps what of it. For those who delete, and for dry runs.
//!
//! Writes nothing. What has a name that this program does not give is not ours, and is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::oci::digest::Digest;
use crate::plan::artifact::{Artifact, FORMAT};
use crate::plan::sweep::{Held, Holdings, Leftover, LeftoverKind};
use crate::store::Store;
use crate::store::directory::{Directory, Facts};
use crate::store::error::Error;
use crate::store::keeper::hex_of;
use crate::store::layout::{Shelf, Shelves, file_name_of, open_version};
use crate::store::lease::{Lease, State, look};
use crate::store::record::Record;
use crate::store::root::{Root, seconds};

/// What lies in a store, and who keeps what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// What could go.
    pub holdings: Holdings,
    /// Every root by its name in `roots/`, alive or not.
    pub roots: BTreeMap<Digest, Root>,
    /// The leases that are held.
    pub leases: Vec<Lease>,
    /// The names in `leases/` of those that are not.
    pub ended_leases: Vec<String>,
}

/// Files of a store that are no artifacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strays {
    /// Those with an artifact's name and no record.
    pub unrecorded: BTreeMap<Leftover, Held>,
    /// How many have a name that this program does not give.
    pub foreign: usize,
}

impl Store {
    /// Looks for what lies among the artifacts and their records, and is neither.
    pub fn strays(&self) -> Result<Strays, Error> {
        let Some(version) = open_version(self.path())? else {
            return Ok(Strays::default());
        };
        let shelves = Shelves::open(self.path())?;
        let mut unrecorded = holdings(&version, &shelves)?.leftovers;
        unrecorded.retain(|leftover, _| leftover.kind == LeftoverKind::Unrecorded);
        let mut foreign = 0;
        for (kind, shelf) in shelves.iter() {
            let is_record = |name: &String| hex_of(name, ".json").is_some();
            let is_file = |name: &String| artifact_of(kind, name).is_some();
            foreign += shelf.records.names()?.iter().filter(|name| !is_record(name)).count();
            foreign += shelf.files.names()?.iter().filter(|name| !is_file(name)).count();
        }
        Ok(Strays { unrecorded, foreign })
    }

    /// Looks at everything. If a single root or lease cannot be read, that is the error: nobody may guess
    /// what it keeps. What others do meanwhile may be seen or not; who deletes asks an
    /// [`ExclusiveStore`](crate::store::exclusive::ExclusiveStore) instead.
    pub fn survey(&self, now: SystemTime) -> Result<Survey, Error> {
        let Some(version) = open_version(self.path())? else {
            return Ok(Survey::default());
        };
        let mut survey = Survey::default();
        for (id, root) in self.root_files()? {
            survey.roots.insert(id, root?);
        }
        if let Some(leases) = version.descend("leases")? {
            for name in leases.names()? {
                match look(&leases, &name, seconds(now))? {
                    State::Held(lease) => survey.leases.push(lease),
                    State::Ended => survey.ended_leases.push(name),
                    State::Foreign => {}
                }
            }
        }
        survey.holdings = holdings(&version, &Shelves::open(self.path())?)?;
        Ok(survey)
    }
}

fn holdings(version: &Directory, shelves: &Shelves) -> Result<Holdings, Error> {
    let mut holdings = Holdings::default();
    let elsewhere = blobs_of_other_formats(version)?;
    for (kind, shelf) in shelves.iter() {
        let recorded = on_shelf(kind, shelf, &mut holdings)?;
        for name in shelf.files.names()? {
            let Some(artifact) = artifact_of(kind, &name) else { continue };
            if !recorded.contains(&artifact) && !elsewhere.contains(&artifact) {
                let path = artifact.path();
                add(&mut holdings, LeftoverKind::Unrecorded, path, shelf.files.facts(&name)?);
            }
        }
    }
    for (kind, folder, is_ours) in FOLDERS {
        let Some(directory) = version.descend(folder)? else { continue };
        for name in directory.names()?.into_iter().filter(|name| is_ours(name)) {
            let facts = directory.facts(&name)?;
            add(&mut holdings, kind, format!("{folder}/{name}"), facts);
        }
    }
    Ok(holdings)
}

/// A kind of leftovers, the folder they lie in, and which names there are ours.
type Folder = (LeftoverKind, &'static str, fn(&str) -> bool);

const FOLDERS: [Folder; 3] = [
    (LeftoverKind::Partial, "partial", |name| hex_of(name, "").is_some()),
    (LeftoverKind::Quarantined, "quarantine", is_quarantined),
    (LeftoverKind::Reference, "refs", |name| hex_of(name, ".json").is_some()),
];

/// Adds what has a record, and answers the names that are taken by one. What has something else than a file
/// for a record is neither an artifact nor left over.
fn on_shelf(
    kind: &str,
    shelf: &Shelf,
    holdings: &mut Holdings,
) -> Result<BTreeSet<Artifact>, Error> {
    let mut recorded = BTreeSet::new();
    for name in shelf.records.names()? {
        let Some(hex) = hex_of(&name, ".json") else { continue };
        let Some(artifact) = parse(kind, hex) else { continue };
        recorded.insert(artifact);
        let Some(record) = shelf.records.facts(&name)?.filter(|facts| facts.is_file) else {
            continue;
        };
        let file = shelf.files.facts(&file_name_of(artifact))?;
        let size_bytes = file.map_or(0, |file| file.size_bytes);
        holdings.artifacts.insert(artifact, Held { size_bytes, used: record.modified });
    }
    Ok(recorded)
}

/// Adds a leftover if it is a file. A symbolic link, a directory or a FIFO is somebody else's.
fn add(holdings: &mut Holdings, kind: LeftoverKind, path: String, facts: Option<Facts>) {
    let Some(facts) = facts.filter(|facts| facts.is_file) else { return };
    // Setting a file aside keeps the time of its bytes.
    let used = if kind == LeftoverKind::Quarantined { facts.changed } else { facts.modified };
    let held = Held { size_bytes: facts.size_bytes, used };
    holdings.leftovers.insert(Leftover { kind, path }, held);
}

/// Blobs are of no format, and their records are of each: what a newer program recorded is not left over.
fn blobs_of_other_formats(version: &Directory) -> Result<BTreeSet<Artifact>, Error> {
    let mut blobs = BTreeSet::new();
    let own = format!("f{FORMAT}");
    for format in version.names()? {
        let number = format.strip_prefix('f').unwrap_or_default();
        let is_format = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if !is_format || format == own {
            continue;
        }
        let Some(records) = version.descend(&format!("{format}/records/blob"))? else { continue };
        let names = records.names()?;
        blobs.extend(names.iter().filter_map(|name| parse("blob", hex_of(name, ".json")?)));
    }
    Ok(blobs)
}

fn parse(kind: &str, hex: &str) -> Option<Artifact> {
    format!("{kind} sha256:{hex}").parse().ok()
}

/// The artifact whose file has this name; `None` for names that this program does not give.
fn artifact_of(kind: &str, name: &str) -> Option<Artifact> {
    let hex = name.split_once('.').map_or(name, |(hex, _)| hex);
    let artifact = parse(kind, hex_of(hex, "")?)?;
    (file_name_of(artifact) == name).then_some(artifact)
}

/// `<kind>-<a file's or record's name>.<run>-<number>`
fn is_quarantined(name: &str) -> bool {
    let Some((kind, rest)) = name.split_once('-') else {
        return false;
    };
    let Some((file, number)) = rest.rsplit_once('.') else {
        return false;
    };
    let hex = file.split_once('.').map_or(file, |(hex, _)| hex);
    let Some(artifact) = hex_of(hex, "").and_then(|hex| parse(kind, hex)) else {
        return false;
    };
    let is_ours = file == file_name_of(artifact) || file == Record::name_of(artifact);
    is_ours && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_that_are_given_here_are_ours() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(artifact_of("layer", &format!("{hex}.erofs")).is_some());
        assert!(artifact_of("blob", &hex).is_some());
        for (kind, name) in [
            ("layer", hex.clone()),
            ("blob", format!("{hex}.erofs")),
            ("disk", "x.vmdk".to_owned()),
        ] {
            assert_eq!(artifact_of(kind, &name), None, "{kind} {name}");
        }
        assert!(is_quarantined(&format!("layer-{hex}.erofs.12-0-3")));
        assert!(is_quarantined(&format!("blob-{hex}.12-0-3")));
        assert!(is_quarantined(&format!("disk-{hex}.json.12-0-3")));
        for name in ["notes.txt", "layer-x.erofs.1-0-1", &format!("layer-{hex}.erofs.mine")] {
            assert!(!is_quarantined(name), "{name}");
        }
    }
}
