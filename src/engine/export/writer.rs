//! The thread that writes an archive, one file after the other.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::Receiver;

use crate::archive::output::{Output, Packing};
use crate::engine::error::Error;
use crate::engine::export::item::{Item, ItemContent, Target, Written};
use crate::engine::export::spool::Spooled;
use crate::oci::digest::HashingReader;
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::store::Store;
use crate::store::error::{Damage, Error as StoreError};
use crate::store::replace::{fill_directory, replace};

/// Bytes that are gathered for one write.
const BUFFER_BYTES: usize = 256 << 10;

/// The side that writes.
pub(super) struct Writer {
    /// What holds artifacts and documents.
    pub(super) store: Store,
    /// The blobs that it does not hold, in their order.
    pub(super) spooled: Receiver<Result<Spooled, Error>>,
    /// Whether nobody waits for it any more.
    pub(super) is_cancelled: Arc<AtomicBool>,
}

impl Writer {
    /// Writes `items` to `target`, in their order.
    pub(super) fn write(mut self, items: &[Item], target: Target) -> Result<Written, Error> {
        let path = target.path().to_owned();
        let mut written = Written::default();
        let mut fill = |output: Output<BufWriter<&mut dyn Write>>| {
            self.fill(items, output).map(|count| written = count).map_err(io::Error::other)
        };
        let done = match target {
            Target::File(path, packing) => {
                replace(&path, |file| fill(Output::tar(buffered(file), packing)))
            }
            Target::Directory(path) => {
                fill_directory(&path, |folder| fill(Output::Directory(folder.to_owned())))
            }
            Target::Stream(mut out, _) => fill(Output::tar(buffered(&mut out), Packing::Plain)),
        };
        match done.map_err(io::Error::downcast::<Error>) {
            Ok(()) => Ok(written),
            Err(Ok(error)) => Err(error),
            Err(Err(source)) => Err(Error::Output { path, source }),
        }
    }

    fn fill<W: Write>(&mut self, items: &[Item], mut output: Output<W>) -> Result<Written, Error> {
        let mut written = Written::default();
        for item in items {
            let size_bytes = self.add(item, &mut output)?;
            written.files += 1;
            written.bytes += size_bytes;
        }
        output.finish().map_err(|source| not_written(&PathBuf::from("-"), source))?;
        Ok(written)
    }

    fn add<W: Write>(&mut self, item: &Item, output: &mut Output<W>) -> Result<u64, Error> {
        let name = &item.name;
        match &item.content {
            ItemContent::Bytes(bytes) => {
                self.add_content(output, name, bytes.len() as u64, &mut bytes.as_slice())?;
                Ok(bytes.len() as u64)
            }
            ItemContent::Stored(artifact) => self.add_stored(output, name, *artifact),
            ItemContent::Blob(layer) => {
                let artifact = Artifact::Blob(layer.digest);
                match self.store.open(artifact) {
                    Ok(_) => self.add_stored(output, name, artifact),
                    Err(_) => self.add_spooled(output, name, layer),
                }
            }
            ItemContent::Tar(layer) => self.add_spooled(output, name, layer),
        }
    }

    fn add_spooled<W: Write>(
        &mut self,
        output: &mut Output<W>,
        name: &str,
        layer: &FetchLayer,
    ) -> Result<u64, Error> {
        let spooled = self.spooled.blocking_recv();
        let spooled = spooled.ok_or(Error::Aborted(Artifact::Blob(layer.digest)))??;
        self.add_content(output, name, spooled.size_bytes, &mut &spooled.file)?;
        Ok(spooled.size_bytes)
    }

    /// Adds a file of the store, which must still be what its record says: a bundle is believed elsewhere.
    fn add_stored<W: Write>(
        &self,
        output: &mut Output<W>,
        name: &str,
        artifact: Artifact,
    ) -> Result<u64, Error> {
        let file = self.store.open(artifact)?;
        let (size_bytes, expected) = (file.record().size_bytes, file.sha256()?);
        let path = file.path().to_owned();
        let mut reader = HashingReader::new(file.into_reader());
        self.add_content(output, name, size_bytes, &mut reader)?;
        let (_, actual, _) = reader.finish();
        if actual != expected {
            let source =
                Box::new(Damage::Digest { expected: expected.into(), actual: actual.into() });
            return Err(StoreError::Damaged { artifact, path, source }.into());
        }
        Ok(size_bytes)
    }

    fn add_content<W: Write>(
        &self,
        output: &mut Output<W>,
        name: &str,
        size_bytes: u64,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        let mut content = Cancellable { content, is_cancelled: &self.is_cancelled };
        output
            .add(name, size_bytes, &mut content)
            .map_err(|source| not_written(Path::new(name), source))
    }
}

fn buffered(out: &mut dyn Write) -> BufWriter<&mut dyn Write> {
    BufWriter::with_capacity(BUFFER_BYTES, out)
}

fn not_written(path: &Path, source: io::Error) -> Error {
    Error::Output { path: path.to_owned(), source }
}

/// What is read until somebody cancels it.
struct Cancellable<'a> {
    content: &'a mut dyn Read,
    is_cancelled: &'a AtomicBool,
}

impl Read for Cancellable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("the program ends"));
        }
        self.content.read(buffer)
    }
}
