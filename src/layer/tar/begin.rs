//! From a header and its extensions to an entry, and to what is expected of its body: data, or a sparse map
//! before it.

use crate::layer::entry::{Entry, EntryKind};
use crate::layer::limits::LimitExceeded;
use crate::layer::tar::error::TarErrorKind;
use crate::layer::tar::extensions::Applied;
use crate::layer::tar::fields::{device, kind_of, metadata, natural};
use crate::layer::tar::header::Header;
use crate::layer::tar::pax::SparseMap;
use crate::layer::tar::{State, TarReader};
use crate::layer::tree::Device;

impl TarReader {
    /// The entry that `header` and the extensions before it describe; its data is what the reader expects next.
    pub(super) fn begin_entry(&mut self, header: &Header<'_>) -> Result<Entry, TarErrorKind> {
        let offset_bytes = self.extensions.start(self.header_offset);
        let mut applied = self.extensions.apply()?;
        let path = applied.path.take().unwrap_or_else(|| header.path());
        self.name.extend_from_slice(&path);
        self.entries += 1;
        let max = self.limits.entries_max;
        LimitExceeded::check(self.entries, max, "entries in one layer", "entries-max")?;

        let kind = kind_of(header.typeflag, &path)?;
        let size_bytes = self.begin_data(kind, header, &mut applied)?;
        Ok(Entry {
            path,
            kind,
            link: match kind {
                EntryKind::Symlink | EntryKind::HardLink => {
                    applied.link.unwrap_or_else(|| header.link().to_vec())
                }
                _ => Vec::new(),
            },
            size_bytes,
            device: match kind {
                EntryKind::CharDevice | EntryKind::BlockDevice => device(header)?,
                _ => Device::default(),
            },
            metadata: metadata(header, applied.pax)?,
            offset_bytes,
        })
    }

    /// Begins the body of an entry, and answers its apparent size.
    fn begin_data(
        &mut self,
        kind: EntryKind,
        header: &Header<'_>,
        applied: &mut Applied,
    ) -> Result<u64, TarErrorKind> {
        let sparse = applied.sparse.take();
        self.state = State::Data;
        if kind != EntryKind::File {
            self.body.begin(0, 0);
            return match sparse {
                Some(_) => Err(TarErrorKind::SparseMap("belongs to something else than a file")),
                None => Ok(0),
            };
        }
        natural(header.size)?;
        let stored = natural(applied.pax.size.unwrap_or(header.size))?;
        LimitExceeded::check(
            self.header_offset.saturating_add(stored),
            self.limits.unpacked_bytes_max,
            "bytes in one unpacked layer",
            "unpacked-bytes-max",
        )?;
        let size = match (header.typeflag, &sparse) {
            (b'S', None) => self.begin_old_sparse(header, stored)?,
            (b'S', Some(_)) => return Err(TarErrorKind::SparseMap("is given twice")),
            (_, Some(sparse)) => sparse.size.unwrap_or(stored),
            (_, None) => stored,
        };
        self.add_apparent(size)?;
        if header.typeflag != b'S' {
            self.body.begin(stored, size);
            match sparse.map(|sparse| sparse.map) {
                None => self.body.set_whole(),
                Some(SparseMap::Here(regions)) => self.body.set_regions(regions)?,
                Some(SparseMap::BeforeData) => {
                    self.body.expect_map();
                    self.state = State::SparseMap;
                }
            }
        }
        Ok(size)
    }

    fn begin_old_sparse(&mut self, header: &Header<'_>, stored: u64) -> Result<u64, TarErrorKind> {
        let (map, is_extended, size) = header
            .old_sparse()
            .ok_or(TarErrorKind::SparseMap("is in a header that is not GNU's"))?;
        let size = natural(size.ok_or(TarErrorKind::Number("realsize"))?)?;
        self.body.begin(stored, size);
        self.body.push_old_regions(map, self.limits.sparse_entries_max)?;
        if is_extended {
            self.state = State::OldSparseMap;
        } else {
            self.body.check_regions()?;
        }
        Ok(size)
    }

    fn add_apparent(&mut self, size: u64) -> Result<(), TarErrorKind> {
        self.apparent_bytes = self.apparent_bytes.saturating_add(size);
        LimitExceeded::check(
            self.apparent_bytes,
            self.limits.apparent_bytes_max,
            "bytes in the files of one layer, holes included",
            "apparent-bytes-max",
        )?;
        Ok(())
    }
}
