//! Publishing one image: what of it is there, and how the rest gets there.

use std::io;

use crate::disk::erofs::portable::{Portable, portable};
use crate::disk::erofs::reader::Image as ErofsImage;
use crate::oci::digest::{DiffId, Digest};
use crate::plan::artifact::Artifact;
use crate::publish::error::Error;
use crate::publish::folder::{Folder, Part};
use crate::publish::microsandbox::content::Content;
use crate::publish::microsandbox::copy::{copy_of, digest_of_part, put};
use crate::publish::microsandbox::folders::Folders;
use crate::publish::microsandbox::lock::{self, Held};
use crate::publish::microsandbox::note::{Note, NotedFile, path};
use crate::publish::microsandbox::{Published, metadata, names};
use crate::store::guard::Caller;
use crate::store::publication::Publication;
use crate::store::stored::StoredFile;

/// What is there under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    /// What should be there.
    Right,
    /// Ours, and not as it was published, or of another build.
    Stale,
    /// Somebody else's, with other bytes.
    Foreign,
}

/// An image on its way into a cache.
#[derive(Debug)]
pub(super) struct Placing<'a> {
    folders: &'a Folders,
    content: &'a Content,
    note: Note,
    caller: &'a Caller,
}

/// A layer that is not there yet.
enum Layer<'a> {
    /// It will be the store's file.
    Stored(&'a StoredFile),
    /// It is another one, and full.
    Altered(Part<'a>),
}

impl<'a> Placing<'a> {
    pub(super) fn new(
        folders: &'a Folders,
        content: &'a Content,
        note: Note,
        caller: &'a Caller,
    ) -> Self {
        Self { folders, content, note, caller }
    }

    /// Whether everything is there.
    pub(super) fn is_done(&self) -> Result<bool, Error> {
        let are_files = self.is_microsandboxs_own()? || self.are_files_right()?;
        Ok(are_files && self.missing_keys()?.is_empty())
    }

    /// Puts there what is not.
    pub(super) fn place(mut self, publication: &Publication<'_>) -> Result<Published, Error> {
        let Folders { manifests, .. } = self.folders;
        let mut held = Vec::new();
        for key in self.content.keys() {
            held.push(lock::lock(manifests, &names::pull_lock(&key), self.caller)?);
        }
        self.remove_stale()?;
        held.extend(self.lease()?);
        held.extend(self.lock_makers()?);
        let mut published =
            Published { references: self.content.references.clone(), ..Published::default() };
        let mut layers = Vec::new();
        let is_own = self.is_microsandboxs_own()?;
        if !is_own {
            self.refuse_foreign()?;
            layers = self.missing_layers()?;
            self.note_files()?;
        }
        let keys = self.missing_keys()?;
        let document = self.content.metadata.as_slice();
        for key in &keys {
            self.note_bytes(path(names::MANIFESTS, &names::metadata(key)), document);
        }
        self.note.add_image(self.content.manifest, self.content.noted());
        publication.write(&self.note.to_json())?;
        if !is_own {
            self.place_files(layers, &mut published)?;
        }
        for key in &keys {
            let _gate = lock::close(manifests, &names::gate(key), self.caller)?;
            manifests.write(&names::metadata(key), document)?;
        }
        published.changed = true;
        Ok(published)
    }

    /// Removes what is ours and not right, unless it is in use.
    fn remove_stale(&self) -> Result<(), Error> {
        let Folders { layers, fsmeta, vmdk, .. } = self.folders;
        let mut stale = Vec::new();
        for (&diff_id, stored) in &self.content.layers {
            if self.state_of_layer(diff_id, stored)? == State::Stale {
                stale.push((layers, names::layer(diff_id)));
            }
        }
        if self.state_of_fsmeta()? == State::Stale {
            stale.push((fsmeta, names::fsmeta(self.content.manifest)));
        }
        if self.state_of_vmdk()? == State::Stale {
            stale.push((vmdk, names::vmdk(self.content.manifest)));
        }
        for (folder, name) in stale {
            let Some(_alone) = lock::try_alone(folder, &name)? else {
                let waited = std::time::Duration::ZERO;
                return Err(Error::Busy { path: folder.path_of(&name), waited });
            };
            folder.unlink(&name)?;
            folder.sync()?;
        }
        Ok(())
    }

    /// The leases of all that is published.
    fn lease(&self) -> Result<Vec<Held>, Error> {
        let Folders { layers, fsmeta, vmdk, manifests, .. } = self.folders;
        let manifest = self.content.manifest;
        let mut entries = vec![(fsmeta, names::fsmeta(manifest))];
        entries.extend(self.content.layers.keys().map(|&id| (layers, names::layer(id))));
        entries.extend(self.content.keys().iter().map(|key| (manifests, names::metadata(key))));
        entries.push((vmdk, names::vmdk(manifest)));
        entries.iter().map(|(folder, name)| lock::lease(folder, name, self.caller)).collect()
    }

    /// The locks of those who would make the same layers and metadata.
    fn lock_makers(&self) -> Result<Vec<Held>, Error> {
        let Folders { layers, fsmeta, .. } = self.folders;
        let mut held = Vec::new();
        for &diff_id in self.content.layers.keys() {
            let name = names::making_lock(&names::layer(diff_id));
            held.push(lock::lock(layers, &name, self.caller)?);
        }
        let name = names::making_lock(&names::fsmeta(self.content.manifest));
        held.push(lock::lock(fsmeta, &name, self.caller)?);
        Ok(held)
    }

    /// Whether microsandbox made the image itself, and all of it is there.
    fn is_microsandboxs_own(&self) -> Result<bool, Error> {
        let Folders { layers, vmdk, .. } = self.folders;
        let disk = names::vmdk(self.content.manifest);
        if self.state_of_fsmeta()? != State::Foreign || vmdk.find(&disk)?.is_none() {
            return Ok(false);
        }
        for &diff_id in self.content.layers.keys() {
            if layers.find(&names::layer(diff_id))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn are_files_right(&self) -> Result<bool, Error> {
        for (&diff_id, stored) in &self.content.layers {
            if self.state_of_layer(diff_id, stored)? != State::Right {
                return Ok(false);
            }
        }
        Ok(self.state_of_fsmeta()? == State::Right && self.state_of_vmdk()? == State::Right)
    }

    fn state_of_layer(&self, diff_id: DiffId, stored: &StoredFile) -> Result<State, Error> {
        self.state_of(names::LAYERS, &self.folders.layers, &names::layer(diff_id), stored)
    }

    fn state_of_fsmeta(&self) -> Result<State, Error> {
        let Content { manifest, fsmeta, .. } = self.content;
        self.state_of(names::FSMETA, &self.folders.fsmeta, &names::fsmeta(*manifest), fsmeta)
    }

    /// What is there instead of an EROFS image of the store.
    fn state_of(
        &self,
        folder_name: &str,
        folder: &Folder,
        name: &str,
        stored: &StoredFile,
    ) -> Result<State, Error> {
        let Some(found) = folder.find(name)? else {
            return Ok(State::Missing);
        };
        let wrong = |error: io::Error| Error::io("read", folder.path_of(name), error);
        let stat = rustix::fs::fstat(stored).map_err(|error| wrong(error.into()))?;
        if found.identity == (stat.st_dev, stat.st_ino) {
            return Ok(State::Right);
        }
        let record = stored.record();
        if let Some(noted) = self.note.files.get(&path(folder_name, name)) {
            let is_as_noted = noted.of == record.content && noted.size_bytes == found.size_bytes;
            let is_right = is_as_noted && ErofsImage::open(&found).is_ok();
            return Ok(if is_right { State::Right } else { State::Stale });
        }
        let is_same =
            found.size_bytes == record.size_bytes && found.has(record.content).map_err(wrong)?;
        Ok(if is_same { State::Right } else { State::Foreign })
    }

    /// What is there instead of the disk. A disk of anybody's goes with the metadata that it names.
    fn state_of_vmdk(&self) -> Result<State, Error> {
        let name = names::vmdk(self.content.manifest);
        let expected = self.content.vmdk.as_bytes();
        let Some(found) = self.folders.vmdk.find(&name)? else {
            return Ok(State::Missing);
        };
        if found.size_bytes == expected.len() as u64
            && self.folders.vmdk.read(&name, found.size_bytes)?.as_deref() == Some(expected)
        {
            return Ok(State::Right);
        }
        let is_foreign = self.state_of_fsmeta()? == State::Foreign;
        Ok(if is_foreign { State::Foreign } else { State::Stale })
    }

    fn refuse_foreign(&self) -> Result<(), Error> {
        let Folders { layers, fsmeta, .. } = self.folders;
        for (&diff_id, stored) in &self.content.layers {
            if self.state_of_layer(diff_id, stored)? == State::Foreign {
                return Err(Error::Conflict { path: layers.path_of(&names::layer(diff_id)) });
            }
        }
        if self.state_of_fsmeta()? == State::Foreign {
            let name = names::fsmeta(self.content.manifest);
            return Err(Error::Conflict { path: fsmeta.path_of(&name) });
        }
        Ok(())
    }

    /// The layers that are not there, of which the altered ones are noted and full.
    fn missing_layers(&mut self) -> Result<Vec<(DiffId, Layer<'a>)>, Error> {
        let mut missing = Vec::new();
        let content = self.content;
        for (&diff_id, stored) in &content.layers {
            if self.state_of_layer(diff_id, stored)? == State::Right {
                continue;
            }
            let artifact = Artifact::Layer(diff_id);
            let wrong = |error| Error::Layer(artifact, error);
            let Portable { patches, has_lower_links } =
                ErofsImage::open(stored).and_then(|image| portable(&image)).map_err(wrong)?;
            if has_lower_links {
                return Err(Error::LowerLink(artifact));
            }
            let name = names::layer(diff_id);
            let (layer, noted) = if patches.is_empty() {
                (Layer::Stored(stored), whole(stored))
            } else {
                let part = copy_of(stored, &self.folders.layers, &name, &patches)?;
                let digest = digest_of_part(&part, stored.record().size_bytes)?;
                let noted = NotedFile { digest: digest.into(), ..whole(stored) };
                (Layer::Altered(part), noted)
            };
            self.note.files.insert(path(names::LAYERS, &name), noted);
            missing.push((diff_id, layer));
        }
        Ok(missing)
    }

    /// Notes the metadata and the disk, where they are not there.
    fn note_files(&mut self) -> Result<(), Error> {
        let Content { manifest, fsmeta, vmdk, .. } = self.content;
        if self.state_of_fsmeta()? == State::Missing {
            let path = path(names::FSMETA, &names::fsmeta(*manifest));
            self.note.files.insert(path, whole(fsmeta));
        }
        if self.state_of_vmdk()? == State::Missing {
            self.note_bytes(path(names::VMDK, &names::vmdk(*manifest)), vmdk.as_bytes());
        }
        Ok(())
    }

    fn note_bytes(&mut self, path: String, bytes: &[u8]) {
        let noted = NotedFile::whole(bytes.len() as u64, Digest::of(bytes).into());
        self.note.files.insert(path, noted);
    }

    fn place_files(
        &self,
        missing: Vec<(DiffId, Layer<'_>)>,
        published: &mut Published,
    ) -> Result<(), Error> {
        let Folders { layers, fsmeta, vmdk, .. } = self.folders;
        for (diff_id, layer) in missing {
            match layer {
                Layer::Stored(stored) => {
                    put(stored, layers, &names::layer(diff_id), published)?;
                }
                Layer::Altered(part) => {
                    part.seal()?;
                    published.altered += 1;
                }
            }
        }
        if self.state_of_fsmeta()? == State::Missing {
            let name = names::fsmeta(self.content.manifest);
            put(&self.content.fsmeta, fsmeta, &name, published)?;
        }
        if self.state_of_vmdk()? == State::Missing {
            vmdk.write(&names::vmdk(self.content.manifest), self.content.vmdk.as_bytes())?;
        }
        Ok(())
    }

    /// The keys whose documents are to be written. One that microsandbox wrote of the same manifest stays.
    fn missing_keys(&self) -> Result<Vec<String>, Error> {
        let manifest = self.content.manifest.to_string();
        let mut missing = Vec::new();
        for key in self.content.keys() {
            let name = names::metadata(&key);
            let there = self.folders.manifests.read(&name, metadata::BYTES_MAX)?;
            let is_there = there.is_some_and(|bytes| {
                let is_ours = self.note.files.contains_key(&path(names::MANIFESTS, &name));
                let mentioned = metadata::mentions(&bytes);
                bytes == self.content.metadata
                    || !is_ours && mentioned.is_some_and(|found| found.manifest == manifest)
            });
            if !is_there {
                missing.push(key);
            }
        }
        Ok(missing)
    }
}

fn whole(stored: &StoredFile) -> NotedFile {
    NotedFile::whole(stored.record().size_bytes, stored.record().content)
}
