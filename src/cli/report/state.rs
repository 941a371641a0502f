//! What is under way, as far as events have told, and what is to be said about it.
//!
//! Nothing here looks at a clock or prints: times are given, as the time since the run began.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sandbox_images::oci::digest::{ChainId, DiffId, Digest};
use sandbox_images::plan::artifact::Artifact;
use sandbox_images::plan::event::{Event, WaitKind};
use sandbox_images::spec::name::ImageName;

use crate::cli::report::words::{count, duration, short, size};

/// How often a log is told that work goes on: well below the time after which CI systems give up a job
/// that says nothing.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);

/// A wait for a process is told every second. One that was not told for so long is over.
const WAIT_FORGOTTEN_AFTER: Duration = Duration::from_millis(2500);

/// Things that are named in one line; of more, only the number is.
const NAMED_MAX: usize = 3;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Layers that are fetched or built.
    pub(super) layers: BTreeMap<DiffId, Layer>,
    /// Images whose tags are asked for.
    resolving: BTreeSet<ImageName>,
    /// Images whose layers are merged.
    merging: BTreeMap<ChainId, ImageName>,
    /// Files of the store that are read again: the bytes that were read, and all.
    reading: Option<(u64, u64)>,
    waits: BTreeMap<String, Wait>,
    planned_bytes: u64,
    /// Of what is done.
    done_bytes: u64,
    /// How often the number of bytes has changed in another way than by a transfer.
    pub(super) jumps: u64,
    /// When the last heartbeat was, or work began after there was none, and the bytes at that time.
    beat: Option<(Duration, u64)>,
}

/// A layer that is fetched or built.
#[derive(Debug)]
pub(super) struct Layer {
    digest: Digest,
    image: ImageName,
    pub(super) size_bytes: u64,
    /// Nothing before the transfer has begun.
    received_bytes: Option<u64>,
    /// All of it is here.
    pub(super) is_building: bool,
}

impl Layer {
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes.unwrap_or(0).min(self.size_bytes)
    }

    /// The image that it is fetched for, and its digest.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.image, short(self.digest))
    }
}

/// Nothing happens until something else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait {
    kind: WaitKind,
    /// When this was told.
    told: Duration,
    waited: Duration,
    limit: Option<Duration>,
}

impl Wait {
    fn ends(&self) -> Duration {
        match self.kind {
            WaitKind::Process => self.told + WAIT_FORGOTTEN_AFTER,
            WaitKind::Pause => self.told + self.limit.unwrap_or_default(),
        }
    }

    fn text(&self, subject: &str, now: Duration) -> String {
        match self.kind {
            WaitKind::Process => {
                let waited = duration(self.waited + now.saturating_sub(self.told));
                let limit = self.limit.map(duration);
                let limit = limit.map(|limit| format!(", at most {limit}")).unwrap_or_default();
                format!("for {subject}, {waited} so far{limit}")
            }
            WaitKind::Pause => {
                let left = duration(self.ends().saturating_sub(now));
                format!("for {subject}, which asked for a pause: {left} left")
            }
        }
    }
}

impl State {
    /// Takes note of `event`, which came at `now`. Answers whether it is news: a wait that is known is not.
    pub(super) fn take(&mut self, event: &Event, now: Duration) -> bool {
        self.forget_waits(now);
        let is_news = self.note(event, now);
        match self.beat {
            None if self.is_busy() => self.beat = Some((now, self.moved_bytes())),
            Some(_) if !self.is_busy() => self.beat = None,
            _ => {}
        }
        is_news
    }

    /// Drops the waits that are over.
    pub(super) fn forget_waits(&mut self, now: Duration) {
        self.waits.retain(|_, wait| wait.ends() > now);
    }

