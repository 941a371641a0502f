//! Other programs, run to their end and never for ever, and the question whether they are there.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{env, fs, io, thread};

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
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a program with these arguments, demands success, and answers its standard output.
pub(crate) fn run_program<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    run(bounded(program).args(arguments))
}

/// Whether this machine has all that a test needs: `root`, `erofs` (the kernel can mount it), or
/// programs. A test that needs more prints why it is skipped, or fails if
/// `SANDBOX_IMAGES_TEST_NO_SKIP=1`, so that nothing skips unseen where everything was installed.
pub(crate) fn needs(what: &[&str]) -> bool {
    let missing: Vec<&str> = what
        .iter()
        .copied()
        .filter(|need| !is_there(need))
        .collect();
    if missing.is_empty() {
        return true;
    }
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let reason = format!("skipped: {test}: this machine lacks {}", missing.join(", "));
    let may_skip = env::var("SANDBOX_IMAGES_TEST_NO_SKIP").as_deref() != Ok("1");
    assert!(may_skip, "{reason}");
    // Straight to the terminal: what tests print is shown only when they fail.
    writeln!(io::stderr(), "{reason}").expect("standard error takes a line");
    false
}

fn is_there(need: &str) -> bool {
    match need {
        "root" => rustix::process::geteuid().is_root(),
        "erofs" => kernel_knows_erofs() || (modprobe_erofs() && kernel_knows_erofs()),
        program => {
            let path = env::var_os("PATH").unwrap_or_default();
            let found = |directory: &Path| directory.join(program).is_file();
            env::split_paths(&path).any(|directory| found(&directory))
                || ["/usr/sbin", "/sbin"]
                    .iter()
                    .any(|directory| found(Path::new(directory)))
        }
    }
}

fn kernel_knows_erofs() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.split_whitespace().any(|name| name == "erofs")
}

fn modprobe_erofs() -> bool {
    Command::new("modprobe")
        .arg("erofs")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn a_need_is_a_program_or_a_power() {
    assert!(needs(&["sh", "timeout"]));
    assert!(!is_there("a-program-that-nobody-has"));
}
