//! A store whose directories are open, to look at many artifacts.

use std::fs::File;
use std::path::PathBuf;

use crate::oci::digest::Digest;
use crate::plan::artifact::{Artifact, Inventory};
use crate::store::error::{Damage, Error};
use crate::store::layout::{self, Shelves, file_name_of};
use crate::store::presence::{self, Depth, Verdict, examine};
use crate::store::record::Record;
use crate::store::stored::StoredFile;

/// Reads artifacts. It sees what comes into the directories that were there when it was made, and no others.
#[derive(Debug)]
pub struct Reader {
    store: PathBuf,
    shelves: Shelves,
}

impl Reader {
    pub(super) fn open_store(store: PathBuf) -> Result<Self, Error> {
        Ok(Self { shelves: Shelves::open(&store)?, store })
    }

    pub(super) const fn shelves(&self) -> &Shelves {
        &self.shelves
    }

    /// Which of `wanted` are there: with a good record, a regular file of the recorded size and, for an
    /// EROFS image, a superblock that fits its checksum. A store that does not exist holds nothing.
    pub fn inventory(
        &self,
        wanted: impl IntoIterator<Item = Artifact>,
    ) -> Result<Inventory, Error> {
        presence::inventory(&self.shelves, wanted)
    }

    /// Looks at `artifact` as closely as [`Reader::inventory`] does.
    pub fn look(&self, artifact: Artifact) -> Result<Verdict, Error> {
        Ok(examine(&self.shelves, artifact, Depth::Quick)?.map(|(record, _)| record))
    }

    /// Opens `artifact`, if it is there as [`Reader::inventory`] means it.
    pub fn open(&self, artifact: Artifact) -> Result<StoredFile, Error> {
        self.opened(artifact, examine(&self.shelves, artifact, Depth::Quick)?)
    }

    /// Opens `artifact`, if it is there and every byte is as its record says.
    pub fn open_whole(&self, artifact: Artifact) -> Result<StoredFile, Error> {
        self.opened(artifact, examine(&self.shelves, artifact, Depth::Full)?)
    }

    /// Reads a blob of at most `limit_bytes`, and checks that it has the digest it is named after.
    pub fn read_blob(&self, digest: Digest, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.open(Artifact::Blob(digest))?.read_whole(limit_bytes)?;
        self.with_digest(bytes, digest)
    }

    /// As [`Reader::read_blob`], but the record is not asked for: who knows already that the blob is there is
    /// told by the digest that it still is.
    pub fn read_known_blob(&self, digest: Digest, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let artifact = Artifact::Blob(digest);
        let files = self.shelves.of(artifact).map(|shelf| &shelf.files);
        let bytes = match files {
            Some(files) => files.read(&file_name_of(artifact), limit_bytes)?,
            None => None,
        };
        let bytes = bytes.ok_or(Error::Missing { artifact })?;
        self.with_digest(bytes, digest)
    }

    fn with_digest(&self, bytes: Vec<u8>, digest: Digest) -> Result<Vec<u8>, Error> {
        match Digest::of(&bytes) {
            actual if actual == digest => Ok(bytes),
            actual => {
                let damage = Damage::Digest { expected: digest.into(), actual: actual.into() };
                Err(self.damaged(Artifact::Blob(digest), damage))
            }
        }
    }

    fn opened(
        &self,
        artifact: Artifact,
        seen: Result<(Record, File), Damage>,
    ) -> Result<StoredFile, Error> {
        match seen {
            Ok((record, file)) => {
                let path = layout::path_of(&self.store, artifact);
                Ok(StoredFile::new(artifact, record, file, path))
            }
            Err(damage) => Err(self.damaged(artifact, damage)),
        }
    }

    fn damaged(&self, artifact: Artifact, damage: Damage) -> Error {
        match damage {
            Damage::Missing => Error::Missing { artifact },
            source => {
                let path = layout::path_of(&self.store, artifact);
                Error::Damaged { artifact, path, source: Box::new(source) }
            }
        }
    }
}
