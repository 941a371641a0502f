//! Failpoints as the environment asks for them. Only in a program that was built for tests.

use std::fmt::Write as _;
use std::io;

use sandbox_images::store::failpoint::trap::{arm, passed};

use crate::cli::environment::Environment;

/// Arms the trap of `SANDBOX_IMAGES_FAILPOINT`. Panics on one that there is not: a test asks for it.
pub(crate) fn set(environment: &Environment) {
    let trap = environment.failpoint.as_deref();
    arm(trap.map(|text| text.parse().unwrap_or_else(|error| panic!("{error}"))));
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
