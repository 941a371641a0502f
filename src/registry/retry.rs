//! Whether a failed request is made again, and when.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::registry::error::Error;
use crate::registry::settings::{Retry, Settings};

/// The tries of one request that are left.
#[derive(Debug)]
pub(super) struct Tries {
    retry: Retry,
    failed: u32,
    backoff: ExponentialBackoff,
}

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// This request waits.
    Own(Duration),
    /// The registry asked for a pause: all requests to it wait.
    Asked(Duration),
}

impl Tries {
    /// All tries of a request.
    pub(super) fn new(settings: &Settings) -> Self {
        Self { retry: settings.retry, failed: 0, backoff: backoff(settings.retry) }
    }

    /// Something useful came: the count starts again.
    pub(super) fn progress(&mut self) {
        if self.failed > 0 {
            self.failed = 0;
            self.backoff = backoff(self.retry);
        }
    }

    /// Decides about `error`: a pause before the next try, or the error that ends the request.
    pub(super) fn after(&mut self, error: &Error) -> Option<Pause> {
        self.failed += 1;
        if !error.is_transient() || self.failed >= self.retry.tries_max {
            return None;
        }
        match *error {
            Error::Status { retry_after: Some(delay), .. } => Some(Pause::Asked(delay)),
            _ => self.backoff.next().map(Pause::Own),
        }
    }
}

fn backoff(retry: Retry) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(retry.delay_min)
        .with_max_delay(retry.delay_max)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}

/// The pause that an answer's `Retry-After` asks for: seconds, or a date, which is measured against the
/// answer's own `Date` so that clocks need not agree (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &str, date: &str, expected_s: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, asked.parse().unwrap());
        headers.insert(DATE, date.parse().unwrap());
        assert_eq!(retry_after(&headers), expected_s.map(Duration::from_secs));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        check("7", now, Some(7));
        check("Sun, 06 Nov 1994 08:50:37 GMT", now, Some(60));
        check("Sun, 06 Nov 1994 08:00:00 GMT", now, Some(0));
        check("soon", now, None);
    }
}
