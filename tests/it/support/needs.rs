//! What a test needs of the machine, and what happens where it is not there: never a silent skip.

use std::io::{self, Write};
use std::path::Path;
use std::{env, fs, thread};

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use super::process::{bounded, output};

/// The need of tests that take many seconds each: somebody has to wish for them.
pub(crate) const LARGE: &str = "SANDBOX_IMAGES_TEST_LARGE=1";

/// Whether this machine has all that a test needs.
///
/// A need is a program, or one of `root`, `erofs` (the kernel can mount it), `erofs from files` (also without
/// a loop device), `x86_64` and `debian mirror` (apt knows one). A test that needs more says so and is skipped; with `SANDBOX_IMAGES_TEST_NO_SKIP=1` it
/// fails, so that nothing skips unseen where everything was installed.
pub(crate) fn needs(what: &[&str]) -> bool {
    let missing: Vec<&str> = what.iter().copied().filter(|need| !is_there(need)).collect();
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
        "erofs from files" => is_there("erofs") && kernel_mounts_files(),
        LARGE => env::var("SANDBOX_IMAGES_TEST_LARGE").as_deref() == Ok("1"),
        "x86_64" => cfg!(target_arch = "x86_64"),
        "debian mirror" => is_there("apt-get") && debian_mirror().is_some(),
        program => {
            let path = env::var_os("PATH").unwrap_or_default();
            let found = |directory: &Path| directory.join(program).is_file();
            env::split_paths(&path).any(|directory| found(&directory))
        }
    }
}

fn kernel_knows_erofs() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.split_whitespace().any(|name| name == "erofs")
}

fn modprobe_erofs() -> bool {
    is_there("modprobe") && output(bounded("modprobe").arg("erofs")).status.success()
}

/// Whether the kernel mounts EROFS from a regular file. An empty one is refused for what is in it, or for
/// not being a block device.
pub(crate) fn kernel_mounts_files() -> bool {
    let file = tempfile::NamedTempFile::new().expect("a temporary file is made");
    let place = tempfile::tempdir().expect("a temporary directory is made");
    let mounted = mount(file.path(), place.path(), "erofs", MountFlags::RDONLY, None);
    mounted.is_err_and(|error| !matches!(error, Errno::NOTBLK | Errno::NODEV | Errno::PERM))
}

/// The Debian mirror that this machine's apt uses.
pub(crate) fn debian_mirror() -> Option<String> {
    let targets = output(bounded("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]));
    String::from_utf8_lossy(&targets.stdout)
        .lines()
        .find(|uri| uri.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

#[test]
fn a_need_is_a_program_or_a_power() {
    assert!(needs(&["sh", "timeout"]));
    assert!(!is_there("a-program-that-nobody-has"));
}
