//! A blob's bytes, in one stream that outlives the connections it comes over.
//!
//! A transfer that breaks goes on from the last good byte with a `Range` request to the registry's own
//! URL, never to a presigned one, which may have expired. A registry that ignores the range sends what is
//! known again; it is dropped.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use crate::oci::document::descriptor::Descriptor;
use crate::oci::reference::Reference;
use crate::registry::error::Error;
use crate::registry::event::RegistryEvent;
use crate::registry::retry::Tries;
use crate::registry::settings::Timeouts;
use crate::registry::shown::ShownUrl;
use crate::registry::transport::{Request, Transport};

/// A blob's bytes as they come. It ends after exactly the descriptor's size, or with an error.
pub struct BlobStream {
    bytes: BoxStream<'static, Result<Bytes, Error>>,
}

impl BlobStream {
    pub(super) fn new(
        transport: Arc<Transport>,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Self {
        let transfer = Transfer {
            tries: Tries::new(transport.settings(), reference.registry()),
            speed: Speed::default(),
            transport,
            reference: reference.clone(),
            path: format!("blobs/{}", descriptor.digest),
            size: descriptor.size,
            position: 0,
            repeated: 0,
            ranges: true,
            response: None,
        };
        let bytes = stream::try_unfold(transfer, |mut transfer| async move {
            let next = transfer.next().await?;
            Ok(next.map(|bytes| (bytes, transfer)))
        });
        Self { bytes: bytes.boxed() }
    }
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
    tries: Tries,
    speed: Speed,
    reference: Reference,
    path: String,
    size: u64,
    /// Bytes that were handed out.
    position: u64,
    /// Bytes of the present body that were handed out before.
    repeated: u64,
    /// Whether the registry is trusted to answer a range with that range.
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
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.response = None;
                    self.transport.pause(&mut self.tries, error).await?;
                }
            }
        }
    }

    /// The next bytes of the present connection; empty if all of them were known.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let mut response = match self.response.take() {
            Some(response) => response,
            None => self.open().await?,
        };
        let url = ShownUrl::of(response.url());
        let since = Instant::now();
        let is_complete = self.position == self.size && self.repeated == 0;
        let bytes = match response.chunk().await {
            Ok(Some(bytes)) => bytes,
            // What breaks after the last byte does not matter.
            Ok(None) | Err(_) if is_complete => return Ok(None),
            Ok(None) => {
                return Err(Error::Truncated { url, expected: self.size, actual: self.position });
            }
            Err(source) => {
                return Err(Error::Transport { url, source: source.without_url() });
            }
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
        let new = bytes.split_off(usize::try_from(known).unwrap_or(bytes.len()));
        if new.len() as u64 > self.size - self.position {
            return Err(Error::TooLong { url, limit: self.size });
        }
        self.position += new.len() as u64;
        Ok(new)
    }

    /// Asks for the bytes that are missing.
    async fn open(&mut self) -> Result<Response, Error> {
        let start = (self.position > 0 && self.ranges).then_some(self.position);
        let request = Request::blob(&self.reference, &self.path, start);
        let response = self.transport.send(&request).await?;
        self.speed = Speed::default();
        let url = ShownUrl::of(response.url());
        match (response.status(), start) {
            (StatusCode::OK, _) => self.whole(response),
            (StatusCode::PARTIAL_CONTENT, Some(start)) if self.fits(&response, start) => {
                self.repeated = 0;
                self.transport.settings().events.tell(RegistryEvent::Resumed {
                    registry: self.reference.registry().to_owned(),
                    offset: start,
                });
                Ok(response)
            }
            _ => {
                self.ranges = false;
                Err(Error::Range { url })
            }
        }
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

    /// Whether the part that came is the one from `start` to the end.
    fn fits(&self, response: &Response, start: u64) -> bool {
        let length = response.content_length();
        length.is_none_or(|length| length == self.size - start)
            && range_fits(response.headers(), start, self.size)
    }
}

/// Whether an answer holds the bytes from `start` to the end of `size` (RFC 9110, section 14.4).
fn range_fits(headers: &HeaderMap, start: u64, size: u64) -> bool {
    let said = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let Some(said) = said.and_then(|said| said.trim().strip_prefix("bytes ")) else {
        return false;
    };
    let Some((range, total)) = said.split_once('/') else {
        return false;
    };
    let expected = format!("{start}-{}", size.saturating_sub(1));
    range == expected && (total == "*" || total == size.to_string())
}

/// The speed of a transfer, over time that was waited for bytes: a slow reader does not count.
#[derive(Debug, Default)]
struct Speed {
    waited: Duration,
    bytes: u64,
}

impl Speed {
    fn suffices(&mut self, bytes: usize, waited: Duration, timeouts: &Timeouts) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < timeouts.speed_window {
            return true;
        }
        let least = u128::from(timeouts.bytes_per_s_min) * self.waited.as_millis() / 1000;
        let enough = u128::from(self.bytes) >= least;
        *self = Self::default();
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_fits() {
        let fits = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, said.parse().unwrap());
            range_fits(&headers, 3, 10)
        };
        assert!(fits("bytes 3-9/10") && fits("bytes 3-9/*"));
        for said in ["bytes 2-9/10", "bytes 3-8/10", "bytes 3-9/11", "3-9/10", "bytes */10", ""] {
            assert!(!fits(said), "{said}");
        }
        assert!(!range_fits(&HeaderMap::new(), 3, 10));
    }

    #[test]
    fn speed_is_judged_over_a_window_and_not_before() {
        let mut speed = Speed::default();
        let second = Duration::from_secs(1);
        let timeouts =
            Timeouts { speed_window: 3 * second, bytes_per_s_min: 100, ..Timeouts::default() };
        let mut judge = |bytes| speed.suffices(bytes, second, &timeouts);
        assert!(judge(0) && judge(0) && !judge(299));
        assert!(judge(0) && judge(0) && judge(300));
    }
}
