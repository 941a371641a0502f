//! Does the lock satisfy `sandbox-images.toml`, and if not, why.
//!
//! [`check`] compares two values and nothing else: no network, no clock, no local source is opened. Every
//! reason is found in one run. What could be done about it without a network is decided here too, because it
//! follows from the reasons: [`Stale::needs`].

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::oci::platform::Platform;
use crate::spec::diagnostic::{Diagnostic, Label, Source};
use crate::spec::lockfile::merge::Settled;
use crate::spec::lockfile::{Lock, LockedImage, REVISION};
use crate::spec::manifest_file::{ImageSet, ImageSpec};
use crate::spec::name::ImageName;
use crate::spec::source::ImageSource;

#[cfg(test)]
mod tests;

/// What there is of a lock.
#[derive(Debug, Clone, Copy)]
pub enum LockState<'l> {
    /// There is no file.
    Missing,
    /// A merge left its markers in the file.
    Conflicted(&'l Settled),
    /// There is a lock.
    Present(&'l Lock),
}

/// Why a lock does not satisfy an image set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There is no lock.
    MissingLock,
    /// The lock has a merge's markers.
    ConflictMarkers,
    /// An image is not locked.
    Added,
    /// A locked image is not wanted any more.
    Removed,
    /// An image is locked for another source.
    SourceChanged,
    /// An image is not locked for a platform.
    PlatformAdded,
    /// An image is locked for a platform that is not wanted any more.
    PlatformRemoved,
    /// The lock's block was edited: its sum, or its source's digest, does not fit, or it lacks digests of
    /// artifacts that other blocks have.
    InconsistentBlock,
    /// The lock would have to be written, and a newer tool's must not be.
    NewerRevision,
}

impl Reason {
    /// The reason's stable name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingLock => "missing-lock",
            Self::ConflictMarkers => "conflict-markers",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::SourceChanged => "source-changed",
            Self::PlatformAdded => "platform-added",
            Self::PlatformRemoved => "platform-removed",
            Self::InconsistentBlock => "inconsistent-block",
            Self::NewerRevision => "newer-revision",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What it takes to make one difference go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Nothing but the lock: something is taken out of it.
    Nothing,
    /// The image is on this machine and must be looked at.
    LocalSource,
    /// A registry must be asked.
    Network,
    /// A newer tool.
    NewerTool,
}

/// One difference between an image set and a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// Its kind.
    pub reason: Reason,
    /// The image it is about; `None` if it is about the lock as a whole.
    pub image: Option<ImageName>,
    /// The platform it is about, if it is about one.
    pub platform: Option<Platform>,
    /// What differs, as one clause that stands at its place in the file.
    pub text: String,
    /// What it takes to resolve it.
    pub needs: Needs,
    /// Its place in `sandbox-images.toml`.
    #[serde(rename = "image_set_range")]
    pub set_span: Option<Range<usize>>,
    /// Its place in the lock.
    #[serde(rename = "lock_range")]
    pub lock_span: Option<Range<usize>>,
}

/// Every difference between `set` and `lock`; none if the lock satisfies the set. Differences of the lock as a
/// whole come first, then the images in the order of their names.
///
/// Without a lock the answer is one reason for the file, then `added` for each image. A lock with a merge's
/// markers has them as its first difference, then those of what is between them.
pub fn check(set: &ImageSet, lock: LockState<'_>) -> Vec<Stale> {
    let (lock, mut stale) = match lock {
        LockState::Present(lock) => (lock, Vec::new()),
        LockState::Conflicted(settled) => (&settled.lock, conflicts(settled)),
        LockState::Missing => {
            let missing = whole(Reason::MissingLock, "there is no lock", None);
            let images = set.images.iter().map(|(name, wanted)| added(name, wanted));
            return std::iter::once(missing).chain(images).collect();
        }
    };
    let of_whole = stale.len().min(1);
    let locked = lock.images().map(|(name, _)| name);
    for name in set.images.keys().chain(locked).collect::<BTreeSet<&ImageName>>() {
        match (set.images.get(name), lock.image(name.as_str())) {
            (Some(wanted), Some(locked)) => compare(name, wanted, locked, lock, &mut stale),
            (Some(wanted), None) => stale.push(added(name, wanted)),
            (None, _) => stale.push(removed(name, lock)),
        }
    }
    if lock.is_newer() && !stale.is_empty() {
        let text = format!(
            "the lock has revision {}, this tool writes revision {REVISION}",
            lock.revision()
        );
        let newer = whole(Reason::NewerRevision, &text, None);
        stale.insert(of_whole, Stale { needs: Needs::NewerTool, ..newer });
    }
    stale
}

