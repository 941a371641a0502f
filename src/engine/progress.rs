//! How far a layer is, told often enough for a person and seldom enough to cost nothing.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::oci::digest::DiffId;
use crate::plan::action::FetchLayer;
use crate::plan::event::{Event, Reporter};
use crate::spec::name::ImageName;

/// The shortest time between two reports on one layer.
pub(super) const REPORT_EVERY: Duration = Duration::from_millis(100);

/// One transfer of a layer.
pub(super) struct Progress {
    reporter: Arc<dyn Reporter>,
    diff_id: DiffId,
    image: ImageName,
    size_bytes: u64,
    received_bytes: u64,
    reported: Instant,
    reported_bytes: u64,
}

impl Progress {
    /// A transfer that begins, with so many bytes from an earlier one.
    pub(super) fn begin(reporter: &Arc<dyn Reporter>, layer: &FetchLayer, kept_bytes: u64) -> Self {
        let progress = Self {
            reporter: Arc::clone(reporter),
            diff_id: layer.diff_id,
            image: layer.origin.image.clone(),
            size_bytes: layer.size,
            received_bytes: kept_bytes,
            reported: Instant::now(),
            reported_bytes: kept_bytes,
        };
        progress.report();
        progress
    }

    /// So many more bytes have come.
    pub(super) fn add(&mut self, bytes: u64) {
        self.received_bytes += bytes;
        if self.reported.elapsed() >= REPORT_EVERY {
            self.tell();
        }
    }

    /// Whether more has come than was reported.
    pub(super) const fn is_behind(&self) -> bool {
        self.reported_bytes != self.received_bytes
    }

    /// Reports how much has come.
    pub(super) fn tell(&mut self) {
        (self.reported, self.reported_bytes) = (Instant::now(), self.received_bytes);
        self.report();
    }

    /// No more will come.
    pub(super) fn end(&self) {
        let (diff_id, image) = (self.diff_id, self.image.clone());
        self.report();
        self.reporter.report(Event::LayerBuilding { diff_id, image });
    }

    fn report(&self) {
        let Self { diff_id, received_bytes, size_bytes, .. } = *self;
        self.reporter.report(Event::LayerProgress { diff_id, received_bytes, size_bytes });
    }
}

/// A file that is read as if it were a transfer.
pub(super) struct Watched<R> {
    file: R,
    progress: Option<Progress>,
}

impl<R> Watched<R> {
    pub(super) fn new(file: R, progress: Progress) -> Self {
        Self { file, progress: Some(progress) }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        match &mut self.progress {
            Some(progress) if count > 0 => progress.add(count as u64),
            Some(_) if !buffer.is_empty() => self.progress.take().iter().for_each(Progress::end),
            _ => {}
        }
        Ok(count)
    }
}
