//! Layers handed to other programs: one file or one directory a layer, where the caller wants them.
//!
//! An entry is named after its layer's `diff_id`, so that it serves every image that has the layer. It appears
//! when it is complete and durable, and one that is there is used again.

mod attributes;

mod unpack;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;

use crate::disk::erofs::reader::Image;
use crate::engine::error::Error;
use crate::engine::layers_dir::unpack::unpack;
use crate::engine::raw::copy_data;
use crate::oci::digest::DiffId;
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::replace::{fill_directory, link, make_directory, replace};
use crate::store::stored::StoredFile;
use crate::store::unfinished::sweep_parts;

/// What a layer is handed out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayersFormat {
    /// The EROFS image, `<hex>.erofs`: the store's own file where it lies on the same file system, else a copy.
    Erofs,
    /// A directory, `<hex>`, with whiteouts as overlayfs has them.
    Dir,
}

/// A layer that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOut {
    /// The layer.
    pub diff_id: DiffId,
    /// Where it is.
    pub path: PathBuf,
    /// What the directory lacks because this user or its file system does not allow it, a clause each.
    pub warnings: Vec<String>,
}

/// Puts `layer`, which is in `store`, into the directory `into`, which is made if need be.
pub fn hand_out(
    store: &Store,
    layer: DiffId,
    into: &Path,
    format: LayersFormat,
) -> Result<HandedOut, Error> {
    let artifact = Artifact::Layer(layer);
    let file = store.open(artifact)?;
    let name = layer.0.hex();
    let path = match format {
        LayersFormat::Erofs => into.join(format!("{name}.erofs")),
        LayersFormat::Dir => into.join(name),
    };
    let not_written = |source| Error::Output { path: path.clone(), source };
    make_directory(into).map_err(not_written)?;
    sweep_parts(&path);
    let warnings = match format {
        LayersFormat::Erofs => link_or_copy(&file, &path).map(|()| Vec::new()),
        LayersFormat::Dir => {
            let image = Image::open(file).map_err(|error| Error::Stored(artifact, error))?;
            unpack_beside(&image, artifact, &path)?
        }
    };
    Ok(HandedOut { diff_id: layer, warnings: warnings.map_err(not_written)?, path })
}

/// Makes `target` the file, or one with the same bytes. What is there and is no regular file is left alone and
/// is an error.
fn link_or_copy(file: &StoredFile, target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(there) if !there.is_file() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no regular file"));
        }
        Ok(there) => {
            let own = fstat(file)?;
            if (there.dev(), there.ino()) == (own.st_dev, own.st_ino) || has_bytes_of(target, file)?
            {
                return Ok(());
            }
        }
        Err(_) => {
            if link(file.path(), target)? {
                return Ok(());
            }
        }
    }
    let size_bytes = file.record().size_bytes;
    replace(target, |copy| {
        copy.set_len(size_bytes)?;
        copy_data(file, size_bytes, copy, 0)
    })
}

fn has_bytes_of(target: &Path, file: &StoredFile) -> io::Result<bool> {
    let there = File::open(target)?;
    let size_bytes = file.record().size_bytes;
    if there.metadata()?.len() != size_bytes {
        return Ok(false);
    }
    file.record().content.is_of(there.take(size_bytes))
}

/// Makes `target` the directory of the layer, unless it is there. The error inside is of the directory, the
/// other of the layer's image.
fn unpack_beside(
    image: &Image<StoredFile>,
    artifact: Artifact,
    target: &Path,
) -> Result<io::Result<Vec<String>>, Error> {
    if fs::symlink_metadata(target).is_ok_and(|there| there.is_dir()) {
        return Ok(Ok(Vec::new()));
    }
    let tree = image.tree(0).map_err(|error| Error::Stored(artifact, error))?;
    let filled = fill_directory(target, |folder| unpack(image, &tree, &File::open(folder)?));
    Ok(match filled {
        // Others have filled it meanwhile.
        Err(error) if is_taken(&error) => Ok(Vec::new()),
        filled => filled,
    })
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}
