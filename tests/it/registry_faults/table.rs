//! The table of faults. Requests are those for what the phase is about: the first one for the index, which
//! is refused and tells of the token server, counts, and so does the first one for a layer that is resumed.

use std::time::Duration;

use sandbox_images::registry::error::ErrorKind;

use super::scene::LAYER;
use crate::support::pull::HALF;
use crate::support::registry::fault::Effect;

/// What is being fetched when something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Token,
    Index,
    Manifest,
    Config,
    Blob,
    Resume,
}

/// The columns.
pub(super) const PHASES: [Phase; 6] =
    [Phase::Token, Phase::Index, Phase::Manifest, Phase::Config, Phase::Blob, Phase::Resume];

/// What kind of thing goes wrong. Mirrors, proxies, HEAD and helpers have tables of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Dns,
    Refused,
    TlsUntrusted,
    TlsName,
    NotTls,
    NotHttp,
    HeaderFlood,
    Reset,
    Silence,
    Cut,
    Short,
    Long,
    Endless,
    Stall,
    Trickle,
    LyingLength,
    RangeStart,
    RangeEnd,
    RangeTotal,
    RangeMissing,
    RangeIgnored,
    RangeRefused,
    LimitSeconds,
    LimitDate,
    LimitUnsaid,
    LimitTooLong,
    ServerError,
    TokenExpired,
    Forbidden,
    Vanished,
    LyingType,
    LyingDigest,
    CaptivePortal,
    Encoded,
    OtherBytes,
    Warning,
    GoAway,
}

/// Whose answers are spoiled, and how.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spoils {
    /// The registry's own answer.
    Answer(fn() -> Effect),
    /// The registry leads to a host that has no address.
    NoName,
    /// It leads to a port where nobody listens.
    NobodyListens,
    /// It leads to who sends these bytes to everybody.
    Raw(fn() -> Vec<u8>),
    /// It leads to https where only http is spoken.
    NoTls,
    /// It leads to a certificate of an unknown authority.
    Untrusted,
    /// It leads to a certificate of a known authority for another name.
    OtherName,
}

/// How often it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Always,
}

/// A row: a fault, and what it leads to in each phase.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) class: Class,
    pub(super) what: &'static str,
    pub(super) times: Times,
    pub(super) spoils: Spoils,
    pub(super) cells: [Cell; 6],
    /// How long the client waits for bytes, where it is not to wait long.
    pub(super) patience_ms: Option<u64>,
    /// Over how long the client measures the speed, where that matters.
    pub(super) speed_window_ms: Option<u64>,
    /// The registry speaks HTTP/2 over TLS.
    pub(super) http2: bool,
}

/// A fault in a phase.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell {
    /// How the pull ends, what it costs.
    Runs { ends: Option<&'static str>, requests: usize, bytes: Bytes },
    /// Why there is nothing to see.
    NoSense(&'static str),
}

/// Bytes of the layer that the registry sends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bytes {
    /// All of them if the pull succeeds, else none.
    Usual,
    Exactly(u64),
    /// As many as were on their way when the client hung up.
    AtMost(u64),
}

/// The pull succeeds after this many requests.
const fn ok(requests: usize) -> Cell {
    Cell::Runs { ends: None, requests, bytes: Bytes::Usual }
}

/// The pull fails like this after this many requests.
const fn fails(name: &'static str, requests: usize) -> Cell {
    Cell::Runs { ends: Some(name), requests, bytes: Bytes::Usual }
}

const fn none(reason: &'static str) -> Cell {
    Cell::NoSense(reason)
}

impl Cell {
    const fn sending(self, sent: u64) -> Self {
        match self {
            Self::Runs { ends, requests, .. } => {
                Self::Runs { ends, requests, bytes: Bytes::Exactly(sent) }
            }
            none @ Self::NoSense(_) => none,
        }
    }

    const fn sending_at_most(self, sent: u64) -> Self {
        match self {
            Self::Runs { ends, requests, .. } => {
                Self::Runs { ends, requests, bytes: Bytes::AtMost(sent) }
            }
            none @ Self::NoSense(_) => none,
        }
    }
}

