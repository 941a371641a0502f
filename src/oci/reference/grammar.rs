//! Where the parts of a reference are in its text, and whether each is what it must be.

use core::net::Ipv6Addr;
use std::ops::Range;

use crate::oci::reference::error::{Fault, HOST_BYTES_MAX, ReferenceProblem, TAG_BYTES_MAX};

/// Where the parts of a reference are in its text, before anything is checked.
pub(super) struct Parts {
    pub(super) registry: Option<Range<usize>>,
    pub(super) repository: Range<usize>,
    pub(super) tag: Option<Range<usize>>,
    pub(super) digest: Option<Range<usize>>,
}

impl Parts {
    pub(super) fn of(text: &str) -> Self {
        let (name_end, digest) = match text.find('@') {
            Some(sign) => (sign, Some(sign + 1..text.len())),
            None => (text.len(), None),
        };
        let repository_start = match text[..name_end].find('/') {
            Some(slash) if is_registry(&text[..slash]) => slash + 1,
            _ => 0,
        };
        let (repository_end, tag) = match text[repository_start..name_end].find(':') {
            Some(colon) => {
                let colon = repository_start + colon;
                (colon, Some(colon + 1..name_end))
            }
            None => (name_end, None),
        };
        Self {
            registry: (repository_start > 0).then(|| 0..repository_start - 1),
            repository: repository_start..repository_end,
            tag,
            digest,
        }
    }
}

/// Docker's rule for the first component of a name (`splitDockerDomain`).
fn is_registry(component: &str) -> bool {
    component == "localhost"
        || component.contains(['.', ':'])
        || component.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Moves a fault found in a part to its place in the whole text.
pub(super) fn at(start: usize) -> impl Fn(Fault) -> Fault {
    move |(problem, offset)| (problem, start + offset)
}

pub(super) fn check_host(text: &str) -> Result<(), Fault> {
    let host_end = if text.starts_with('[') {
        let end = text.find(']').ok_or((ReferenceProblem::Host, 0))?;
        let address = &text[1..end];
        if address.contains('.') || address.parse::<Ipv6Addr>().is_err() {
            return Err((ReferenceProblem::Host, 1));
        }
        end + 1
    } else {
        let end = text.find(':').unwrap_or(text.len());
        check_host_name(&text[..end])?;
        end
    };
    match text[host_end..].strip_prefix(':') {
        Some(port) => check_port(port).map_err(at(host_end + 1)),
        None if host_end == text.len() => Ok(()),
        None => Err((ReferenceProblem::Host, host_end)),
    }
}

fn check_host_name(name: &str) -> Result<(), Fault> {
    if name.len() > HOST_BYTES_MAX {
        return Err((ReferenceProblem::HostTooLong, HOST_BYTES_MAX));
    }
    let mut start = 0;
    for label in name.split('.') {
        if label.is_empty() || label.starts_with('-') {
            return Err((ReferenceProblem::Host, start));
        }
        let wrong = label.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let wrong = wrong.or_else(|| label.ends_with('-').then(|| label.len() - 1));
        if let Some(offset) = wrong {
            return Err((ReferenceProblem::Host, start + offset));
        }
        start += label.len() + 1;
    }
    Ok(())
}

fn check_port(port: &str) -> Result<(), Fault> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err((ReferenceProblem::Port, 0)),
    }
}

pub(super) fn check_repository(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err((ReferenceProblem::Empty, 0));
    }
    if let Some(offset) = name.find(|c: char| c.is_ascii_uppercase()) {
        return Err((ReferenceProblem::UpperCase, offset));
    }
    let mut start = 0;
    for component in name.split('/') {
        check_component(component).map_err(at(start))?;
        start += component.len() + 1;
    }
    Ok(())
}

/// A component is words of letters and digits, joined by `.`, `_`, `__` or any number of dashes.
fn check_component(component: &str) -> Result<(), Fault> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let mut offset = 0;
    loop {
        let word = bytes[offset..].iter().take_while(|byte| is_word(**byte)).count();
        if word == 0 {
            return Err((ReferenceProblem::Repository, offset));
        }
        offset += word;
        match &bytes[offset..] {
            [] => return Ok(()),
            [b'-', rest @ ..] => offset += 1 + rest.iter().take_while(|b| **b == b'-').count(),
            [b'_', b'_', ..] => offset += 2,
            [b'_' | b'.', ..] => offset += 1,
            _ => return Err((ReferenceProblem::Repository, offset)),
        }
    }
}

pub(super) fn check_tag(tag: &str) -> Result<(), Fault> {
    if tag.is_empty() || tag.starts_with(['.', '-']) {
        return Err((ReferenceProblem::Tag, 0));
    }
    if let Some(offset) = tag.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c))) {
        return Err((ReferenceProblem::Tag, offset));
    }
    if tag.len() > TAG_BYTES_MAX {
        return Err((ReferenceProblem::TagTooLong, TAG_BYTES_MAX));
    }
    Ok(())
}
