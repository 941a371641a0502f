//! How far a verification is, told often enough for a person and seldom enough to cost nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::event::{Event, Reporter};
use crate::store::verify::Told;

/// The shortest time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Files that several threads read.
pub(super) struct Reading {
    artifacts: u64,
    reporter: Arc<dyn Reporter>,
    state: Mutex<State>,
}

struct State {
    size_bytes: u64,
    read_bytes: u64,
    reported: Instant,
}

impl Reading {
    /// So many artifacts are about to be read.
    pub(super) fn new(artifacts: usize, reporter: Arc<dyn Reporter>) -> Self {
        let state = State { size_bytes: 0, read_bytes: 0, reported: Instant::now() };
        Self { artifacts: artifacts as u64, reporter, state: Mutex::new(state) }
    }

    /// Takes note of what a reading thread tells, and reports it if it is time to.
    pub(super) fn take(&self, told: &Told<'_>) {
        let event = match *told {
            Told::Begun { size_bytes } => Some(self.begin(size_bytes)),
            Told::Read(bytes) => self.add(bytes),
            Told::Known(..) => None,
        };
        if let Some(event) = event {
            self.reporter.report(event);
        }
    }

    fn begin(&self, size_bytes: u64) -> Event {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.size_bytes = size_bytes;
        Event::VerifyStarted { artifacts: self.artifacts, size_bytes }
    }

    fn add(&self, bytes: u64) -> Option<Event> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.read_bytes = state.read_bytes.saturating_add(bytes);
        if state.reported.elapsed() < REPORT_EVERY {
            return None;
        }
        state.reported = Instant::now();
        let State { size_bytes, read_bytes, .. } = *state;
        Some(Event::VerifyProgress { read_bytes, size_bytes })
    }
}
