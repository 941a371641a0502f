//! Withdrawing: what was published and is about to be deleted from the store leaves the caches first.
//!
//! A cache's own copies are whole without the store, so nothing here can keep a collection from its work:
//! what is in use, or cannot be removed, stays, noted, for another time: what it was made of is gone then, and
//! nobody wants it. The documents of an image go first, so that nobody finds
//! an image without its files. A layer or metadata go only while their lease is held alone, and only if no
//! document that is left mentions them, whoever wrote it: microsandbox builds on layers that it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::collect::Staying;
use crate::engine::collect::withdrawal::{Withdrawn, WithdrawnFile, WithdrawnWhy};
use crate::oci::digest::Digest;
use crate::plan::artifact::Artifact;
use crate::publish::error::Error;
use crate::publish::folder::Folder;
use crate::publish::microsandbox::folders::Folders;
use crate::publish::microsandbox::lock::{self, Held};
use crate::publish::microsandbox::note::{Note, NotedImage, path};
use crate::publish::microsandbox::{metadata, names};
use crate::store::Store;
use crate::store::exclusive::ExclusiveStore;
use crate::words::with_causes;

pub(super) fn withdraw(
    store: &Store,
    exclusive: &ExclusiveStore,
    staying: &Staying,
) -> Vec<Withdrawn> {
    of_each(store, |id, withdrawn| from_one(exclusive, id, staying, withdrawn))
}

/// What [`withdraw`] would do where nobody uses anything. Takes no lock and writes nothing.
pub(super) fn preview(store: &Store, staying: &Staying) -> Vec<Withdrawn> {
    of_each(store, |id, withdrawn| preview_one(store, id, staying, withdrawn))
}

/// What is to be told of each cache that was published to.
fn of_each(
    store: &Store,
    mut look: impl FnMut(Digest, &mut Withdrawn) -> Result<(), Error>,
) -> Vec<Withdrawn> {
    let unknown = || Withdrawn { cache: store.path().to_owned(), ..Withdrawn::default() };
    let ids = match store.publications() {
        Ok(ids) => ids,
        Err(error) => {
            return vec![Withdrawn { problem: Some(with_causes(&error)), ..unknown() }];
        }
    };
    let mut all = Vec::new();
    for id in ids {
        let mut withdrawn = unknown();
        if let Err(error) = look(id, &mut withdrawn) {
            withdrawn.problem = Some(with_causes(&error));
        }
        all.push(withdrawn);
    }
    let is_told =
        |one: &Withdrawn| !one.removed.is_empty() || !one.kept.is_empty() || one.problem.is_some();
    all.retain(is_told);
    all
}

/// The images of `note` of which something goes, or is gone, and what.
fn leaving(note: &Note, staying: &Staying) -> BTreeMap<Digest, Artifact> {
    let first = |image: &NotedImage| image.artifacts.iter().find(|it| staying.lacks(**it)).copied();
    note.images.iter().filter_map(|(id, image)| Some((*id, first(image)?))).collect()
}

fn from_one(
    exclusive: &ExclusiveStore,
    id: Digest,
    staying: &Staying,
    withdrawn: &mut Withdrawn,
) -> Result<(), Error> {
    let Some(publication) = exclusive.try_publication(id)? else {
        return Ok(());
    };
    let Some(bytes) = publication.read()? else {
        return Ok(());
    };
    let mut note = Note::parse(&bytes, &withdrawn.cache)?;
    withdrawn.cache = note.cache.clone().into();
    let images = leaving(&note, staying);
    if images.is_empty() && note.orphans().is_empty() {
        return Ok(());
    }
    if let Some(folders) = Folders::open(Path::new(&note.cache))? {
        Withdrawing { folders, note: &mut note, withdrawn }.images(images)?;
    } else {
        // Whoever removed the cache removed all that is noted.
        note.files.clear();
        note.images.clear();
    }
    if note.files.is_empty() && note.images.is_empty() {
        publication.remove()?;
    } else {
        publication.write(&note.to_json())?;
    }
    Ok(())
}

fn preview_one(
    store: &Store,
    id: Digest,
    staying: &Staying,
    withdrawn: &mut Withdrawn,
) -> Result<(), Error> {
    let Some(bytes) = store.publication(id)? else {
        return Ok(());
    };
    let mut note = Note::parse(&bytes, &withdrawn.cache)?;
    withdrawn.cache = note.cache.clone().into();
    let Some(folders) = Folders::open(Path::new(&note.cache))? else {
        return Ok(());
    };
    let mut gone = BTreeSet::new();
    for (manifest, artifact) in leaving(&note, staying) {
        for key in note.images.remove(&manifest).unwrap_or_default().keys {
            let name = names::metadata(&key);
            let path = path(names::MANIFESTS, &name);
            if is_as_noted(&folders, &note, &path)? {
                gone.insert(name);
                withdrawn.removed.push(file(path, WithdrawnWhy::ImageGoes { artifact }));
            }
        }
    }
    let mentioned = mentioned(&folders, &gone)?;
    for path in note.orphans() {
        if mentioned.contains(&path) {
            withdrawn.kept.push(file(path, WithdrawnWhy::Mentioned));
        } else if is_as_noted(&folders, &note, &path)? {
            withdrawn.removed.push(file(path, WithdrawnWhy::NoImage));
        }
    }
    Ok(())
}