    fn note(&mut self, event: &Event, now: Duration) -> bool {
        match event {
            Event::Resolving { image, .. } => drop(self.resolving.insert(image.clone())),
            Event::Resolved { image, .. } => drop(self.resolving.remove(image)),
            Event::Planned(totals) => self.planned_bytes = totals.download_bytes,
            Event::DocumentDone { size_bytes, .. } => self.is_done(*size_bytes),
            Event::LayerStarted { diff_id, digest, size_bytes, image, stored } => {
                if *stored {
                    self.planned_bytes = self.planned_bytes.saturating_add(*size_bytes);
                }
                let (digest, image, size_bytes) = (*digest, image.clone(), *size_bytes);
                let (received_bytes, is_building) = (None, false);
                let layer = Layer { digest, image, size_bytes, received_bytes, is_building };
                self.layers.insert(*diff_id, layer);
            }
            Event::LayerProgress { diff_id, received_bytes, .. } => {
                self.received(*diff_id, *received_bytes);
            }
            Event::LayerBuilding { diff_id, .. } => {
                if let Some(layer) = self.layers.get_mut(diff_id) {
                    layer.is_building = true;
                }
            }
            Event::LayerDone { diff_id, size_bytes, .. }
            | Event::BlobDone { diff_id, size_bytes, .. } => {
                self.layers.remove(diff_id);
                self.is_done(*size_bytes);
            }
            Event::FsmetaStarted { chain_id, image } => {
                self.merging.insert(*chain_id, image.clone());
            }
            Event::FsmetaDone { chain_id, .. } => drop(self.merging.remove(chain_id)),
            Event::Present { download_bytes, .. } => {
                self.planned_bytes = self.planned_bytes.saturating_sub(*download_bytes);
            }
            Event::VerifyStarted { size_bytes, .. } => self.reading = Some((0, *size_bytes)),
            Event::VerifyProgress { read_bytes, size_bytes } => {
                self.reading = Some((*read_bytes, *size_bytes));
            }
            Event::VerifyDone { .. } => self.reading = None,
            Event::Failed { artifact, .. } => self.failed(*artifact),
            Event::Waiting { subject, waited_ms, limit_ms, kind } => {
                let waited = Duration::from_millis(*waited_ms);
                let limit = limit_ms.map(Duration::from_millis);
                return self.waits(subject, Wait { kind: *kind, told: now, waited, limit });
            }
            Event::Done { .. } => {
                *self = Self { jumps: self.jumps, ..Self::default() };
            }
            _ => {}
        }
        true
    }

    /// Counts bytes of something that is here. A registry may say any size: the sum ends at what can be counted.
    fn is_done(&mut self, size_bytes: u64) {
        self.done_bytes = self.done_bytes.saturating_add(size_bytes);
    }

    fn received(&mut self, diff_id: DiffId, received_bytes: u64) {
        if let Some(layer) = self.layers.get_mut(&diff_id) {
            let begins = layer.received_bytes.is_none() && received_bytes > 0;
            if begins || received_bytes < layer.received_bytes.unwrap_or(0) {
                self.jumps += 1;
            }
            layer.received_bytes = Some(received_bytes);
            layer.is_building = false;
        }
    }

    fn failed(&mut self, artifact: Artifact) {
        match artifact {
            Artifact::Layer(diff_id) => self.lost(diff_id),
            Artifact::Blob(digest) => {
                let layers = self.layers.iter();
                let lost = layers.filter(|(_, layer)| layer.digest == digest);
                let lost: Vec<DiffId> = lost.map(|(diff_id, _)| *diff_id).collect();
                for diff_id in lost {
                    self.lost(diff_id);
                }
            }
            Artifact::Fsmeta(chain_id) => drop(self.merging.remove(&chain_id)),
            Artifact::Disk(_) => {}
        }
    }

    fn lost(&mut self, diff_id: DiffId) {
        let lost = self.layers.remove(&diff_id).map_or(0, |layer| layer.size_bytes);
        self.planned_bytes = self.planned_bytes.saturating_sub(lost);
        self.jumps += u64::from(lost > 0);
    }

