//! Progress: bars on a terminal, a line for each thing done elsewhere, or each event as JSON.

mod words;

mod state;

mod plain;

mod bars;

mod events;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sandbox_images::plan::event::{Event, Reporter, Silent};

use crate::cli::args::Progress;
use crate::cli::output::Output;
use crate::cli::report::bars::Bars;
use crate::cli::report::events::Events;
use crate::cli::report::plain::Plain;
pub(crate) use crate::cli::report::words::{
    aligned, built, count, date, fetched_things, short, size,
};

/// How often is looked whether something is to be said or drawn though nothing has happened.
const TICK: Duration = Duration::from_millis(250);

/// The reporter that `output` asks for.
pub(crate) fn reporter(output: Output) -> Arc<dyn Reporter> {
    match output.progress {
        _ if output.quiet => Arc::new(Silent),
        Progress::Json => Arc::new(Events),
        Progress::Bar => Timed::start(Bars::new(output)),
        Progress::None => Timed::start(Plain::warnings_only(output)),
        Progress::Auto | Progress::Plain => Timed::start(Plain::new(output)),
    }
}

/// What shows events to people. It is told the time, since the run began.
trait Show: Send + 'static {
    /// Something has happened.
    fn event(&mut self, event: &Event, now: Duration);

    /// Time has passed.
    fn tick(&mut self, now: Duration);
}

/// A clock for what shows events.
struct Timed<S> {
    started: Instant,
    show: Mutex<S>,
}

impl<S: Show> Timed<S> {
    /// Begins to tick, until the reporter is dropped.
    fn start(show: S) -> Arc<Self> {
        let timed = Arc::new(Self { started: Instant::now(), show: Mutex::new(show) });
        let ticked = Arc::downgrade(&timed);
        // Without the thread no time passes while nothing happens: nothing that a run should fail for.
        drop(std::thread::Builder::new().name("progress".to_owned()).spawn(move || tick(&ticked)));
        timed
    }

    fn with(&self, act: impl FnOnce(&mut S, Duration)) {
        let mut show = self.show.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut show, self.started.elapsed());
    }
}

fn tick<S: Show>(timed: &Weak<Timed<S>>) {
    loop {
        std::thread::sleep(TICK);
        let Some(timed) = timed.upgrade() else { return };
        timed.with(Show::tick);
    }
}

impl<S: Show> Reporter for Timed<S> {
    fn report(&self, event: Event) {
        self.with(|show, now| show.event(&event, now));
    }
}
