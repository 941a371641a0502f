//! A blob's bytes, in one stream that outlives the connections it comes over.
//!
//! A transfer that breaks goes on from the last good byte with a `Range` request to the registry's own
//! URL, never to a presigned one, which may have expired. A registry that ignores the range sends what is
//! known again; it is dropped.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use crate::oci::document::descriptor::Descriptor;
use crate::oci::reference::Reference;
use crate::registry::endpoint::Endpoint;
use crate::registry::error::Error;
use crate::registry::event::RegistryEvent;
use crate::registry::retry::Tries;
use crate::registry::route::Route;
use crate::registry::shown::ShownUrl;
use crate::registry::speed::Speed;
use crate::registry::transport::{Request, Transport};

/// A blob's bytes as they come. It ends after exactly as many as were asked for, or with an error.
pub struct BlobStream {
    bytes: BoxStream<'static, Result<Bytes, Error>>,
    senders: Senders,
}

/// The mirrors that have sent bytes of a blob.
#[derive(Debug, Clone)]
pub struct Senders {
    transport: Arc<Transport>,
    mirrors: Arc<Mutex<BTreeSet<String>>>,
}

impl Senders {
    /// Asks these mirrors no more, because the blob's digest is another one; `false` if there are none that
    /// were not known for that before.
    pub fn distrust(&self) -> bool {
        let mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.iter().filter(|host| self.transport.distrust(host)).count() > 0
    }

    fn add(&self, place: &Endpoint) {
        if place.stands_for().is_some() {
            let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
            mirrors.insert(place.host().to_owned());
        }
    }
}

impl BlobStream {
    pub(super) fn new(
        transport: Arc<Transport>,
        reference: &Reference,
        descriptor: &Descriptor,
        range: impl RangeBounds<u64>,
    ) -> Self {
        let senders = Senders { transport: Arc::clone(&transport), mirrors: Arc::default() };
        let (start, end) = bounds(range, descriptor.size);
        let transfer = Transfer {
            route: transport.route(reference),
            tries: Tries::new(transport.settings()),
            speed: Speed::default(),
            transport,
            senders: senders.clone(),
            path: format!("blobs/{}", descriptor.digest),
            size: descriptor.size,
            start,
            position: start,
            end,
            repeated: 0,
            progressed: false,
            ranges: true,
            response: None,
        };
        let bytes = stream::try_unfold(transfer, |mut transfer| async move {
            let next = transfer.next().await?;
            Ok(next.map(|bytes| (bytes, transfer)))
        });
        Self { bytes: bytes.boxed(), senders }
    }

    /// Who is to blame if the digest turns out to be another one.
    pub fn senders(&self) -> Senders {
        self.senders.clone()
    }
}

/// The first byte, and the one behind the last, of what `range` is of `size` bytes.
fn bounds(range: impl RangeBounds<u64>, size: u64) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => size,
    };
    let end = end.min(size);
    (start.min(end), end)
}

impl Stream for BlobStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.poll_next_unpin(context)
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobStream")
    }
}

/// A transfer under way.
struct Transfer {
    transport: Arc<Transport>,
    route: Route,
    tries: Tries,
    speed: Speed,
    senders: Senders,
    path: String,
    /// Bytes of the whole blob.
    size: u64,
    /// The first byte that was asked for.
    start: u64,
    /// The next byte to hand out.
    position: u64,
    /// The first byte that nobody wants.
    end: u64,
    /// Bytes of the present body that precede `position`.
    repeated: u64,
    /// Whether the present place has sent something new since the last failure.
    progressed: bool,
    /// Whether the places are trusted to answer a range with that range.
    ranges: bool,
    response: Option<Response>,
}

