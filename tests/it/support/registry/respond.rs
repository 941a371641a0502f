//! The answers: the distribution protocol's read side, and what a fault makes of it.

use std::time::Duration;

use super::auth;
use super::fault::Effect;
use super::state::{Held, Seen, State};

/// An answer as data.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status; 0 closes the connection instead.
    pub(crate) status: u16,
    /// Headers, `Content-Length` excepted.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body of a GET.
    pub(crate) body: Vec<u8>,
    /// What ends the body early or never.
    pub(crate) end: End,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// After its last byte.
    Whole,
    /// Without a length, after this many bytes.
    Short(usize),
    /// By closing the connection after this many bytes.
    Cut(usize),
    /// Never: after this many bytes nothing comes.
    Stall(usize),
    /// Never: it is sent again and again.
    Endless,
    /// After its last byte, with this pause after each.
    Slow(Duration),
    /// By `GOAWAY` after this many bytes.
    GoAway(usize),
    /// Before it has begun: not even the status is sent.
    Silent,
}

impl Answer {
    /// A body of JSON.
    pub(crate) fn json(status: u16, text: String) -> Self {
        Self::body(status, "application/json", text.into_bytes())
    }

    /// An error in the distribution protocol's form.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let text = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}");
        Self::json(status, text)
    }

    fn body(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type", media_type.to_owned())],
            body,
            end: End::Whole,
        }
    }

    /// The same with one header more.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }
}

/// The answer to `seen`, faults included.
pub(crate) fn answer(state: &State, seen: &Seen) -> Answer {
    let effect = super::fault::effect(&mut state.held().faults, &seen.method, &seen.path);
    let honest = |seen: &Seen| {
        if seen.path.starts_with("/token") {
            auth::token(state, seen)
        } else {
            protocol(state, seen)
        }
    };
    match effect {
        None => honest(seen),
        Some(Effect::IgnoreRange) => honest(&Seen { range: None, ..seen.clone() }),
        Some(effect) => spoil(honest(seen), effect, &seen.path),
    }
}

fn spoil(mut answer: Answer, effect: Effect, path: &str) -> Answer {
    let redirect =
        |url: String| Answer::body(307, "text/plain", Vec::new()).header("location", url);
    match effect {
        Effect::Answer(status, headers, body) => {
            return headers
                .into_iter()
                .fold(Answer::body(status, "text/plain", body), |answer, (name, value)| {
                    answer.header(name, value)
                });
        }
        Effect::CutAt(at) => answer.end = End::Cut(at),
        Effect::EndAt(at) => answer.end = End::Short(at),
        Effect::StallAt(at) => answer.end = End::Stall(at),
        Effect::Endless => answer.end = End::Endless,
        Effect::FlipAt(at) => answer.body[at] ^= 1,
        Effect::Append(bytes) => answer.body.extend(bytes),
        Effect::RedirectTo(base) => return redirect(format!("{base}{path}")),
        Effect::RedirectExactly(url) => return redirect(url),
        Effect::Header(name, value) => return answer.header(name, value),
        Effect::NoHeader(name) => answer.headers.retain(|(known, _)| *known != name),
        Effect::Reset => answer.status = 0,
        Effect::Silence => answer.end = End::Silent,
        Effect::Trickle(pause) => answer.end = End::Slow(pause),
        Effect::GoAwayAt(at) => answer.end = End::GoAway(at),
        Effect::IgnoreRange => {}
    }
    answer
}

fn protocol(state: &State, seen: &Seen) -> Answer {
    let path = seen.path.split('?').next().unwrap_or_default();
    let Some(rest) = path.strip_prefix("/v2/") else {
        return Answer::error(404, "NOT_FOUND", "not a registry path");
    };
    if rest.is_empty() {
        return Answer::json(200, "{}".to_owned());
    }
    let (repository, kind, name) =
        match (rest.rsplit_once("/manifests/"), rest.rsplit_once("/blobs/")) {
            (Some((repository, name)), _) => (repository, "manifests", name),
            (None, Some((repository, name))) => (repository, "blobs", name),
            (None, None) => return Answer::error(404, "NOT_FOUND", "neither manifest nor blob"),
        };
    if let Some(refusal) = auth::refusal(state, seen, repository) {
        return refusal;
    }
    let held = state.held();
    if kind == "manifests" {
        manifest(&held, repository, name)
    } else {
        blob(&held, name, seen.range.as_deref())
    }
}

fn manifest(held: &Held, repository: &str, name: &str) -> Answer {
    let key = (repository.to_owned(), name.to_owned());
    match held.manifests.get(&key) {
        Some(manifest) => Answer::body(200, &manifest.media_type, manifest.bytes.clone()),
        None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

fn blob(held: &Held, name: &str, range: Option<&str>) -> Answer {
    let Some(bytes) = held.blobs.get(name) else {
        return Answer::error(404, "BLOB_UNKNOWN", "blob unknown");
    };
    let total = bytes.len();
    let whole = || Answer::body(200, "application/octet-stream", bytes.clone());
    let Some((start, end)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return whole();
    };
    let Ok(start) = start.parse::<usize>() else {
        return whole();
    };
    if start >= total {
        return Answer::error(416, "RANGE_INVALID", "nothing there")
            .header("content-range", format!("bytes */{total}"));
    }
    let last = end.parse().unwrap_or(total - 1).min(total - 1);
    Answer::body(206, "application/octet-stream", bytes[start..=last].to_vec())
        .header("content-range", format!("bytes {start}-{last}/{total}"))
}
