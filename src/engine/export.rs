//! Files for an archive, fetched where they have to be, and written in their order.
//!
//! One thread writes. What is in the store or in memory goes straight into the output; a blob that the store
//! does not hold is fetched by its digest into a nameless file first, a few of them ahead of the writer, so
//! that nothing unverified is ever written, and only as much lies on the disk as is fetched at once.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::spawn_blocking;

use crate::archive::output::{Output, Packing};
use crate::engine::error::Error;
use crate::engine::layer::feed;
use crate::engine::pipe::pipe;
use crate::engine::progress::{Progress, Watched};
use crate::engine::source::{Blob, Sources};
use crate::layer::builder::error::ChangesetError;
use crate::layer::decompress::Decompressor;
use crate::layer::limits::Limits;
use crate::layer::read::ReadError;
use crate::oci::digest::{DiffId, HashingReader};
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter};
use crate::store::Store;
use crate::store::error::{Damage, Error as StoreError};
use crate::store::replace::{fill_directory, folder_of, replace};

/// Bytes that are gathered for one write, and read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Transfers of one blob that came whole and wrong: a second one may meet a mended cache, a third will not.
const TRANSFERS_MAX: u32 = 2;

/// A file of the archive.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its name there.
    pub name: String,
    /// What it holds.
    pub content: ItemContent,
}

/// What a file of an archive holds.
#[derive(Debug, Clone)]
pub enum ItemContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What the store holds.
    Stored(Artifact),
    /// The compressed layer, as its digest names it.
    Blob(FetchLayer),
    /// The layer unpacked, as its `diff_id` names it.
    Tar(FetchLayer),
}

/// Where an archive goes.
pub enum Target {
    /// Into this file, whole or not at all.
    File(PathBuf, Packing),
    /// Into this directory, whole or not at all.
    Directory(PathBuf),
    /// To whoever reads this, as a tar. What is fetched lies in the directory for the time being.
    Stream(Box<dyn Write + Send>, PathBuf),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.path().display())
    }
}

impl Target {
    /// What messages call it.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Directory(path) => path,
            Self::Stream(..) => Path::new("-"),
        }
    }

    /// Where there is room for what is fetched.
    fn spool(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Directory(path) => folder_of(path),
            Self::Stream(_, spool) => spool,
        }
    }
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files of the archive.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// With what an archive is made.
#[derive(Clone)]
pub struct Exporter {
    /// What holds artifacts and documents.
    pub store: Store,
    /// Where blobs come from that it does not hold.
    pub sources: Sources,
    /// What a layer may hold.
    pub limits: Limits,
    /// How many blobs are fetched at once.
    pub jobs: usize,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A blob that was fetched and verified.
#[derive(Debug)]
struct Spooled {
    file: File,
    size_bytes: u64,
}

/// How a layer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Packed,
    Unpacked,
}

impl Exporter {
    /// Whether `layer`'s blob is in the store.
    pub fn holds(&self, layer: &FetchLayer) -> bool {
        self.store.open(Artifact::Blob(layer.digest)).is_ok()
    }

    /// Writes `items` to `target`, in their order.
    pub async fn write(&self, items: Vec<Item>, target: Target) -> Result<Written, Error> {
        let cancel = Cancel(Arc::new(AtomicBool::new(false)));
        let spool = target.spool().to_owned();
        let fetched: Vec<(FetchLayer, Form)> = items
            .iter()
            .filter_map(|item| match &item.content {
                ItemContent::Blob(layer) if !self.holds(layer) => {
                    Some((layer.clone(), Form::Packed))
                }
                ItemContent::Tar(layer) => Some((layer.clone(), Form::Unpacked)),
                _ => None,
            })
            .collect();
        let (sender, receiver) = channel(1);
        let writer = Writer {
            store: self.store.clone(),
            spooled: receiver,
            is_cancelled: Arc::clone(&cancel.0),
        };
        let path = target.path().to_owned();
        let writing = spawn_blocking(move || writer.write(&items, target));
        let fetching = async {
            let spools = fetched.iter().map(|(layer, form)| self.spool(layer, *form, &spool));
            let mut spools = stream::iter(spools).buffered(self.jobs.max(1));
            while let Some(spooled) = spools.next().await {
                let failed = spooled.is_err();
                if sender.send(spooled).await.is_err() || failed {
                    break;
                }
            }
            drop(spools);
            drop(sender);
        };
        let (written, ()) = tokio::join!(writing, fetching);
        match written {
            Ok(written) => written,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(ended) => Err(Error::Output { path, source: io::Error::other(ended) }),
        }
    }

    /// The blob of `layer` in a nameless file in `folder`, verified.
    async fn spool(&self, layer: &FetchLayer, form: Form, folder: &Path) -> Result<Spooled, Error> {
        self.reporter.report(Event::LayerStarted {
            diff_id: layer.diff_id,
            digest: layer.digest,
            size_bytes: layer.size,
            image: layer.origin.image.clone(),
        });
        let mut transfers = 1;
        let spooled = loop {
            match self.transfer(layer, form, folder).await {
                Err(error) if error.is_wrong_blob() && transfers < TRANSFERS_MAX => transfers += 1,
                spooled => break spooled?,
            }
        };
        self.reporter.report(Event::LayerDone {
            diff_id: layer.diff_id,
            digest: layer.digest,
            size_bytes: layer.size,
            image_bytes: spooled.size_bytes,
            image: layer.origin.image.clone(),
        });
        Ok(spooled)
    }

