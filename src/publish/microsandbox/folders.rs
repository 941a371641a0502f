//! The directories of a cache, held open.

use std::path::Path;

use crate::publish::error::Error;
use crate::publish::folder::Folder;
use crate::publish::microsandbox::names;

/// The directories of a cache.
#[derive(Debug)]
pub(super) struct Folders {
    root: Folder,
    pub(super) layers: Folder,
    pub(super) fsmeta: Folder,
    pub(super) vmdk: Folder,
    pub(super) manifests: Folder,
}

impl Folders {
    /// Opens those of the cache at `path`, making what is missing.
    pub(super) fn make(path: &Path) -> Result<Self, Error> {
        let root = Folder::make_all(path)?;
        Ok(Self {
            layers: root.make(names::LAYERS)?,
            fsmeta: root.make(names::FSMETA)?,
            vmdk: root.make(names::VMDK)?,
            manifests: root.make(names::MANIFESTS)?,
            root,
        })
    }

    /// Opens those of the cache at `path`. `None` if one is missing.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let Some(root) = Folder::open(path)? else {
            return Ok(None);
        };
        let [layers, fsmeta, vmdk, manifests] =
            [names::LAYERS, names::FSMETA, names::VMDK, names::MANIFESTS]
                .map(|name| root.child(name));
        let (Some(layers), Some(fsmeta), Some(vmdk), Some(manifests)) =
            (layers?, fsmeta?, vmdk?, manifests?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { root, layers, fsmeta, vmdk, manifests }))
    }

    /// Where the cache is, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        self.root.path()
    }
}