/// Whether the file at `path` is what was published.
fn is_as_noted(folders: &Folders, note: &Note, path: &str) -> Result<bool, Error> {
    let Some(noted) = note.files.get(path) else {
        return Ok(false);
    };
    let (folder, name) = place_of(folders, path);
    let Some(found) = folder.find(name)? else {
        return Ok(false);
    };
    let has_content = || {
        let has = found.has(noted.digest);
        has.map_err(|error| Error::io("read", folder.path_of(name), error))
    };
    Ok(found.size_bytes == noted.size_bytes && has_content()?)
}

/// The paths of all files that documents mention, but for the documents of these names.
fn mentioned(folders: &Folders, gone: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    let mut paths = BTreeSet::new();
    let all = folders.manifests.names()?;
    let is_document =
        |name: &&String| name.strip_suffix(".json").is_some() && !gone.contains(*name);
    for name in all.iter().filter(is_document) {
        let bytes = folders.manifests.read(name, metadata::BYTES_MAX)?.unwrap_or_default();
        let Some(found) = metadata::mentions(&bytes) else {
            continue;
        };
        if let Ok(manifest) = found.manifest.parse() {
            paths.insert(path(names::FSMETA, &names::fsmeta(manifest)));
            paths.insert(path(names::VMDK, &names::vmdk(manifest)));
        }
        let diff_ids = found.diff_ids.iter().filter_map(|diff_id| diff_id.parse().ok());
        paths.extend(diff_ids.map(|diff_id| path(names::LAYERS, &names::layer(diff_id))));
    }
    Ok(paths)
}

/// The directory of a noted file, and its name there.
fn place_of<'f, 'p>(folders: &'f Folders, path: &'p str) -> (&'f Folder, &'p str) {
    let (folder, name) = path.split_once('/').unwrap_or((names::MANIFESTS, path));
    let folder = match folder {
        names::LAYERS => &folders.layers,
        names::FSMETA => &folders.fsmeta,
        names::VMDK => &folders.vmdk,
        _ => &folders.manifests,
    };
    (folder, name)
}

fn file(path: String, why: WithdrawnWhy) -> WithdrawnFile {
    WithdrawnFile { path, why }
}

struct Withdrawing<'a> {
    folders: Folders,
    note: &'a mut Note,
    withdrawn: &'a mut Withdrawn,
}

/// A file that is to go if nobody mentions it.
struct Candidate {
    path: String,
    // Held until it is gone, or stays.
    _alone: Held,
}

impl Withdrawing<'_> {
    /// Takes these images out, of which that goes.
    fn images(&mut self, images: BTreeMap<Digest, Artifact>) -> Result<(), Error> {
        for (manifest, artifact) in images {
            let mut image = self.note.images.remove(&manifest).unwrap_or_default();
            let mut kept = BTreeSet::new();
            for key in std::mem::take(&mut image.keys) {
                if !self.document(&key, artifact)? {
                    kept.insert(key);
                }
            }
            if !kept.is_empty() {
                image.keys = kept;
                self.note.images.insert(manifest, image);
            }
        }
        let candidates = self.candidates()?;
        let mentioned = mentioned(&self.folders, &BTreeSet::new())?;
        for Candidate { path, _alone } in candidates {
            if mentioned.contains(&path) {
                self.withdrawn.kept.push(file(path, WithdrawnWhy::Mentioned));
            } else {
                self.remove(path, WithdrawnWhy::NoImage)?;
            }
        }
        Ok(())
    }

    /// Removes the document of a key, of whose image `artifact` goes; `false` if it is in use.
    fn document(&mut self, key: &str, artifact: Artifact) -> Result<bool, Error> {
        let manifests = &self.folders.manifests;
        let name = names::metadata(key);
        let path = path(names::MANIFESTS, &name);
        let locks = [
            lock::try_lock(manifests, &names::pull_lock(key))?,
            lock::try_alone(manifests, &name)?,
            lock::try_alone(manifests, &names::gate(key))?,
        ];
        if locks.iter().any(Option::is_none) {
            self.withdrawn.kept.push(file(path, WithdrawnWhy::InUse));
            return Ok(false);
        }
        self.remove(path, WithdrawnWhy::ImageGoes { artifact })?;
        Ok(true)
    }

    /// The files of no image any more that nobody uses.
    fn candidates(&mut self) -> Result<Vec<Candidate>, Error> {
        let mut candidates = Vec::new();
        for path in self.note.orphans() {
            let (folder, name) = place_of(&self.folders, &path);
            match lock::try_alone(folder, name)? {
                Some(alone) => candidates.push(Candidate { path, _alone: alone }),
                None => self.withdrawn.kept.push(file(path, WithdrawnWhy::InUse)),
            }
        }
        Ok(candidates)
    }

    /// Removes a file if it is what was published. In any case it is not ours any more.
    fn remove(&mut self, path: String, why: WithdrawnWhy) -> Result<(), Error> {
        let is_ours = is_as_noted(&self.folders, self.note, &path)?;
        self.note.files.remove(&path);
        if is_ours {
            let (folder, name) = place_of(&self.folders, &path);
            folder.unlink(name)?;
            folder.sync()?;
            self.withdrawn.removed.push(file(path, why));
        }
        Ok(())
    }
}
