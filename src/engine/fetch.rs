//! A layer's blob comes from where its image comes from, and is used while it comes.
//!
//! What arrives may also be kept in `partial/`: of a large blob, so that the next run need not fetch it again, and
//! of one that is to stay in the store. Whoever uses a blob compares its digest; wrong bytes are fetched once
//! more.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tracing::debug;

use crate::engine::context::{Context, blocking};
use crate::engine::error::Error;
use crate::engine::pipe::{Sender, pipe};
use crate::engine::progress::{Progress, REPORT_EVERY, Watched};
use crate::engine::source::{Blob, Source};
use crate::plan::action::FetchLayer;
use crate::plan::artifact::Artifact;
use crate::plan::event::Event;
use crate::registry::blob::BlobStream;
use crate::store::partial::{Keep, Partial};

/// Transfers of one layer that came whole and wrong: a second one may meet a mended cache, a third will not.
/// Those that a mirror or an earlier run had a part in do not count.
const TRANSFERS_MAX: u32 = 2;

/// Compressed bytes from which a layer is kept for the next run while it comes: less is soon fetched again.
const PARTIAL_BYTES_MIN: u64 = 16 << 20;

/// Bytes of a blob, from wherever they come.
pub(super) type BlobReader = Box<dyn Read + Send>;

/// What came of a blob, and what was kept of it.
pub(super) type Fetched<T> = (T, Option<Arc<Partial>>);

/// A layer's blob that is to come from a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch<'a> {
    pub(super) context: &'a Context,
    pub(super) source: &'a Source,
    pub(super) layer: &'a FetchLayer,
    /// Whether the blob is to stay: then all of it is kept, however large it is and wherever it comes from.
    pub(super) stays: bool,
}

/// A transfer of no use.
struct Broken {
    error: Error,
    /// Others than the source itself have sent some of the bytes, and will not do so again.
    others_to_blame: bool,
}

impl<E: Into<Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self { error: error.into(), others_to_blame: false }
    }
}

impl Fetch<'_> {
    /// Has the blob come, and used by what `consumer` makes for each transfer.
    pub(super) async fn pass<T: Send + 'static, U>(
        &self,
        consumer: impl Fn() -> Result<U, Error>,
    ) -> Result<Fetched<T>, Error>
    where
        U: FnOnce(BlobReader) -> Result<T, Error> + Send + 'static,
    {
        let layer = self.layer;
        let mut transfers = 1;
        loop {
            let partial = self.partial().await?;
            if let Some(kept_bytes) = partial.as_ref().map(|partial| partial.kept_bytes()) {
                debug!("has {kept_bytes} of {} bytes of layer `{}`", layer.size, layer.digest);
            }
            match self.transfer(partial.clone(), consumer()?).await {
                Ok(used) => return Ok((used, partial)),
                Err(Broken { error, others_to_blame }) => {
                    if let Some(partial) = partial.as_ref().filter(|_| error.condemns_blob()) {
                        partial.discard();
                    }
                    if !error.is_wrong_blob() || (transfers == TRANSFERS_MAX && !others_to_blame) {
                        return Err(error);
                    }
                    debug!("fetches layer `{}` once more: {error}", layer.digest);
                    transfers += u32::from(!others_to_blame);
                }
            }
        }
    }

    /// What was kept before, and room for the rest. What lies on this machine is read from its first byte on.
    async fn partial(&self) -> Result<Option<Arc<Partial>>, Error> {
        let FetchLayer { digest, size, .. } = *self.layer;
        let run = self.context.run.clone();
        if self.stays {
            let bytes_max = if self.source.is_remote() { size } else { 0 };
            let open = move || Ok(run.partial_alone(digest, bytes_max)?);
            return blocking(Artifact::Blob(digest), open).await.map(Some);
        }
        let is_kept = self.source.is_remote() && size >= PARTIAL_BYTES_MIN;
        Ok(if is_kept { run.partial(digest, size) } else { None })
    }

    /// One transfer.
    async fn transfer<T: Send + 'static>(
        &self,
        partial: Option<Arc<Partial>>,
        consumer: impl FnOnce(BlobReader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Broken> {
        let Self { context, source, layer, .. } = *self;
        let artifact = Artifact::Layer(layer.diff_id);
        let keep = if self.stays { Keep::Whole } else { Keep::UntilSoonFetched };
        let kept_bytes = partial.as_ref().map_or(0, |partial| partial.kept_bytes());
        let progress = Progress::begin(&context.reporter, layer, kept_bytes);
        match source.blob(layer.digest, layer.size, kept_bytes)? {
            Blob::Local(blob) => {
                let blob = Watched::new(blob, progress);
                Ok(blocking(artifact, move || consumer(teed(blob, partial, keep))).await?)
            }
            Blob::Stream(stream) => {
                if kept_bytes > 0 {
                    let subject = layer.origin.source.to_string();
                    context.reporter.report(Event::Resumed { subject, offset_bytes: kept_bytes });
                }
                let senders = stream.senders();
                let (sender, reader) = pipe();
                let feeding = feed(stream, sender, progress);
                let using = blocking(artifact, move || consumer(teed(reader, partial, keep)));
                let (fed, used) = tokio::join!(feeding, using);
                fed.and(used).map_err(|error| {
                    let others_to_blame =
                        error.is_wrong_blob() && (senders.distrust() || kept_bytes > 0);
                    Broken { error, others_to_blame }
                })
            }
        }
    }
}

/// What was kept of a blob, then `rest`, which is kept too as far as `keep` says.
fn teed(rest: impl Read + Send + 'static, partial: Option<Arc<Partial>>, keep: Keep) -> BlobReader {
    match partial {
        Some(partial) => Box::new(partial.reader(rest, keep)),
        None => Box::new(rest),
    }
}

/// Passes the stream on, and reports how far it is.
pub(super) async fn feed(
    mut stream: BlobStream,
    sender: Sender,
    mut progress: Progress,
) -> Result<(), Error> {
    while let Some(bytes) = next(&mut stream, &mut progress).await? {
        progress.add(bytes.len() as u64);
        if !sender.send(bytes).await {
            return Ok(());
        }
    }
    progress.end();
    Ok(())
}

/// The next bytes. Before a pause is waited for, what came before it is told.
async fn next(stream: &mut BlobStream, progress: &mut Progress) -> Result<Option<Bytes>, Error> {
    loop {
        tokio::select! {
            biased;
            next = stream.try_next() => return Ok(next?),
            () = tokio::time::sleep(REPORT_EVERY), if progress.is_behind() => progress.tell(),
        }
    }
}
