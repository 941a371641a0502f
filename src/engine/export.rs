//! Files for an archive, fetched where they have to be, and written in their order.
//!
//! One thread writes. What is in the store or in memory goes straight into the output; a blob that the store
//! does not hold is fetched by its digest into a nameless file first, a few of them ahead of the writer, so
//! that nothing unverified is ever written, and only as much lies on the disk as is fetched at once.

pub mod item;

mod spool;

mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc::channel;
use tokio::task::spawn_blocking;

use crate::engine::error::Error;
use crate::engine::export::item::{Item, ItemContent, Target, Written};
use crate::engine::export::spool::{BlobReceiver, Form, Spooled};
use crate::engine::export::writer::Writer;
use crate::engine::fetch::feed;
use crate::engine::pipe::pipe;
use crate::engine::progress::{Progress, Watched};
use crate::engine::source::{Blob, Sources};
use crate::layer::limits::Limits;
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::plan::event::{Event, Reporter};
use crate::store::Store;

/// Transfers of one blob that came whole and wrong: a second one may meet a mended cache, a third will not.
const TRANSFERS_MAX: u32 = 2;

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
            stored: false,
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
            stored: false,
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
            return blocking(move || receiver.receive(Watched::new(kept.into_reader(), progress)))
                .await;
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

/// Ends the writing thread when nobody waits for it any more, so that it removes what is half done.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
