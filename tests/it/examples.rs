//! Every example runs, and ends well.

use std::fs;
use std::path::Path;

use crate::support::process::{bounded, output};

/// What an example's output must hold: that it did what it is for.
const PROOFS: [(&str, &str); 6] = [
    ("custom_source", "with no network, which runs [\"/init\"]"),
    ("embed", "a sandbox boots from /"),
    ("pull", "was in the store"),
    ("quickstart", "0 layers and 0 disks built"),
    ("read_tree", "/etc/motd: Welcome to the application"),
    ("registry", "is complete"),
];

#[test]
fn every_example_does_what_it_is_for() {
    let program = Path::new(env!("CARGO_BIN_EXE_sandbox-images"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".rs").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert_eq!(names, PROOFS.map(|(name, _)| name));
    for (name, proof) in PROOFS {
        let example = program.with_file_name("examples").join(name);
        assert!(example.exists(), "{name} is not built: run `cargo test` without `--test`");
        let ran = output(&mut bounded(&example));
        let shown = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && shown.contains(proof), "{name}: {ran:?}");
    }
}
