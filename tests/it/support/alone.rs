//! Work in a process of its own, so that its memory can be measured or its environment be chosen.

use std::io::Write as _;
use std::process::Command;
use std::time::Instant;
use std::{env, fs, io, thread};

use super::process::{bounded, run};

/// Names the test whose work this process is to do.
const VARIABLE: &str = "SANDBOX_IMAGES_TEST_ALONE";

/// What a piece of work took beyond time, which says nothing on a shared machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// The most memory that was resident at once, the test program's own included.
    pub(crate) peak_bytes: u64,
}

/// Does `work` in another process and answers what it took, and tells the terminal. In that process, which
/// is this test once more, answers nothing.
pub(crate) fn alone(work: impl FnOnce()) -> Option<Cost> {
    let test = thread::current().name().expect("tests run in threads with their names").to_owned();
    if env::var(VARIABLE).as_deref() == Ok(&test) {
        work();
        writeln!(io::stdout(), "peak {}", peak_bytes()).expect("standard output takes a line");
        return None;
    }
    let start = Instant::now();
    let program = env::current_exe().expect("a test knows its program");
    let mut child = Command::new("timeout");
    child.args(["--kill-after=5", "600"]).arg(program);
    let said = run(child.args(["--exact", &test, "--nocapture"]).env(VARIABLE, &test));
    let time = start.elapsed();
    let peak = said.lines().find_map(|line| line.split_once("peak ")?.1.parse().ok());
    let cost = Cost { peak_bytes: peak.expect("the work says how much memory it needed") };
    let mebibytes = cost.peak_bytes >> 20;
    writeln!(io::stderr(), "measured: {test}: {:.1} s, {mebibytes} MiB", time.as_secs_f64())
        .expect("standard error takes a line");
    Some(cost)
}

/// Does `work` in another process whose environment has these variables too. What comes before runs in that
/// process as well, which is this test once more. Answers whether this is the process that began.
pub(crate) fn with_environment(variables: &[(&str, &str)], work: impl FnOnce()) -> bool {
    let test = thread::current().name().expect("tests run in threads with their names").to_owned();
    if env::var(VARIABLE).as_deref() == Ok(&test) {
        work();
        return false;
    }
    let program = env::current_exe().expect("a test knows its program");
    let mut child = bounded(program);
    child.args(["--exact", &test, "--nocapture"]).env(VARIABLE, &test);
    let said = run(child.envs(variables.iter().copied()));
    assert!(said.contains("1 passed"), "{said}");
    true
}

/// `VmHWM` of this process.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells of its processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.expect("Linux tells the peak in kB") << 10
}
