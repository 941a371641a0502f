//! Bars: one for each layer under way and one for all of them, below the lines of what is done.
//!
//! After every event the bars are made to be what the state says, so none can be left over: a layer that
//! several images share, that another run has made meanwhile or that begins anew is in the state once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use rustix::termios::tcgetwinsize;
use sandbox_images::oci::digest::DiffId;
use sandbox_images::plan::event::Event;

use crate::cli::neutral::one_line;
use crate::cli::output::Output;
use crate::cli::report::Show;
use crate::cli::report::plain::say;
use crate::cli::report::state::State;
use crate::cli::report::words::{duration, size};
use crate::cli::screen;

/// How often the bars are drawn at most.
const DRAWS_PER_SECOND: u8 = 10;

/// Lines of the screen that are left to what is done and to the total.
const OTHER_ROWS: usize = 4;

/// Bars that stand below the lines.
pub(super) struct Bars {
    output: Output,
    state: State,
    multi: MultiProgress,
    layers: BTreeMap<DiffId, ProgressBar>,
    /// What is done that has no size, and what is waited for.
    status: Option<ProgressBar>,
    total: Option<ProgressBar>,
    form: Form,
    /// Jumps of the state that the total's speed does not count.
    jumps: u64,
}

/// How much of a bar there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Wide,
    Middle,
    Narrow,
}

impl Form {
    const fn of(columns: u16) -> Self {
        match columns {
            100.. => Self::Wide,
            72..100 => Self::Middle,
            _ => Self::Narrow,
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Wide => "{prefix:>10} {msg:34!} [{bar:28}] {got:>9} of {all:>9}",
            Self::Middle => "{prefix:>10} {wide_msg} [{bar:14}] {got:>9} of {all:>9}",
            Self::Narrow => "{prefix:>10} {wide_msg} {percent:>3} %",
        }
    }
}

impl Bars {
    pub(super) fn new(output: Output) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let multi = MultiProgress::with_draw_target(target);
        screen::show(&multi);
        Self {
            output,
            state: State::default(),
            multi,
            layers: BTreeMap::new(),
            status: None,
            total: None,
            form: Form::Middle,
            jumps: 0,
        }
    }

    fn draw(&mut self, now: Duration) {
        let (rows, columns) = screen_size();
        let form = Form::of(columns);
        if form != self.form {
            self.form = form;
            for bar in self.layers.values().chain(&self.total) {
                bar.set_style(self.style(form.template()));
            }
        }
        self.draw_layers(rows);
        self.draw_status(now);
        self.draw_total();
    }

    fn draw_layers(&mut self, rows: usize) {
        let Self { state, multi, layers, .. } = self;
        layers.retain(|diff_id, bar| {
            let stays = state.layers.contains_key(diff_id);
            if !stays {
                take_down(multi, bar);
            }
            stays
        });
        let room = rows.saturating_sub(OTHER_ROWS).max(1);
        let room = room.saturating_sub(self.layers.len());
        let new: Vec<(DiffId, ProgressBar)> = self
            .state
            .layers
            .iter()
            .filter(|(diff_id, _)| !self.layers.contains_key(diff_id))
            .take(room)
            .map(|(&diff_id, layer)| (diff_id, self.bar(layer.size_bytes, layer.name())))
            .collect();
        for (diff_id, bar) in new {
            let bar = self.multi.insert(self.layers.len(), bar);
            self.layers.insert(diff_id, bar);
        }
        for (diff_id, bar) in &self.layers {
            let layer = &self.state.layers[diff_id];
            bar.set_position(layer.received_bytes());
            set_prefix(bar, if layer.is_building { "Building" } else { "Fetching" });
        }
    }

    fn draw_status(&mut self, now: Duration) {
        let waiting = self.state.waiting(now).into_iter().next();
        let waiting = waiting.map(|text| ("Waiting", text));
        let Some((verb, text)) = waiting.or_else(|| self.state.other_work()) else {
            if let Some(bar) = self.status.take() {
                take_down(&self.multi, &bar);
            }
            return;
        };
        if self.status.is_none() {
            let bar = ProgressBar::new_spinner().with_prefix(verb);
            let bar = bar.with_style(self.style("{prefix:>10} {wide_msg}"));
            self.status = Some(self.multi.insert(self.layers.len(), bar));
        }
        if let Some(status) = &self.status {
            set_prefix(status, verb);
            status.set_message(one_line(&text));
        }
    }

    fn draw_total(&mut self) {
        let Some((verb, done_bytes, all_bytes)) = self.state.total() else {
            if let Some(bar) = self.total.take() {
                take_down(&self.multi, &bar);
            }
            return;
        };
        let is_new = self.total.is_none();
        let total = self.total.take().unwrap_or_else(|| {
            self.multi.add(self.bar(all_bytes, String::new()).with_prefix(verb))
        });
        set_prefix(&total, verb);
        total.set_length(all_bytes);
        total.set_position(done_bytes);
        if is_new || self.jumps != self.state.jumps {
            self.jumps = self.state.jumps;
            total.reset_eta();
        }
        total.set_message(pace(&total));
        self.total = Some(total);
    }

    fn bar(&self, size_bytes: u64, name: String) -> ProgressBar {
        ProgressBar::new(size_bytes)
            .with_style(self.style(self.form.template()))
            .with_prefix("Fetching")
            .with_message(name)
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let template = if self.output.color {
            template.replace("{prefix:>10}", "{prefix:>10.cyan.bold}")
        } else {
            template.to_owned()
        };
        ProgressStyle::with_template(&template)
            .expect("the templates above are right")
            .progress_chars("=> ")
            .with_key("got", |state: &ProgressState, text: &mut dyn fmt::Write| {
                // A bar takes every text.
                let _ = text.write_str(&size(state.pos()));
            })
            .with_key("all", |state: &ProgressState, text: &mut dyn fmt::Write| {
                // As above.
                let _ = text.write_str(&size(state.len().unwrap_or(0)));
            })
    }
}

