//! An event a line, as JSON, for programs. Nothing else is written on standard error beside them.

use sandbox_images::plan::event::{Event, Reporter};

use crate::cli::neutral;
use crate::cli::screen;

/// Writes every event as it comes. How often a layer's progress is told is decided where it is made.
pub(super) struct Events;

impl Reporter for Events {
    fn report(&self, event: Event) {
        let line =
            serde_json::to_string(&event.versioned()).expect("an event has string keys only");
        screen::tell(&format!("{}\n", neutral::json(&line)));
    }
}
