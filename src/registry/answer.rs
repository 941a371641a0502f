//! Answers: which of them are failures, and bodies that are no longer than they may be.

use reqwest::{Response, StatusCode};

use crate::registry::error::Error;
use crate::registry::retry::retry_after;
use crate::registry::shown::{ERROR_BYTES_MAX, ShownUrl, Words};

/// Tells a success from a failure. 416 is no failure where a part was asked for.
pub(super) async fn check(
    response: Response,
    asked_for_part: bool,
    redirected: bool,
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
        words: words(response).await,
    })
}

/// What the registry says about its refusal. A body that breaks says nothing.
pub(super) async fn words(mut response: Response) -> Words {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BYTES_MAX {
            break;
        }
    }
    Words::of(&body)
}

/// A body of at most `limit` bytes.
pub(super) async fn read_bounded(mut response: Response, limit: u64) -> Result<Vec<u8>, Error> {
    let url = ShownUrl::of(response.url());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() as u64 + chunk.len() as u64 > limit => {
                return Err(Error::TooLong { url, limit });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(source) => return Err(Error::transport(url, source)),
        }
    }
}
