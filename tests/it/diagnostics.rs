//! Every code of a diagnostic, produced by a project, a registry or a store in the state that it is about.
//!
//! Each test shows all that people see: exit code, standard output, standard error. `shows`, `warns` and
//! `finds` run the program once more as programs do, and demand the same codes there. Which codes are covered
//! is read from these calls: `shows(&project, &["lock-stale"], …)` covers `lock-stale`. So a new code needs one
//! test here, or a line in [`ELSEWHERE`] that names the test that shows it.

mod scene;

mod manifest_file;

mod manifest_values;

mod lock;

mod config;

mod command_line;

mod images;

mod registries;

mod layers;

mod merges;

mod publishing;

mod warnings;

mod store;

mod keeping;

mod archives;

mod doctor;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Codes that another test shows: its file below the repository, and its name.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("bundle-damaged", HOSTILE_BUNDLES, "a_bundle_that_was_cut_or_moved_is_refused"),
    ("bundle-lock", IMPORT, "a_bundle_of_another_lock_is_refused"),
    ("bundle-unreadable", HOSTILE_BUNDLES, "what_is_no_bundle_is_not_taken_for_one"),
    ("export-offline", EXPORT, "what_cannot_be_exported_is_told_before_anything_is_written"),
    ("export-since", EXPORT, "what_cannot_be_exported_is_told_before_anything_is_written"),
    ("export-usage", EXPORT, "what_cannot_be_exported_is_told_before_anything_is_written"),
    ("not-a-bundle", HOSTILE_BUNDLES, "what_is_no_bundle_is_not_taken_for_one"),
    ("disk", "tests/it/disk.rs", "what_cannot_be_written_says_why"),
    ("kernel", MACHINE, "a_kernel_mounts_disks_if_it_knows_erofs_and_is_new"),
    ("kernel-too-old", MACHINE, "a_kernel_mounts_disks_if_it_knows_erofs_and_is_new"),
    ("kernel-without-erofs", MACHINE, "a_kernel_mounts_disks_if_it_knows_erofs_and_is_new"),
    ("layers-dir", "tests/it/pull/layers.rs", "what_a_directory_lacks_is_told"),
    ("program", "tests/it/doctor.rs", "findings"),
    (
        "publish-not-withdrawn",
        "tests/it/publish/withdrawal.rs",
        "a_damaged_note_keeps_nothing_from_being_deleted",
    ),
    ("store-cannot-be-made", STORE, "a_store_is_there_or_can_be_made"),
    ("store-denied", ERRORS, "an_error_of_the_operating_system_becomes_one_that_says_what_to_do"),
    (
        "store-foreign",
        SURROUNDINGS,
        "a_store_of_another_user_is_read_and_not_added_to_unless_that_is_meant",
    ),
    ("store-full", STORE, "room_is_judged_by_what_is_missing"),
    ("store-no-space", ERRORS, "an_error_of_the_operating_system_becomes_one_that_says_what_to_do"),
    (
        "store-read-only",
        ERRORS,
        "an_error_of_the_operating_system_becomes_one_that_says_what_to_do",
    ),
    ("store-space", STORE, "room_is_judged_by_what_is_missing"),
];

/// What leaves a store.
const EXPORT: &str = "tests/it/export.rs";

/// What becomes of bundles.
const IMPORT: &str = "tests/it/import.rs";

/// What is wrong with bundles.
const HOSTILE_BUNDLES: &str = "tests/it/import/hostile.rs";

/// What needs root, and kernel or programs that are not everywhere.
const SURROUNDINGS: &str = "tests/it/survival/surroundings.rs";

/// What this machine is: no test knows, so that the judgement alone is tested.
const MACHINE: &str = "src/cli/doctor/machine.rs";

/// What the store's disk is.
const STORE: &str = "src/cli/doctor/store.rs";

/// What the operating system says: a full disk, a read-only one, one of another user's.
const ERRORS: &str = "src/store/error.rs";

/// Codes that no state of one machine produces for sure, and why.
const NOWHERE: &[(&str, &str)] = &[
    ("aborted", "a thread of the program itself must panic"),
    ("incomplete", "said only if an image lacks a part and nothing failed, which a plan rules out"),
    ("layer-output", "what a layer is written to is the store, whose own codes are said"),
    ("offline", "plans find out before: `not-in-sync` and `lock-stale` are said in its place"),
    ("publish-nowhere", "the system's table of users has a home for everybody"),
    ("skipped", "what was not begun is told by what kept it from beginning"),
    ("size-mismatch", "behind the same check of registries and layouts, which speak first"),
];

/// The calls that cover the codes of their second argument.
const COVERING: [&str; 8] = [
    "shows(",
    "shows_with(",
    "shows_under(",
    "stale(",
    "compared(",
    "warns(",
    "finds(",
    "finds_with(",
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The codes in the arguments of the calls in `source`.
fn covered_by(source: &str, codes: &mut BTreeSet<String>) {
    let squeezed: String = source.split_whitespace().collect();
    for call in COVERING {
        for arguments in squeezed.split(call).skip(1) {
            let list = arguments.split_once("&[").and_then(|(first, rest)| {
                (first.matches(',').count() == 1).then(|| rest.split(']').next().unwrap())
            });
            codes.extend(list.into_iter().flat_map(quoted));
        }
    }
}

fn quoted(list: &str) -> impl Iterator<Item = String> {
    list.split('"').skip(1).step_by(2).map(str::to_owned)
}

fn covered_here() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(repository().join("tests/it/diagnostics")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            covered_by(&fs::read_to_string(path).unwrap(), &mut codes);
        }
    }
    codes
}

fn explained() -> BTreeSet<String> {
    let table = include_str!("../../src/cli/explain/codes.txt");
    table.split("\n\n").filter_map(|entry| entry.trim().lines().next()).map(str::to_owned).collect()
}

#[test]
fn every_code_is_shown_by_a_test() {
    let mut covered = covered_here();
    let unknown: Vec<&String> =
        covered.iter().filter(|code| !explained().contains(*code)).collect();
    assert!(unknown.is_empty(), "`src/cli/explain/codes.txt` does not have {unknown:?}");
    for (code, ..) in ELSEWHERE {
        assert!(covered.insert((*code).to_owned()), "`{code}` is shown here and elsewhere");
    }
    for (code, _) in NOWHERE {
        assert!(
            covered.insert((*code).to_owned()),
            "`{code}` is shown, and listed as one that cannot be"
        );
    }
    let explained = explained();
    let lacking: Vec<&String> = explained.difference(&covered).collect();
    assert!(lacking.is_empty(), "no test of `tests/it/diagnostics` shows {lacking:?}");
}

#[test]
fn what_is_said_to_be_shown_elsewhere_is_there() {
    for (code, file, name) in ELSEWHERE {
        let source = fs::read_to_string(repository().join(file)).unwrap();
        let body = source.split(&format!("fn {name}(")).nth(1);
        let body = body.unwrap_or_else(|| panic!("`{file}` has no test `{name}`"));
        let body = body.split("\n#[test]").next().unwrap();
        assert!(body.contains(code), "`{name}` in `{file}` says nothing of `{code}`");
    }
}