impl Show for Bars {
    fn event(&mut self, event: &Event, now: Duration) {
        let is_news = self.state.take(event, now);
        // What is waited for stands among the bars.
        if is_news && !matches!(event, Event::Waiting { .. }) {
            say(self.output, event);
        }
        self.draw(now);
    }

    fn tick(&mut self, now: Duration) {
        self.state.forget_waits(now);
        self.draw(now);
    }
}

/// Speed, and how long it will take.
fn pace(total: &ProgressBar) -> String {
    const UNKNOWN_BEFORE: Duration = Duration::from_secs(1);
    let per_second = total.per_sec();
    if per_second < 1.0 || total.elapsed() < UNKNOWN_BEFORE {
        return String::new();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a speed is positive, and whole bytes are shown"
    )]
    let shown = size(per_second as u64);
    let left = total.length().unwrap_or(0).saturating_sub(total.position());
    if left == 0 {
        return format!("{shown}/s");
    }
    format!("{shown}/s, {} left", duration(total.eta()))
}

/// A bar is drawn anew where its prefix is set, so only a new one is.
fn set_prefix(bar: &ProgressBar, prefix: &'static str) {
    if bar.prefix() != prefix {
        bar.set_prefix(prefix);
    }
}

fn take_down(multi: &MultiProgress, bar: &ProgressBar) {
    bar.finish_and_clear();
    multi.remove(bar);
}

/// Rows and columns; the usual ones where the terminal does not tell.
fn screen_size() -> (usize, u16) {
    let size = tcgetwinsize(std::io::stderr()).ok().filter(|size| size.ws_col > 0);
    size.map_or((24, 80), |size| (usize::from(size.ws_row.max(1)), size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fits_into_its_columns() {
        for (columns, form) in [
            (200, Form::Wide),
            (100, Form::Wide),
            (99, Form::Middle),
            (72, Form::Middle),
            (40, Form::Narrow),
        ] {
            assert_eq!(Form::of(columns), form);
        }
        for form in [Form::Wide, Form::Middle, Form::Narrow] {
            assert!(ProgressStyle::with_template(form.template()).is_ok(), "{form:?}");
        }
    }
}