const fn once(class: Class, what: &'static str, spoils: Spoils, cells: [Cell; 6]) -> Row {
    let (times, http2) = (Times::Once, false);
    Row { class, what, times, spoils, cells, patience_ms: None, speed_window_ms: None, http2 }
}

const fn always(class: Class, what: &'static str, spoils: Spoils, cells: [Cell; 6]) -> Row {
    Row { times: Times::Always, ..once(class, what, spoils, cells) }
}

const fn impatient(mut row: Row) -> Row {
    row.patience_ms = Some(250);
    row
}

const fn measuring(mut row: Row) -> Row {
    row.speed_window_ms = Some(200);
    row
}

const fn over_http2(mut row: Row) -> Row {
    row.http2 = true;
    row
}

fn status(status: u16) -> Effect {
    Effect::Answer(status, Vec::new(), Vec::new())
}

fn limit(retry_after: &str) -> Effect {
    Effect::Answer(429, vec![("retry-after", retry_after.to_owned())], Vec::new())
}

fn header(name: &'static str, value: &str) -> Effect {
    Effect::Header(name, value.to_owned())
}

fn page() -> Effect {
    let html = vec![("content-type", "text/html".to_owned())];
    Effect::Answer(200, html, b"<html>Please log in to our wireless network</html>".to_vec())
}

/// What the failures mean to the caller, and so to the exit code.
pub(super) const KINDS: &[(&str, ErrorKind)] = &[
    ("Transport", ErrorKind::Network),
    ("Certificate", ErrorKind::Certificate),
    ("Truncated", ErrorKind::Network),
    ("TooSlow", ErrorKind::Network),
    ("Range", ErrorKind::Network),
    ("Status 408", ErrorKind::Network),
    ("Status 416", ErrorKind::Network),
    ("Status 500", ErrorKind::Network),
    ("Status 502", ErrorKind::Network),
    ("Status 503", ErrorKind::Network),
    ("Status 504", ErrorKind::Network),
    ("Status 404", ErrorKind::NotFound),
    ("Status 429", ErrorKind::RateLimited),
    ("RateLimited", ErrorKind::RateLimited),
    ("Denied", ErrorKind::Denied),
    ("NoToken", ErrorKind::Protocol),
    ("Size", ErrorKind::Integrity),
    ("TooLong", ErrorKind::Integrity),
    ("Document Json", ErrorKind::Integrity),
    ("Document Size", ErrorKind::Integrity),
    ("Document Digest", ErrorKind::Integrity),
    ("Document MediaType", ErrorKind::Integrity),
    ("other layer", ErrorKind::Integrity),
];

const HALF_BYTES: u64 = HALF as u64;