    fn waits(&mut self, subject: &str, wait: Wait) -> bool {
        const HARDLY: Duration = Duration::from_secs(1);
        let known = self.waits.insert(subject.to_owned(), wait);
        match wait.kind {
            WaitKind::Process => known.is_none(),
            WaitKind::Pause => known.is_none_or(|known| wait.ends() > known.ends() + HARDLY),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !(self.layers.is_empty()
            && self.reading.is_none()
            && self.resolving.is_empty()
            && self.merging.is_empty()
            && self.waits.is_empty())
    }

    /// Bytes that are here, of layers under way too.
    pub(super) fn bytes(&self) -> u64 {
        self.layers.values().map(Layer::received_bytes).fold(self.done_bytes, u64::saturating_add)
    }

    /// Bytes that are here, or were read again.
    fn moved_bytes(&self) -> u64 {
        self.reading.map_or_else(|| self.bytes(), |(read_bytes, _)| read_bytes)
    }

    /// What of all has a size: how it is called, how much is done, and how much there is.
    pub(super) fn total(&self) -> Option<(&'static str, u64, u64)> {
        if !self.layers.is_empty() {
            return Some(("Total", self.bytes(), self.planned_bytes()));
        }
        self.reading.map(|(read_bytes, size_bytes)| ("Verifying", read_bytes, size_bytes))
    }

    /// Bytes of all that is to be fetched.
    pub(super) fn planned_bytes(&self) -> u64 {
        let under_way = self.layers.values().map(|layer| layer.size_bytes);
        self.planned_bytes.max(under_way.fold(self.done_bytes, u64::saturating_add))
    }

    /// What is waited for, a clause each.
    pub(super) fn waiting(&self, now: Duration) -> Vec<String> {
        let waits = self.waits.iter().filter(|(_, wait)| wait.ends() > now);
        waits.map(|(subject, wait)| wait.text(subject, now)).collect()
    }

    /// What is done that has no size, a verb and its objects.
    pub(super) fn other_work(&self) -> Option<(&'static str, String)> {
        if !self.resolving.is_empty() {
            return Some(("Resolving", named(self.resolving.iter().map(ToString::to_string))));
        }
        let images: BTreeSet<&ImageName> = self.merging.values().collect();
        let images = images.into_iter().map(|image| format!("the layers of {image}"));
        (!self.merging.is_empty()).then(|| ("Merging", named(images)))
    }

    /// What to say in a log at `now`, if it is time to.
    pub(super) fn heartbeat(&mut self, now: Duration) -> Option<String> {
        self.forget_waits(now);
        let (last, bytes_then) = self.beat?;
        if !self.is_busy() || now < last + HEARTBEAT_EVERY {
            return None;
        }
        let bytes = self.moved_bytes();
        self.beat = Some((now, bytes));
        let pace = pace(bytes.saturating_sub(bytes_then), now.saturating_sub(last));
        let mut clauses = Vec::new();
        if let Some((read_bytes, size_bytes)) = self.reading {
            let (read, all) = (size(read_bytes), size(size_bytes));
            clauses.push(format!("verifying, {read} of {all} at {pace}"));
        }
        if !self.layers.is_empty() {
            clauses.push(self.transfers(&pace));
        }
        clauses.extend(
            self.other_work().map(|(verb, objects)| format!("{} {objects}", verb.to_lowercase())),
        );
        clauses.extend(self.waiting(now).into_iter().map(|wait| format!("waiting {wait}")));
        Some(clauses.join("; "))
    }

    /// How far the transfers are, and how fast.
    fn transfers(&self, pace: &str) -> String {
        let layers = self.layers.values().map(|layer| {
            let (received, all) = (layer.received_bytes(), layer.size_bytes);
            let state = if layer.is_building {
                "building".to_owned()
            } else {
                format!("{} of {}", size(received), size(all))
            };
            format!("{} ({state})", layer.name())
        });
        format!(
            "{}, {} of {} at {pace}: {}",
            count(self.layers.len() as u64, "layer"),
            size(self.bytes()),
            size(self.planned_bytes()),
            named(layers)
        )
    }
}

/// The speed at which `moved` bytes came in `period`.
fn pace(moved: u64, period: Duration) -> String {
    let per_second = u128::from(moved) * 1000 / period.as_millis().max(1);
    format!("{}/s", size(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// The first few things by name, and how many more there are.
fn named(things: impl ExactSizeIterator<Item = String>) -> String {
    let more = things.len().saturating_sub(NAMED_MAX);
    let mut names = things.take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        names.extend([format!(" and {more} more")]);
    }
    names
}

#[cfg(test)]
mod tests;
