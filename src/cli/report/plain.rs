//! A line for each thing done, its verb first, and a word from time to time that work goes on.

use std::time::Duration;

use sandbox_images::plan::event::{Event, WaitKind};

use crate::cli::output::{Output, Tone};
use crate::cli::report::Show;
use crate::cli::report::state::State;
use crate::cli::report::words::{duration, short, size};

/// Lines, and nothing that is taken back.
pub(super) struct Plain {
    output: Output,
    only_warnings: bool,
    state: State,
}

impl Plain {
    pub(super) fn new(output: Output) -> Self {
        Self { output, only_warnings: false, state: State::default() }
    }

    /// Says only what its user should know.
    pub(super) fn warnings_only(output: Output) -> Self {
        Self { only_warnings: true, ..Self::new(output) }
    }
}

impl Show for Plain {
    fn event(&mut self, event: &Event, now: Duration) {
        let is_news = self.state.take(event, now);
        if is_news && (!self.only_warnings || matches!(event, Event::Warning { .. })) {
            say(self.output, event);
        }
    }

    fn tick(&mut self, now: Duration) {
        if !self.only_warnings
            && let Some(text) = self.state.heartbeat(now)
        {
            self.output.say(Tone::Notice, "Working", &text);
        }
    }
}

/// Says what stays worth knowing when it is over.
pub(super) fn say(output: Output, event: &Event) {
    if let Event::Warning { code, image, message } = event {
        let image = image.as_ref().map(|image| format!("{image}: ")).unwrap_or_default();
        output.warning(code, &format!("{image}{message}"));
        return;
    }
    if let Some((tone, verb, text)) = line(event) {
        output.say(tone, verb, &text);
    }
}

fn line(event: &Event) -> Option<(Tone, &'static str, String)> {
    Some(match event {
        Event::Resolved { image, digest, platforms, .. } => {
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            let text = format!("{image} {} ({})", short(*digest), platforms.join(", "));
            (Tone::Done, "Resolved", text)
        }
        Event::LayerDone { digest, size_bytes, image, stored, .. } => {
            let text = format!("layer {} of {image}, {}", short(*digest), size(*size_bytes));
            (Tone::Done, if *stored { "Built" } else { "Fetched" }, text)
        }
        Event::BlobDone { digest, size_bytes, image, .. } => {
            let text = format!("layer {} of {image}, {}", short(*digest), size(*size_bytes));
            (Tone::Done, "Fetched", text)
        }
        Event::FsmetaDone { size_bytes, image, .. } => {
            (Tone::Done, "Merged", format!("layers of {image}, {}", size(*size_bytes)))
        }
        Event::DiskDone { image, .. } => (Tone::Done, "Built", format!("disk of {image}")),
        Event::Retry { subject, delay_ms, reason, .. } => {
            let delay = Duration::from_millis(*delay_ms);
            (Tone::Notice, "Retrying", format!("{subject} in {delay:.1?}: {reason}"))
        }
        Event::Resumed { subject, offset_bytes } => {
            let text = format!("a download from {subject} at {}", size(*offset_bytes));
            (Tone::Notice, "Resuming", text)
        }
        Event::Mirror { registry, mirror } => {
            (Tone::Done, "Using", format!("{mirror} as a mirror of {registry}"))
        }
        Event::Waiting { subject, limit_ms, kind, .. } => {
            let limit = limit_ms.map(|limit| duration(Duration::from_millis(limit)));
            let limit = limit.unwrap_or_else(|| "some time".to_owned());
            let text = match kind {
                WaitKind::Process => format!("for {subject}, at most {limit}"),
                WaitKind::Pause => format!("for {subject}, which asked for a pause of {limit}"),
            };
            (Tone::Notice, "Waiting", text)
        }
        _ => return None,
    })
}
