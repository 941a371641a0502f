//! Standard output and standard error, which are often one screen.
//!
//! While bars stand on it, they make way for whatever else is written. A reader that has closed its pipe
//! wants no more, which is no failure; data that could not be written otherwise is one, of the whole run.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use indicatif::MultiProgress;

/// The bars that stand on the screen.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Why data could not be written, the first time that happened.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Puts `bars` on the screen.
pub(crate) fn show(bars: &MultiProgress) {
    *standing() = Some(bars.clone());
}

/// Takes the bars away, for good.
pub(crate) fn clear() {
    if let Some(bars) = standing().take() {
        // The screen is gone: so are the bars.
        let _ = bars.clear();
        bars.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
}

/// Writes lines for people, or events for programs, on standard error.
pub(crate) fn tell(lines: &str) {
    // Where nobody can be told, there is nobody to tell it to.
    beside_bars(|| drop(io::stderr().lock().write_all(lines.as_bytes())));
}

/// Writes data on standard output.
pub(crate) fn data(bytes: &[u8]) {
    let written = beside_bars(|| {
        let mut output = io::stdout().lock();
        output.write_all(bytes).and_then(|()| output.flush())
    });
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The first reason is the one that is told.
        let _ = LOST.set(error);
    }
}

/// Why data did not get out, if they did not.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

fn beside_bars<T>(write: impl FnOnce() -> T) -> T {
    let bars = standing().clone();
    match bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

fn standing() -> MutexGuard<'static, Option<MultiProgress>> {
    BARS.lock().unwrap_or_else(PoisonError::into_inner)
}
