//! All that lies in a store, in a form in which two stores of one project are equal or not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use super::file_tree::sha256_of;

/// Every path below the store with its kind, mode and content. Times do not count, also that in a root.
pub(crate) fn store_tree(store: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a directory can be listed") {
            let path = entry.expect("a directory can be listed").path();
            let name = path.strip_prefix(store).expect("it lies in the store").to_string_lossy();
            tree.insert(name.into_owned(), facts(&path));
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    tree
}

/// Demands that two stores are equal, and that nothing unfinished is in them. What was damaged is kept in
/// `quarantine/`, and does not count.
#[track_caller]
pub(crate) fn assert_golden(store: &Path, golden: &BTreeMap<String, String>, after: &str) {
    let tree = store_tree(store);
    let differences: Vec<String> = tree
        .keys()
        .chain(golden.keys())
        .filter(|name| !name.starts_with("v1/quarantine/"))
        .filter(|name| tree.get(*name) != golden.get(*name))
        .map(|name| format!("{name}: {:?}, not {:?}", tree.get(name), golden.get(name)))
        .collect();
    assert!(differences.is_empty(), "after {after}:\n{}", differences.join("\n"));
    for folder in ["v1/tmp/", "v1/leases/", "v1/partial/"] {
        assert!(!tree.keys().any(|name| name.starts_with(folder)), "after {after}: {tree:?}");
    }
}

fn facts(path: &Path) -> String {
    let metadata = fs::symlink_metadata(path).expect("a file can be looked at");
    let (kind, mode) = (metadata.file_type(), metadata.permissions().mode() & 0o7777);
    if kind.is_file() && path.parent().is_some_and(|folder| folder.ends_with("v1/roots")) {
        let text = fs::read_to_string(path).expect("a root is text");
        let times = ["\"last_seen\"", "\"since\"", "\"expires\""];
        let is_time = |line: &str| times.iter().any(|key| line.contains(key));
        let lines = text.lines().filter(|line| !is_time(line));
        return format!("{mode:o} root {}", lines.collect::<String>());
    }
    // What stays of a guard when its holder is killed says who that was.
    if kind.is_file() && path.parent().is_some_and(|folder| folder.ends_with("v1/guards")) {
        return format!("{mode:o} guard");
    }
    match () {
        () if kind.is_file() => {
            format!("{mode:o} file {}", sha256_of(path).expect("a file can be read").hex())
        }
        () if kind.is_dir() => format!("{mode:o} directory"),
        () if kind.is_symlink() => "symlink".to_owned(),
        () if kind.is_fifo() => format!("{mode:o} fifo"),
        () => format!("{mode:o} other"),
    }
}