/// The markers, and the images of which one side's pin was given up for the other's.
fn conflicts(settled: &Settled) -> Vec<Stale> {
    let marker = Some(settled.marker.clone());
    let markers = whole(Reason::ConflictMarkers, "a merge left its markers", marker);
    let moved_twice = settled.moved_twice.iter().map(|name| Stale {
        image: Some(name.clone()),
        ..whole(
            Reason::ConflictMarkers,
            &format!("both sides moved image `{name}`, the first side's pin is kept"),
            settled.lock.name_span(name.as_str()),
        )
    });
    std::iter::once(markers).chain(moved_twice).collect()
}

/// The images whose pins must be found again, in the order of their names. All others stay as they are.
pub fn to_resolve(stale: &[Stale]) -> BTreeSet<&ImageName> {
    stale
        .iter()
        .filter(|stale| matches!(stale.needs, Needs::LocalSource | Needs::Network))
        .filter_map(|stale| stale.image.as_ref())
        .collect()
}

/// Whether a lock can be made that satisfies the set without asking a registry.
pub fn is_fixable_offline(stale: &[Stale]) -> bool {
    stale.iter().all(|stale| matches!(stale.needs, Needs::Nothing | Needs::LocalSource))
}

/// One diagnostic for all differences, with a label for each that has a place in a file; `None` if there are
/// none. `locked_images` is the number of images that the lock has now.
///
/// Its code is `missing-lock`, `conflict-markers` or `lock-stale`.
pub fn diagnostic(stale: &[Stale], locked_images: usize) -> Option<Diagnostic> {
    let first = stale.first()?;
    let error = |code, message: &str| Diagnostic::error(code, Source::Lock, message);
    Some(match first.reason {
        Reason::MissingLock => error("missing-lock", "sandbox-images.lock does not exist")
            .help("run `sandbox-images lock` and commit the result"),
        Reason::ConflictMarkers => conflicted(stale, locked_images),
        _ => lock_stale(stale, locked_images),
    })
}

fn conflicted(stale: &[Stale], locked_images: usize) -> Diagnostic {
    let message = "sandbox-images.lock has conflict markers of a merge";
    let conflicts = stale.iter().filter(|stale| stale.reason == Reason::ConflictMarkers);
    let remedy = if stale.iter().any(|stale| stale.reason == Reason::NewerRevision) {
        remedy(stale, locked_images)
    } else {
        "run `sandbox-images lock`, which understands the markers, and commit the result".to_owned()
    };
    pointing("conflict-markers", Source::Lock, message, conflicts).help(remedy)
}

fn lock_stale(stale: &[Stale], locked_images: usize) -> Diagnostic {
    let differences = stale.iter().filter(|stale| stale.reason != Reason::NewerRevision);
    let count = match differences.clone().count() {
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    };
    let message = format!("sandbox-images.lock does not match sandbox-images.toml ({count})");
    pointing("lock-stale", Source::ImageSet, &message, differences)
        .help(remedy(stale, locked_images))
}

/// An error that points at the place of each of `differences`.
fn pointing<'s>(
    code: &'static str,
    file: Source,
    message: &str,
    differences: impl Iterator<Item = &'s Stale>,
) -> Diagnostic {
    let mut labels = differences.filter_map(place);
    let mut diagnostic = Diagnostic::error(code, file, message);
    if let Some(Label { file, span, text }) = labels.next() {
        diagnostic = Diagnostic { file, ..diagnostic }.at(span).label(text);
    }
    diagnostic.others = labels.collect();
    diagnostic
}

fn remedy(stale: &[Stale], locked_images: usize) -> String {
    if let Some(newer) = stale.iter().find(|stale| stale.reason == Reason::NewerRevision) {
        return format!("{}: use a newer sandbox-images to change it", newer.text);
    }
    let touched: BTreeSet<&ImageName> = stale
        .iter()
        .filter(|stale| stale.reason != Reason::Added)
        .filter_map(|stale| stale.image.as_ref())
        .collect();
    let command = "run `sandbox-images lock` and commit the result";
    match locked_images.saturating_sub(touched.len()) {
        0 => command.to_owned(),
        1 => format!("{command} (the pin of 1 other image stays as it is)"),
        others => format!("{command} (pins of {others} other images stay as they are)"),
    }
}