const WITH_RANGE: &str = "only a layer is asked for by range";
const NEVER_WHOLE: &str = "without a digest, a text that ends early is a text";
const NO_TOKEN_PART: &str = "a token's text ends where its JSON ends";
const TOKENS_BYTES: &str = "any token is as good as another until it is refused";
const ANY_TAG: &str = "a tag names whatever comes";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    always(Class::Dns, "a host without an address", Spoils::NoName,
        [fails("Transport", 0), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),
    always(Class::Refused, "a port where nobody listens", Spoils::NobodyListens,
        [fails("Transport", 0), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),
    once(Class::Refused, "a port where nobody listens, once", Spoils::NobodyListens,
        [none("the token server's address does not change"), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::TlsUntrusted, "a certificate of an unknown authority", Spoils::Untrusted,
        [fails("Certificate", 0), fails("Certificate", 2), fails("Certificate", 1), fails("Certificate", 1), fails("Certificate", 1), fails("Certificate", 2).sending(HALF_BYTES)]),
    always(Class::TlsName, "a certificate for another name", Spoils::OtherName,
        [fails("Certificate", 0), fails("Certificate", 2), fails("Certificate", 1), fails("Certificate", 1), fails("Certificate", 1), fails("Certificate", 2).sending(HALF_BYTES)]),
    always(Class::NotTls, "http where https is asked for", Spoils::NoTls,
        [fails("Transport", 0), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),
    always(Class::NotHttp, "another protocol", Spoils::Raw(|| b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        [fails("Transport", 0), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),
    always(Class::HeaderFlood, "a megabyte of headers", Spoils::Raw(|| { let mut all = b"HTTP/1.1 200 OK\r\n".to_vec(); all.extend(b"x-pad: 0123456789abcdef\r\n".repeat(40_000)); all }),
        [fails("Transport", 0), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),

    once(Class::Reset, "closed before the answer, once", Spoils::Answer(|| Effect::Reset),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::Reset, "closed before the answer", Spoils::Answer(|| Effect::Reset),
        [fails("Transport", 3), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),
    impatient(once(Class::Silence, "no answer, once", Spoils::Answer(|| Effect::Silence),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)])),
    impatient(always(Class::Silence, "no answer", Spoils::Answer(|| Effect::Silence),
        [fails("Transport", 3), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)])),
    once(Class::Cut, "cut after 20 bytes, once", Spoils::Answer(|| Effect::CutAt(20)),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    once(Class::Cut, "cut at once, once", Spoils::Answer(|| Effect::CutAt(0)),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::Cut, "cut at once", Spoils::Answer(|| Effect::CutAt(0)),
        [fails("Transport", 3), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)]),
    once(Class::Short, "ends early as if it were whole, once", Spoils::Answer(|| Effect::EndAt(40)),
        [none(NO_TOKEN_PART), none(NEVER_WHOLE), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::Short, "ends early as if it were whole", Spoils::Answer(|| Effect::EndAt(10)),
        [fails("NoToken", 1), fails("Document Json", 2), fails("Document Size", 2), fails("Document Size", 2), none("ten bytes are progress, and thirty times ten bytes are tested beside"), none("the same")]),
    always(Class::Short, "ends at once as if it were whole", Spoils::Answer(|| Effect::EndAt(0)),
        [fails("NoToken", 1), fails("Document Json", 2), fails("Document Size", 2), fails("Document Size", 2), fails("Truncated", 3), fails("Truncated", 3).sending(HALF_BYTES)]),
    once(Class::Long, "a byte too many, once", Spoils::Answer(|| Effect::Append(b"x".to_vec())),
        [none(NO_TOKEN_PART), none(NEVER_WHOLE), ok(2), ok(2), none("a layer of another length is final"), ok(3).sending_at_most(3 * LAYER)]),
    always(Class::Long, "a byte too many", Spoils::Answer(|| Effect::Append(b"x".to_vec())),
        [fails("NoToken", 1), fails("Document Json", 2), fails("TooLong", 2), fails("TooLong", 2), fails("Size", 1).sending_at_most(LAYER + 1), fails("Size", 3).sending_at_most(3 * LAYER)]),
    always(Class::Endless, "no end", Spoils::Answer(|| Effect::Endless),
        [fails("NoToken", 1), fails("TooLong", 3), fails("TooLong", 2), fails("TooLong", 2), fails("TooLong", 1).sending_at_most(u64::MAX), fails("TooLong", 2).sending_at_most(u64::MAX)]),
    impatient(once(Class::Stall, "stalls after 20 bytes, once", Spoils::Answer(|| Effect::StallAt(20)),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)])),
    impatient(always(Class::Stall, "stalls at once", Spoils::Answer(|| Effect::StallAt(0)),
        [fails("Transport", 3), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)])),
    measuring(once(Class::Trickle, "a byte in 10 ms, once", Spoils::Answer(|| Effect::Trickle(Duration::from_millis(10))),
        [ok(2), ok(3), ok(2), ok(2), ok(2).sending_at_most(LAYER + 1000), ok(3).sending_at_most(LAYER + 1000)])),
    always(Class::LyingLength, "a length that is too great", Spoils::Answer(|| header("content-length", "200000")),
        [fails("Transport", 3), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Size", 1).sending_at_most(LAYER), fails("Size", 3).sending_at_most(3 * LAYER)]),
    always(Class::LyingLength, "a length that is too small", Spoils::Answer(|| header("content-length", "7")),
        [fails("NoToken", 1), fails("Document Json", 2), fails("Document Size", 2), fails("Document Size", 2), fails("Size", 1).sending_at_most(LAYER), fails("Size", 3).sending_at_most(3 * LAYER)]),

    once(Class::RangeStart, "a part from another byte", Spoils::Answer(|| header("content-range", "bytes 1-99999/100000")),
        [none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none("without a range, the status says that the body is whole"), ok(3).sending_at_most(3 * LAYER)]),
    once(Class::RangeEnd, "a part to another byte", Spoils::Answer(|| header("content-range", "bytes 50000-99998/100000")),
        [none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none("without a range, the status says that the body is whole"), ok(3).sending_at_most(3 * LAYER)]),
    once(Class::RangeTotal, "a part of another whole", Spoils::Answer(|| header("content-range", "bytes 50000-99999/100001")),
        [none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none("without a range, the status says that the body is whole"), ok(3).sending_at_most(3 * LAYER)]),
    once(Class::RangeMissing, "a part that says nothing of itself", Spoils::Answer(|| Effect::NoHeader("content-range")),
        [none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none("without a range, the status says that the body is whole"), ok(3).sending_at_most(3 * LAYER)]),
    always(Class::RangeIgnored, "all of it, whatever was asked for", Spoils::Answer(|| Effect::IgnoreRange),
        [none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), ok(1), ok(2).sending(HALF_BYTES + LAYER)]),
    once(Class::RangeRefused, "416", Spoils::Answer(|| status(416)),
        [none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), none(WITH_RANGE), fails("Status 416", 1), ok(3).sending(HALF_BYTES + LAYER)]),

    once(Class::LimitSeconds, "429 for no seconds, once", Spoils::Answer(|| limit("0")),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::LimitSeconds, "429 for no seconds", Spoils::Answer(|| limit("0")),
        [fails("Status 429", 3), fails("Status 429", 4), fails("Status 429", 3), fails("Status 429", 3), fails("Status 429", 3), fails("Status 429", 3).sending(HALF_BYTES)]),
    once(Class::LimitDate, "429 until a date that has passed", Spoils::Answer(|| limit("Sun, 06 Nov 1994 08:49:37 GMT")),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::LimitDate, "429 until a date far away", Spoils::Answer(|| limit("Fri, 31 Dec 9999 23:59:59 GMT")),
        [fails("RateLimited", 1), fails("RateLimited", 2), fails("RateLimited", 1), fails("RateLimited", 1), fails("RateLimited", 1), fails("RateLimited", 2).sending(HALF_BYTES)]),
    once(Class::LimitUnsaid, "429 for unsaid time", Spoils::Answer(|| status(429)),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    once(Class::LimitUnsaid, "429 for a time in no form that is known", Spoils::Answer(|| limit("soon")),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::LimitTooLong, "429 for two minutes and a second", Spoils::Answer(|| limit("121")),
        [fails("RateLimited", 1), fails("RateLimited", 2), fails("RateLimited", 1), fails("RateLimited", 1), fails("RateLimited", 1), fails("RateLimited", 2).sending(HALF_BYTES)]),
    always(Class::LimitTooLong, "429 for more seconds than there are", Spoils::Answer(|| limit("18446744073709551615")),
        [fails("RateLimited", 1), fails("RateLimited", 2), fails("RateLimited", 1), fails("RateLimited", 1), fails("RateLimited", 1), fails("RateLimited", 2).sending(HALF_BYTES)]),
    once(Class::ServerError, "500, once", Spoils::Answer(|| status(500)), [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::ServerError, "500", Spoils::Answer(|| status(500)),
        [fails("Status 500", 3), fails("Status 500", 4), fails("Status 500", 3), fails("Status 500", 3), fails("Status 500", 3), fails("Status 500", 3).sending(HALF_BYTES)]),
    once(Class::ServerError, "502, once", Spoils::Answer(|| status(502)), [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    once(Class::ServerError, "503, once", Spoils::Answer(|| status(503)), [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    once(Class::ServerError, "504, once", Spoils::Answer(|| status(504)), [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),
    once(Class::ServerError, "408, once", Spoils::Answer(|| status(408)), [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)]),

    once(Class::TokenExpired, "401, once", Spoils::Answer(|| status(401)),
        [fails("Denied", 2), fails("Denied", 2), ok(2), ok(2), ok(2), ok(3)]),
    always(Class::TokenExpired, "401", Spoils::Answer(|| status(401)),
        [fails("Denied", 2), fails("Denied", 2), fails("Denied", 2), fails("Denied", 2), fails("Denied", 2), fails("Denied", 3).sending(HALF_BYTES)]),
    always(Class::Forbidden, "403", Spoils::Answer(|| status(403)),
        [fails("Denied", 2), fails("Denied", 2), fails("Denied", 1), fails("Denied", 1), fails("Denied", 1), fails("Denied", 2).sending(HALF_BYTES)]),
    always(Class::Vanished, "404", Spoils::Answer(|| status(404)),
        [fails("Status 404", 1), fails("Status 404", 2), fails("Status 404", 1), fails("Status 404", 1), fails("Status 404", 1), fails("Status 404", 2).sending(HALF_BYTES)]),
    always(Class::LyingType, "a page by its type", Spoils::Answer(|| header("content-type", "text/html")),
        [ok(1), fails("Document MediaType", 2), ok(1), ok(1), ok(1), ok(2)]),
    always(Class::LyingType, "an artifact by its type", Spoils::Answer(|| header("content-type", "application/vnd.oci.image.manifest.v1+json")),
        [ok(1), fails("Document MediaType", 2), ok(1), ok(1), ok(1), ok(2)]),
    always(Class::LyingDigest, "another digest by its header", Spoils::Answer(|| header("docker-content-digest", "sha256:0000000000000000000000000000000000000000000000000000000000000000")),
        [ok(1), ok(2), ok(1), ok(1), ok(1), ok(2)]),
    always(Class::CaptivePortal, "a page for a browser with 200", Spoils::Answer(page),
        [fails("NoToken", 1), fails("Document Json", 2), fails("Document Size", 2), fails("Document Size", 2), fails("Size", 1).sending_at_most(100), fails("Size", 2).sending_at_most(HALF_BYTES + 100)]),
    once(Class::CaptivePortal, "a page for a browser with 200, once", Spoils::Answer(page),
        [fails("NoToken", 1), fails("Document Json", 2), ok(2), ok(2), fails("Size", 1).sending_at_most(100), fails("Size", 2).sending_at_most(HALF_BYTES + 100)]),
    always(Class::Encoded, "an encoding by its header alone", Spoils::Answer(|| header("content-encoding", "gzip")),
        [ok(1), ok(2), ok(1), ok(1), ok(1), ok(2)]),
    always(Class::Encoded, "a body that is encoded", Spoils::Answer(|| Effect::Answer(200, vec![("content-encoding", "gzip".to_owned())], b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".to_vec())),
        [fails("NoToken", 1), fails("Document Json", 2), fails("Document Size", 2), fails("Document Size", 2), fails("Size", 1).sending_at_most(100), fails("Size", 2).sending_at_most(HALF_BYTES + 100)]),
    once(Class::OtherBytes, "the right length and another byte, once", Spoils::Answer(|| Effect::FlipAt(30)),
        [none(TOKENS_BYTES), none(ANY_TAG), ok(2), ok(2), fails("other layer", 1).sending(LAYER), fails("other layer", 2).sending(LAYER)]),
    always(Class::OtherBytes, "the right length and another byte", Spoils::Answer(|| Effect::FlipAt(30)),
        [none(TOKENS_BYTES), none(ANY_TAG), fails("Document Digest", 2), fails("Document Digest", 2), fails("other layer", 1).sending(LAYER), fails("other layer", 2).sending(LAYER)]),
    always(Class::Warning, "a warning", Spoils::Answer(|| header("warning", "299 - \"this registry will be gone\"")),
        [ok(1), ok(2), ok(1), ok(1), ok(1), ok(2)]),
    over_http2(once(Class::GoAway, "the connection is given up in the middle, once", Spoils::Answer(|| Effect::GoAwayAt(30)),
        [ok(2), ok(3), ok(2), ok(2), ok(2), ok(3)])),
    over_http2(always(Class::GoAway, "the connection is given up before the body", Spoils::Answer(|| Effect::GoAwayAt(0)),
        [fails("Transport", 3), fails("Transport", 4), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3), fails("Transport", 3).sending(HALF_BYTES)])),
];
