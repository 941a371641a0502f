//! Failpoints as the environment asks for them. Only in a program that was built for tests.

use std::fmt::Write as _;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sandbox_images::store::failpoint::trap::{arm, passed};

use crate::cli::environment::Environment;

/// What the clock is to say.
static NOW: OnceLock<SystemTime> = OnceLock::new();

/// Arms the trap of `SANDBOX_IMAGES_FAILPOINT`, and stops the clock at `SANDBOX_IMAGES_FAILPOINTS_NOW`. Panics on
/// what there is not: a test asks for it.
pub(crate) fn set(environment: &Environment) {
    if let Some(now) = &environment.failpoints_now {
        let now = Duration::from_secs(now.parse().expect("seconds since 1970"));
        NOW.set(SystemTime::UNIX_EPOCH + now).expect("it is set once");
    }
    let trap = environment.failpoint.as_deref();
    arm(trap.map(|text| text.parse().unwrap_or_else(|error| panic!("{error}"))));
}

/// What the clock says, if a test said so.
pub(crate) fn now() -> Option<SystemTime> {
    NOW.get().copied()
}

/// Tells the file of `SANDBOX_IMAGES_FAILPOINTS_PASSED` how often each failpoint was passed: a line each.
#[expect(clippy::disallowed_methods, reason = "the file is the test's, and lies in no store")]
pub(crate) fn tell(environment: &Environment) -> io::Result<()> {
    let Some(file) = &environment.failpoints_passed else { return Ok(()) };
    let mut text = String::new();
    for (id, count) in passed() {
        writeln!(text, "{id} {count}").map_err(io::Error::other)?;
    }
    std::fs::write(file, text)
}
