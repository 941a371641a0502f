//! Withdrawing: what was published and is about to be deleted from the store leaves the caches first.
//!
//! A cache's own copies are whole without the store, so nothing here can keep a collection from its work:
//! what is in use, or cannot be removed, stays, noted, for another time: what it was made of is gone then, and
//! nobody wants it. The documents of an image go first, so that nobody finds
//! an image without its files. A layer or metadata go only while their lease is held alone, and only if no
//! document that is left mentions them, whoever wrote it: microsandbox builds on layers that it finds.

use std::collections::BTreeSet;
use std::path::Path;

use crate::engine::collect::{Staying, Withdrawn};
use crate::oci::digest::Digest;
use crate::publish::error::Error;
use crate::publish::folder::Folder;
use crate::publish::microsandbox::copy::digest_of;
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
    let ids = match store.publications() {
        Ok(ids) => ids,
        Err(error) => {
            let problem = Some(with_causes(&error));
            return vec![Withdrawn {
                problem,
                cache: store.path().to_owned(),
                ..Withdrawn::default()
            }];
        }
    };
    let mut all = Vec::new();
    for id in ids {
        let mut withdrawn = Withdrawn { cache: store.path().to_owned(), ..Withdrawn::default() };
        if let Err(error) = from_one(exclusive, id, staying, &mut withdrawn) {
            withdrawn.problem = Some(with_causes(&error));
        }
        all.push(withdrawn);
    }
    let is_told =
        |one: &Withdrawn| !one.removed.is_empty() || !one.kept.is_empty() || one.problem.is_some();
    all.retain(is_told);
    all
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
    let is_going = |image: &NotedImage| image.artifacts.iter().any(|it| staying.lacks(*it));
    let images: Vec<Digest> =
        note.images.iter().filter(|(_, image)| is_going(image)).map(|(id, _)| *id).collect();
    if images.is_empty() && note.orphans().is_empty() {
        return Ok(());
    }
    if let Some(folders) = Folders::open(Path::new(&note.cache))? {
        Withdrawing { folders, note: &mut note, withdrawn }.images(&images)?;
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
    fn images(&mut self, images: &[Digest]) -> Result<(), Error> {
        for manifest in images {
            let mut image = self.note.images.remove(manifest).unwrap_or_default();
            let mut kept = BTreeSet::new();
            for key in std::mem::take(&mut image.keys) {
                if !self.document(&key)? {
                    kept.insert(key);
                }
            }
            if !kept.is_empty() {
                image.keys = kept;
                self.note.images.insert(*manifest, image);
            }
        }
        let candidates = self.candidates()?;
        let mentioned = self.mentioned()?;
        for Candidate { path, _alone } in candidates {
            if mentioned.contains(&path) {
                self.withdrawn.kept.push(path);
            } else {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes the document of a key; `false` if it is in use.
    fn document(&mut self, key: &str) -> Result<bool, Error> {
        let manifests = &self.folders.manifests;
        let name = names::metadata(key);
        let locks = [
            lock::try_lock(manifests, &names::pull_lock(key))?,
            lock::try_alone(manifests, &name)?,
            lock::try_alone(manifests, &names::gate(key))?,
        ];
        if locks.iter().any(Option::is_none) {
            self.withdrawn.kept.push(path(names::MANIFESTS, &name));
            return Ok(false);
        }
        self.remove(&path(names::MANIFESTS, &name))?;
        Ok(true)
    }

    /// The files of no image any more that nobody uses.
    fn candidates(&mut self) -> Result<Vec<Candidate>, Error> {
        let mut candidates = Vec::new();
        for path in self.note.orphans() {
            let (folder, name) = self.place_of(&path);
            match lock::try_alone(folder, name)? {
                Some(alone) => candidates.push(Candidate { path, _alone: alone }),
                None => self.withdrawn.kept.push(path),
            }
        }
        Ok(candidates)
    }

    /// The paths of all files that documents mention.
    fn mentioned(&self) -> Result<BTreeSet<String>, Error> {
        let manifests = &self.folders.manifests;
        let mut paths = BTreeSet::new();
        let names = manifests.names()?;
        for name in names.iter().filter(|name| name.strip_suffix(".json").is_some()) {
            let bytes = manifests.read(name, metadata::BYTES_MAX)?.unwrap_or_default();
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

    /// Removes a file if it is what was published. In any case it is not ours any more.
    fn remove(&mut self, path: &str) -> Result<(), Error> {
        let Some(noted) = self.note.files.remove(path) else {
            return Ok(());
        };
        let (folder, name) = self.place_of(path);
        let Some(found) = folder.find(name)? else {
            return Ok(());
        };
        let digest =
            digest_of(&found).map_err(|error| Error::io("read", folder.path_of(name), error))?;
        if (found.size_bytes, digest) == (noted.size_bytes, noted.digest) {
            folder.unlink(name)?;
            folder.sync()?;
            self.withdrawn.removed.push(path.to_owned());
        }
        Ok(())
    }

    /// The directory of a noted file, and its name there.
    fn place_of<'p>(&self, path: &'p str) -> (&Folder, &'p str) {
        let (folder, name) = path.split_once('/').unwrap_or((names::MANIFESTS, path));
        let folder = match folder {
            names::LAYERS => &self.folders.layers,
            names::FSMETA => &self.folders.fsmeta,
            names::VMDK => &self.folders.vmdk,
            _ => &self.folders.manifests,
        };
        (folder, name)
    }
}
