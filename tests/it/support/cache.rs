//! Things that take long to make and are kept under `target/tmp` between runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The directory `name`, made by `build` in an empty directory unless it is there already.
///
/// Tests and processes that ask at once wait for the first; what a killed run left is made again. `name`
/// ends in a version that changes with what `build` does.
pub(crate) fn cached(name: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(root).expect("the target directory can be written");
    let (done, part) = (root.join(name), root.join(format!("{name}.part")));
    let guard = File::create(root.join(format!("{name}.guard"))).expect("a guard file is made");
    guard.lock().expect("a guard file can be locked");
    if done.is_dir() {
        return done;
    }
    if part.exists() {
        fs::remove_dir_all(&part).expect("what an earlier run left can be removed");
    }
    fs::create_dir(&part).expect("an empty directory is made");
    build(&part);
    fs::rename(&part, &done).expect("a finished directory gets its name");
    done
}

#[test]
fn what_is_cached_is_built_once() {
    let name = format!("cache-test-{}", std::process::id());
    let build = |directory: &Path| fs::write(directory.join("a"), "1").expect("a file is written");
    let first = cached(&name, build);
    let second = cached(&name, |_| panic!("it is there already"));
    assert_eq!(first, second);
    assert_eq!(fs::read(first.join("a")).expect("the file is there"), b"1");
    fs::remove_dir_all(&first).expect("the test's own directory is removed");
    fs::remove_file(first.with_extension("guard")).expect("the test's own guard is removed");
}
