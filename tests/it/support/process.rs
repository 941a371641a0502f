//! Other programs, run to their end and never for ever.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// The longest any program of a test may run; a whole `debootstrap` over a slow mirror fits.
const RUN_SECONDS_MAX: u32 = 900;

/// A command that is ended after [`RUN_SECONDS_MAX`], reads nothing and is given the `C.UTF-8` locale.
pub(crate) fn bounded(program: impl AsRef<OsStr>) -> Command {
    bounded_by(RUN_SECONDS_MAX, program)
}

/// As [`bounded`], with a bound of its own.
pub(crate) fn bounded_by(seconds_max: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg("--kill-after=5")
        .arg(seconds_max.to_string())
        .arg(program)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end, demands success, and answers its standard output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command to its end, whatever that is.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a program with these arguments, demands success, and answers its standard output.
pub(crate) fn run_program<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    run(bounded(program).args(arguments))
}
