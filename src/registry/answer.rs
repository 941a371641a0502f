//! Answers: which of them are failures, and bodies that are neither longer nor slower than they may be.

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use crate::registry::error::Error;
use crate::registry::retry::retry_after;
use crate::registry::settings::Timeouts;
use crate::registry::shown::{ERROR_BYTES_MAX, ShownUrl, Words};
use crate::registry::speed::Speed;

/// Tells a success from a failure. 416 is no failure where a part was asked for.
pub(super) async fn check(
    response: Response,
    asked_for_part: bool,
    redirected: bool,
    timeouts: &Timeouts,
) -> Result<Response, Error> {
    let status = response.status();
    let is_range_answer = status == StatusCode::RANGE_NOT_SATISFIABLE && asked_for_part;
    if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT || is_range_answer {
        return Ok(response);
    }
    Err(Error::Status {
        url: ShownUrl::of(response.url()),
        status: status.as_u16(),
        retry_after: retry_after(response.headers()),
        redirected,
        words: words(response, timeouts).await,
    })
}

/// What the registry says about its refusal. A body that breaks says nothing more.
pub(super) async fn words(response: Response, timeouts: &Timeouts) -> Words {
    let mut body = Vec::new();
    let mut chunks = Chunks::of(response, timeouts);
    while let Ok(Some(chunk)) = chunks.next().await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BYTES_MAX {
            break;
        }
    }
    Words::of(&body)
}

/// A body of at most `limit` bytes.
pub(super) async fn read_bounded(
    response: Response,
    limit: u64,
    timeouts: &Timeouts,
) -> Result<Vec<u8>, Error> {
    let url = ShownUrl::of(response.url());
    let mut body = Vec::new();
    let mut chunks = Chunks::of(response, timeouts);
    while let Some(chunk) = chunks.next().await? {
        if body.len() as u64 + chunk.len() as u64 > limit {
            return Err(Error::TooLong { url, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A body under way.
struct Chunks<'a> {
    response: Response,
    speed: Speed,
    timeouts: &'a Timeouts,
}

impl<'a> Chunks<'a> {
    fn of(response: Response, timeouts: &'a Timeouts) -> Self {
        Self { response, speed: Speed::default(), timeouts }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let url = ShownUrl::of(self.response.url());
        let since = Instant::now();
        let chunk = match self.response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(None),
            Err(source) => return Err(Error::transport(url, source)),
        };
        if !self.speed.suffices(chunk.len(), since.elapsed(), self.timeouts) {
            return Err(Error::TooSlow { url, bytes_per_s: self.timeouts.bytes_per_s_min });
        }
        Ok(Some(chunk))
    }
}