/// Where to point: the user's own file if the difference is there, else the lock.
fn place(stale: &Stale) -> Option<Label> {
    let text = stale.text.clone();
    let (file, span) = match (&stale.set_span, &stale.lock_span) {
        (Some(span), _) => (Source::ImageSet, span.clone()),
        (None, Some(span)) => (Source::Lock, span.clone()),
        (None, None) => return None,
    };
    Some(Label { file, span, text })
}

fn whole(reason: Reason, text: &str, lock_span: Option<Range<usize>>) -> Stale {
    Stale {
        reason,
        image: None,
        platform: None,
        text: text.to_owned(),
        needs: Needs::Nothing,
        set_span: None,
        lock_span,
    }
}

fn resolving(source: &ImageSource) -> Needs {
    if source.is_local() { Needs::LocalSource } else { Needs::Network }
}

fn added(name: &ImageName, wanted: &ImageSpec) -> Stale {
    Stale {
        reason: Reason::Added,
        image: Some(name.clone()),
        platform: None,
        text: format!("image `{name}` is not locked"),
        needs: resolving(&wanted.source),
        set_span: Some(wanted.source_span.clone()),
        lock_span: None,
    }
}

fn removed(name: &ImageName, lock: &Lock) -> Stale {
    Stale {
        reason: Reason::Removed,
        image: Some(name.clone()),
        platform: None,
        text: format!("image `{name}` is locked and no longer wanted"),
        needs: Needs::Nothing,
        set_span: None,
        lock_span: lock.name_span(name.as_str()),
    }
}

/// All differences of an image that is wanted and locked.
fn compare(
    name: &ImageName,
    wanted: &ImageSpec,
    locked: &LockedImage,
    lock: &Lock,
    stale: &mut Vec<Stale>,
) {
    let difference = |reason, needs, text| Stale {
        reason,
        image: Some(name.clone()),
        platform: None,
        text,
        needs,
        set_span: Some(wanted.source_span.clone()),
        lock_span: lock.name_span(name.as_str()),
    };
    let again = resolving(&wanted.source);
    if locked.source != wanted.source {
        let lock_span = lock.source_span(name.as_str());
        let text = format!("locked for {}", locked.source);
        stale.push(Stale { lock_span, ..difference(Reason::SourceChanged, again, text) });
    } else if let Some(text) = inconsistency(name, wanted, locked, lock) {
        stale.push(difference(Reason::InconsistentBlock, again, text));
    }
    let places = wanted.platforms_span.clone().or(Some(wanted.source_span.clone()));
    let of_platform = |platform: &Platform, reason, needs, text| Stale {
        platform: Some(platform.clone()),
        set_span: places.clone(),
        ..difference(reason, needs, text)
    };
    stale.extend(missing_platforms(wanted, locked).map(|platform| {
        let text = format!("image `{name}` is not locked for {platform}");
        of_platform(platform, Reason::PlatformAdded, again, text)
    }));
    stale.extend(surplus_platforms(wanted, locked).map(|platform| {
        let text = format!("image `{name}` is locked for {platform}, which is no longer wanted");
        of_platform(platform, Reason::PlatformRemoved, Needs::Nothing, text)
    }));
}

/// What is wrong with a block whose source is the wanted one.
fn inconsistency(
    name: &ImageName,
    wanted: &ImageSpec,
    locked: &LockedImage,
    lock: &Lock,
) -> Option<String> {
    if !lock.is_consistent(name.as_str()) {
        return Some(format!("the lock's block of `{name}` was edited: its sum does not fit"));
    }
    if let Some(text) = lock.artifact_contradiction(locked) {
        return Some(format!("the lock's block of `{name}` {text}"));
    }
    let given = wanted.source.reference()?.digest()?;
    (given != locked.digest).then(|| format!("locked with digest {}", locked.digest))
}

/// Wanted platforms that must still be looked for. One of the defaults that the image was found to lack is
/// not looked for again until `update` or until the image names it itself.
fn missing_platforms<'w>(
    wanted: &'w ImageSpec,
    locked: &'w LockedImage,
) -> impl Iterator<Item = &'w Platform> {
    wanted.platforms.iter().filter(|platform| {
        let known_absent = !wanted.platforms_named && locked.absent_platforms.contains(*platform);
        !locked.platforms.contains_key(*platform) && !known_absent
    })
}

/// Platforms of the lock that are not wanted, also those it has as absent.
fn surplus_platforms<'w>(
    wanted: &'w ImageSpec,
    locked: &'w LockedImage,
) -> impl Iterator<Item = &'w Platform> {
    let known: BTreeSet<&Platform> =
        locked.platforms.keys().chain(&locked.absent_platforms).collect();
    known.into_iter().filter(|platform| !wanted.platforms.contains(*platform))
}
