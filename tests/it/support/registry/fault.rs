//! How the registry misbehaves: which requests, and what happens to their answers.

use std::ops::Range;
use std::time::Duration;

/// A rule: the requests it applies to and what is done to them.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    method: Option<String>,
    path_part: String,
    which: Range<u64>,
    matched: u64,
    /// What happens.
    pub(crate) effect: Effect,
}

/// What happens to an answer.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// This status, these headers and this body instead of the answer.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection is closed after this many bytes of the body.
    CutAt(usize),
    /// The connection stays open after this many bytes of the body, and nothing more comes.
    StallAt(usize),
    /// The body is announced without a length and ends, as if it were whole, after this many bytes.
    EndAt(usize),
    /// One bit of the byte at this position of the body is flipped.
    FlipAt(usize),
    /// These bytes follow the body, and `Content-Length` counts them.
    Append(Vec<u8>),
    /// The body has no end and no `Content-Length`.
    Endless,
    /// 307 to this base URL with the same path.
    RedirectTo(String),
    /// 307 to exactly this URL.
    RedirectExactly(String),
    /// The whole body with 200, whatever range was asked for.
    IgnoreRange,
    /// This header with this value, in place of the true one.
    Header(&'static str, String),
    /// The answer without this header.
    NoHeader(&'static str),
    /// The connection is closed without an answer.
    Reset,
    /// The connection stays open, and no answer comes.
    Silence,
    /// The body comes a byte at a time, with this pause after each.
    Trickle(Duration),
    /// HTTP/2: the connection is given up by `GOAWAY` after this many bytes of the body.
    GoAwayAt(usize),
}

impl Fault {
    /// `effect` for each request whose path contains `path_part`.
    pub(crate) fn on(path_part: &str, effect: Effect) -> Self {
        Self {
            method: None,
            path_part: path_part.to_owned(),
            which: 0..u64::MAX,
            matched: 0,
            effect,
        }
    }

    /// Only for requests with this method.
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only for the first `count` of them.
    pub(crate) fn first(self, count: u64) -> Self {
        self.nth(0..count)
    }

    /// Only for these of them, counted from 0.
    pub(crate) fn nth(mut self, which: Range<u64>) -> Self {
        self.which = which;
        self
    }

    /// Whether this request is one of them; counts it.
    pub(crate) fn applies(&mut self, method: &str, path: &str) -> bool {
        if !path.contains(&self.path_part) || self.method.as_deref().is_some_and(|m| m != method) {
            return false;
        }
        self.matched += 1;
        self.which.contains(&(self.matched - 1))
    }
}

/// The effect for this request: that of the first rule that applies. Each rule counts for itself.
pub(crate) fn effect(faults: &mut [Fault], method: &str, path: &str) -> Option<Effect> {
    let mut applying = None;
    for fault in faults {
        if fault.applies(method, path) && applying.is_none() {
            applying = Some(fault.effect.clone());
        }
    }
    applying
}