impl Transfer {
    /// The next bytes, over as many connections as it takes.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.chunk().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    self.tries.progress();
                    self.progressed = true;
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.response = None;
                    self.recover(error).await?;
                }
            }
        }
    }

    /// Finds whom to ask after `error`: the same place if it has sent something, else the next one.
    async fn recover(&mut self, error: Error) -> Result<(), Error> {
        let stays = std::mem::take(&mut self.progressed) && error.is_transient();
        if !stays && self.transport.passes_on(&mut self.route, &error) {
            self.ranges = true;
            return Ok(());
        }
        let host = self.route.place().host().to_owned();
        match self.transport.pause(&mut self.tries, &host, error).await {
            Ok(()) if stays => Ok(()),
            Ok(()) => {
                self.route.again();
                Ok(())
            }
            Err(error) if self.transport.passes_on(&mut self.route, &error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next bytes of the present connection; empty if all of them were known.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None if self.position == self.end => return Ok(None),
            None => self.open().await?,
        };
        let url = ShownUrl::of(response.url());
        let since = Instant::now();
        let is_complete = self.position == self.end && self.repeated == 0;
        if is_complete && self.end < self.size {
            return Ok(None);
        }
        let bytes = match response.chunk().await {
            Ok(Some(bytes)) => bytes,
            // What breaks after the last byte does not matter.
            Ok(None) | Err(_) if is_complete => return Ok(None),
            Ok(None) => {
                return Err(Error::Truncated { url, expected: self.size, actual: self.position });
            }
            Err(source) => return Err(Error::transport(url, source)),
        };
        let new = self.accept(bytes, since.elapsed(), url)?;
        self.response = Some(response);
        Ok(Some(new))
    }

    /// What is new of the `bytes` that were waited for so long.
    fn accept(
        &mut self,
        mut bytes: Bytes,
        waited: Duration,
        url: ShownUrl,
    ) -> Result<Bytes, Error> {
        let timeouts = self.transport.settings().timeouts;
        if !self.speed.suffices(bytes.len(), waited, &timeouts) {
            return Err(Error::TooSlow { url, bytes_per_s: timeouts.bytes_per_s_min });
        }
        let known = self.repeated.min(bytes.len() as u64);
        self.repeated -= known;
        let mut new = bytes.split_off(usize::try_from(known).unwrap_or(bytes.len()));
        let missing = self.end - self.position;
        if new.len() as u64 > missing {
            if self.end == self.size {
                return Err(Error::TooLong { url, limit: self.size });
            }
            new.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
        }
        self.position += new.len() as u64;
        Ok(new)
    }

    /// Asks for the bytes that are missing.
    async fn open(&mut self) -> Result<Response, Error> {
        let is_part = self.position > 0 || self.end < self.size;
        let range = (is_part && self.ranges).then_some(self.position..self.end);
        let request = Request::blob(&self.path, range.as_ref().map(|range| self.header(range)));
        let response = self.transport.send(self.route.place(), &request).await?;
        self.speed = Speed::default();
        self.senders.add(self.route.place());
        let url = ShownUrl::of(response.url());
        match (response.status(), range) {
            (StatusCode::OK, _) => self.whole(response),
            (StatusCode::PARTIAL_CONTENT, Some(range)) if self.fits(&response, &range) => {
                self.repeated = 0;
                if self.position > self.start {
                    self.transport.settings().events.tell(RegistryEvent::Resumed {
                        registry: self.route.place().host().to_owned(),
                        offset: range.start,
                    });
                }
                Ok(response)
            }
            _ => {
                self.ranges = false;
                Err(Error::Range { url })
            }
        }
    }

    /// How `range` is asked for. To the end it is left open, which the simplest servers understand too.
    fn header(&self, range: &Range<u64>) -> String {
        if range.end == self.size {
            return format!("bytes={}-", range.start);
        }
        format!("bytes={}-{}", range.start, range.end - 1)
    }

    /// The whole blob came, whatever was asked for.
    fn whole(&mut self, response: Response) -> Result<Response, Error> {
        self.repeated = self.position;
        match response.content_length() {
            Some(actual) if actual != self.size => {
                Err(Error::Size { url: ShownUrl::of(response.url()), expected: self.size, actual })
            }
            _ => Ok(response),
        }
    }

    /// Whether the part that came is the one that was asked for.
    fn fits(&self, response: &Response, range: &Range<u64>) -> bool {
        let length = response.content_length();
        length.is_none_or(|length| length == range.end - range.start)
            && range_fits(response.headers(), range, self.size)
    }
}

/// Whether an answer holds the bytes in `range` of `size` (RFC 9110, section 14.4).
fn range_fits(headers: &HeaderMap, range: &Range<u64>, size: u64) -> bool {
    let said = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let Some(said) = said.and_then(|said| said.trim().strip_prefix("bytes ")) else {
        return false;
    };
    let Some((part, total)) = said.split_once('/') else {
        return false;
    };
    let expected = format!("{}-{}", range.start, range.end - 1);
    part == expected && (total == "*" || total == size.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_fits() {
        let fits = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, said.parse().unwrap());
            range_fits(&headers, &(3..10), 10)
        };
        assert!(fits("bytes 3-9/10") && fits("bytes 3-9/*"));
        for said in ["bytes 2-9/10", "bytes 3-8/10", "bytes 3-9/11", "3-9/10", "bytes */10", ""] {
            assert!(!fits(said), "{said}");
        }
        assert!(!range_fits(&HeaderMap::new(), &(3..10), 10));
    }
}