    async fn transfer(
        &self,
        layer: &FetchLayer,
        form: Form,
        folder: &Path,
    ) -> Result<Spooled, Error> {
        let progress = Progress::begin(&self.reporter, layer, 0);
        let receiver = BlobReceiver {
            layer: layer.clone(),
            form,
            folder: folder.to_owned(),
            limits: self.limits,
        };
        let artifact = Artifact::Blob(layer.digest);
        if let Ok(kept) = self.store.open(artifact) {
            return blocking(move || receiver.receive(Watched::new(kept.reader(), progress))).await;
        }
        let source = self.sources.open(&layer.origin.source).await?;
        let source = source.ok_or_else(|| Error::Offline {
            artifact,
            size_bytes: layer.size,
            reference: layer.origin.source.clone(),
        })?;
        match source.blob(layer.digest, layer.size, 0)? {
            Blob::Local(content) => {
                blocking(move || receiver.receive(Watched::new(content, progress))).await
            }
            Blob::Stream(stream) => {
                let (sender, reader) = pipe();
                let feeding = feed(stream, sender, progress);
                let spooling = blocking(move || receiver.receive(reader));
                let (fed, spooled) = tokio::join!(feeding, spooling);
                fed.and(spooled)
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => {
            Err(Error::Output { path: PathBuf::from("-"), source: io::Error::other(ended) })
        }
    }
}

/// Takes the bytes of a blob.
struct BlobReceiver {
    layer: FetchLayer,
    form: Form,
    folder: PathBuf,
    limits: Limits,
}

impl BlobReceiver {
    fn receive(self, blob: impl Read) -> Result<Spooled, Error> {
        let not_written = |source| Error::Output { path: self.folder.clone(), source };
        let file = tempfile::tempfile_in(&self.folder).map_err(not_written)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, &file);
        let mut blob = BufReader::with_capacity(BUFFER_BYTES, HashingReader::new(blob));
        let unpacked = match self.form {
            Form::Packed => copy(&mut blob, &mut out).map(|bytes| (bytes, None)),
            Form::Unpacked => {
                let tar = Decompressor::new(&mut blob, &self.limits).map_err(Copy::Read);
                tar.and_then(|tar| {
                    let mut tar = HashingReader::new(tar);
                    let bytes = copy(&mut tar, &mut out)?;
                    Ok((bytes, Some(DiffId(tar.finish().1))))
                })
            }
        };
        // What follows the compressed stream's own end, and all that follows an error: only the digest tells
        // whether the blob is bad or the transfer was.
        io::copy(&mut blob, &mut io::sink()).map_err(|error| self.unreadable(error))?;
        let (_, actual, _) = blob.into_inner().finish();
        if actual != self.layer.digest {
            let (expected, reference) = (self.layer.digest, self.layer.origin.source.clone());
            return Err(Error::LayerDigest { expected, actual, reference });
        }
        let (size_bytes, diff_id) = unpacked.map_err(|error| match error {
            Copy::Read(error) => self.unreadable(error),
            Copy::Write(source) => not_written(source),
        })?;
        if let Some(actual) = diff_id.filter(|&diff_id| diff_id != self.layer.diff_id) {
            let (digest, expected) = (self.layer.digest, self.layer.diff_id);
            return Err(Error::LayerDiffId { digest, expected, actual });
        }
        out.flush().map_err(not_written)?;
        drop(out);
        (&file).rewind().map_err(not_written)?;
        Ok(Spooled { file, size_bytes })
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let digest = self.layer.digest;
        Error::Layer { digest, source: ChangesetError::Read(ReadError::Input(error)) }
    }
}

/// Which side of a copy failed.
enum Copy {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<u64, Copy> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut copied_bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied_bytes),
            Ok(count) => {
                to.write_all(&buffer[..count]).map_err(Copy::Write)?;
                copied_bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Copy::Read(error)),
        }
    }
}

/// Ends the writing thread when nobody waits for it any more, so that it removes what is half done.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The side that writes.
struct Writer {
    store: Store,
    spooled: Receiver<Result<Spooled, Error>>,
    is_cancelled: Arc<AtomicBool>,
}

impl Writer {
    fn write(mut self, items: &[Item], target: Target) -> Result<Written, Error> {
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
        let (size_bytes, expected) = (file.record().size_bytes, file.record().digest);
        let mut reader = HashingReader::new(file.reader());
        self.add_content(output, name, size_bytes, &mut reader)?;
        let (_, actual, _) = reader.finish();
        if actual != expected {
            let source = Box::new(Damage::Digest { expected, actual });
            let path = file.path().to_owned();
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
