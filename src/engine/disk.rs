//! The disk of a stack of layers: its parts in a store, and the forms in which it leaves the store.
//!
//! All forms are the same bytes. A VMDK and a device-mapper table name the store's files, so they hold as
//! long as these do; a raw disk stands alone.

use std::fs::{File, canonicalize};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::disk::dm;
use crate::disk::erofs::layer::LayerImage;
use crate::disk::erofs::reader::Image;
use crate::disk::extents::{Extent, Part, SECTOR_BYTES, stitch};
use crate::disk::file::ReadAt;
use crate::disk::vmdk::Vmdk;
use crate::engine::error::Error;
use crate::engine::raw::copy_data;
use crate::oci::digest::{ChainId, Digest};
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::reader::Reader;
use crate::store::replace::replace;
use crate::store::stored::StoredFile;
use crate::store::unfinished::folder_of;

/// A disk whose parts are in a store, open.
#[derive(Debug)]
pub struct Disk {
    chain_id: ChainId,
    fsmeta: Digest,
    extents: Vec<Extent<DiskPart>>,
}

/// One of the files that make a disk.
#[derive(Debug)]
pub struct DiskPart {
    /// What it is: the fsmeta, or the image of a layer.
    pub artifact: Artifact,
    /// The file.
    pub file: StoredFile,
}

impl Disk {
    /// Opens the parts of the disk of `chain_id`. Each must be as long as the fsmeta says.
    pub fn open(store: &Store, chain_id: ChainId) -> Result<Self, Error> {
        Self::open_by(&store.reader()?, chain_id)
    }

    /// As [`Disk::open`], of a store that is open.
    pub(super) fn open_by(reader: &Reader, chain_id: ChainId) -> Result<Self, Error> {
        let fsmeta = Artifact::Fsmeta(chain_id);
        let file = reader.open(fsmeta)?;
        let digest = file.sha256()?;
        let image = Image::open(file).map_err(|error| Error::Stored(fsmeta, error))?;
        let opened = |Extent { file: artifact, sectors }| {
            let part = DiskPart { artifact, file: reader.open(artifact)? };
            let (expected, actual) = (sectors * SECTOR_BYTES, part.file.record().size_bytes);
            if expected != actual {
                return Err(Error::PartSize { artifact, expected, actual });
            }
            Ok(Extent { file: part, sectors })
        };
        let extents = extents(chain_id, &image)?.into_iter().map(opened);
        let extents = extents.collect::<Result<_, Error>>()?;
        Ok(Self { chain_id, fsmeta: digest, extents })
    }

    /// The files, one behind the other.
    pub fn extents(&self) -> &[Extent<DiskPart>] {
        &self.extents
    }

    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.sectors * SECTOR_BYTES).sum()
    }

    /// The VMDK whose extents have the names that `name` gives the parts.
    pub fn vmdk(&self, name: impl Fn(&DiskPart) -> String) -> Result<String, Error> {
        vmdk(self.chain_id, self.fsmeta, self.named(name))
    }

    /// The VMDK whose extents are absolute paths.
    pub fn absolute_vmdk(&self) -> Result<String, Error> {
        self.vmdk(|part| text_of(part.file.path()))
    }

    /// The device-mapper table, in which absolute paths stand for the devices.
    pub fn dm_table(&self) -> Result<String, Error> {
        let extents = self.named(|part| text_of(part.file.path()));
        dm::table(&extents).map_err(|error| Error::DmTable(Artifact::Disk(self.chain_id), error))
    }

    /// Makes `target` a VMDK whose extents are relative to it, so that the two can be moved together with
    /// the store.
    pub fn write_vmdk(&self, target: &Path) -> Result<(), Error> {
        let not_written = |source| Error::Output { path: target.to_owned(), source };
        let folder = canonicalize(folder_of(target)).map_err(not_written)?;
        let text = self.vmdk(|part| {
            let path = canonicalize(part.file.path());
            text_of(&relative_to(&folder, &path.unwrap_or_else(|_| part.file.path().to_owned())))
        })?;
        self.write_text(target, &text)
    }

    /// Makes `target` a file that holds `text`, one of this disk's forms.
    pub fn write_text(&self, target: &Path, text: &str) -> Result<(), Error> {
        replace(target, |file| file.write_all(text.as_bytes()))
            .map_err(|source| Error::Output { path: target.to_owned(), source })
    }

    /// Makes `target` the disk in one piece. Holes stay holes, and blocks are shared with the store where
    /// the file system can.
    pub fn write_raw(&self, target: &Path) -> Result<(), Error> {
        replace(target, |file| self.fill(file))
            .map_err(|source| Error::Output { path: target.to_owned(), source })
    }

    fn fill(&self, file: &File) -> io::Result<()> {
        file.set_len(self.size_bytes())?;
        let mut start = 0;
        for Extent { file: part, sectors } in &self.extents {
            let size_bytes = sectors * SECTOR_BYTES;
            copy_data(&part.file, size_bytes, file, start)?;
            start += size_bytes;
        }
        Ok(())
    }

    fn named(&self, name: impl Fn(&DiskPart) -> String) -> Vec<Extent<String>> {
        let named = |extent: &Extent<DiskPart>| Extent {
            file: name(&extent.file),
            sectors: extent.sectors,
        };
        self.extents.iter().map(named).collect()
    }
}

/// The files of the disk of `chain_id`, whose fsmeta is this image, one behind the other.
pub(super) fn extents<R: ReadAt>(
    chain_id: ChainId,
    fsmeta: &Image<R>,
) -> Result<Vec<Extent<Artifact>>, Error> {
    let layers = fsmeta.devices().iter().map(LayerImage::from);
    let extents = stitch(fsmeta.superblock().blocks, layers)
        .map_err(|error| Error::TooLong(Artifact::Disk(chain_id), error))?;
    let named = |Extent { file, sectors }| {
        let artifact = match file {
            Part::Fsmeta => Artifact::Fsmeta(chain_id),
            Part::Layer(diff_id) => Artifact::Layer(diff_id),
        };
        Extent { file: artifact, sectors }
    };
    Ok(extents.into_iter().map(named).collect())
}

/// The VMDK of the disk of `chain_id`, whose fsmeta has this digest.
pub(super) fn vmdk(
    chain_id: ChainId,
    fsmeta: Digest,
    extents: Vec<Extent<String>>,
) -> Result<String, Error> {
    let vmdk = Vmdk::new(&fsmeta, extents);
    vmdk.render().map_err(|error| Error::Vmdk(Artifact::Disk(chain_id), error))
}

/// A path as text. What is not UTF-8 becomes a character that no form accepts.
fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The way from the directory `from` to `to`, both absolute and without symlinks.
fn relative_to(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_goes_up_to_what_is_common_and_down_again() {
        let way = |from: &str, to: &str| text_of(&relative_to(Path::new(from), Path::new(to)));
        assert_eq!(way("/a/out", "/a/store/v1/x"), "../store/v1/x");
        assert_eq!(way("/", "/store/x"), "store/x");
        assert_eq!(way("/a/b", "/a/b/x"), "x");
        assert_eq!(way("/a/bc", "/a/b/x"), "../b/x");
    }
}
