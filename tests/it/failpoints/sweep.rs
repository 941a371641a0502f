//! Each failpoint × killed, no space, a broken device, in each scenario that passes it.

use std::collections::BTreeSet;

use sandbox_images::store::failpoint::edges::EDGES;

use crate::inside;
use crate::scenario::Scenario;
use crate::scene::{measured, times};
use crate::support::project::Ran;
use crate::world::World;

/// Steps whose failure costs nothing that was asked for: courtesies to others, and what a later run does.
const MAY_SUCCEED: [&str; 16] = [
    "handed-rmdir",
    "lease-mode",
    "partial-mode",
    "file-unlink",
    "run-rmdir",
    "part-unlink",
    "artifact-unlink",
    "lease-unlink",
    "guard-open",
    "guard-resize",
    "guard-write",
    "guard-unlink",
    "partial-open",
    "partial-write",
    "partial-resize",
    "partial-unlink",
];

/// Which of so many passings are tried: the first, the last and, where somebody wishes, as many between.
fn tried(count: u64) -> BTreeSet<u64> {
    let between = times("SANDBOX_IMAGES_TEST_PASSINGS", 0);
    let spread = (1..=between).map(|index| 1 + index * count.saturating_sub(1) / (between + 1));
    spread.chain([1, count]).collect()
}

/// Demands an end of the program that it documents.
#[track_caller]
fn ended_well(scenario: Scenario, ran: &Ran, (id, effect, nth): (&str, &str, u64), during: &str) {
    let Ran { code, stderr, .. } = ran;
    if effect == "abort" {
        assert!([-1, 137].contains(code), "{during}: it was not killed, {code}: {stderr}");
        return;
    }
    assert!(!stderr.contains("panicked"), "{during}: {stderr}");
    if *code == 0 {
        // The first is the run's own lease, unless dead runs left theirs; the others may be those of dead runs.
        let is_others = id == "lease-open" && (nth > 1 || scenario == Scenario::Collect);
        // A sync has done its work when it comes to collect what was dropped, and says what stays.
        let was_told = ["nothing was removed", "stays for another time", "stays there: "];
        let was_told = was_told.iter().any(|words| stderr.contains(words));
        let may_succeed = MAY_SUCCEED.contains(&id) || is_others || was_told;
        assert!(may_succeed, "{during} was not noticed");
        return;
    }
    let known = if effect == "enospc" { "error[store-no-space]" } else { "error[store-io]" };
    let others = ["error[file]", "error[output]", "error[publish-io]"];
    let says_why = stderr.contains(known) || others.iter().any(|code| stderr.contains(code));
    assert!(*code == 1 && says_why && stderr.contains("help:"), "{during}: {code}: {stderr}");
}

fn sweep(scenario: Scenario) {
    let world = World::of(scenario);
    let mut trials = 0;
    for (id, count) in &world.passed {
        // Of a download of many pieces, only what has to do with pieces is of interest.
        if scenario == Scenario::Large && !id.starts_with("partial-") {
            continue;
        }
        for nth in tried(scenario.certain_passings(id, *count)) {
            for effect in ["abort", "enospc", "eio"] {
                let trap = format!("{id}:{effect}:{nth}");
                let during = format!("{trap} in {scenario:?}");
                world.begin();
                let ran = world.run_into(&trap);
                ended_well(scenario, &ran, (id, effect, nth), &during);
                world.ends_well(&during);
                trials += 1;
            }
        }
    }
    measured(&format!("{trials} failures of {} steps in {scenario:?}", world.passed.len()));
    assert!(trials > 0);
}

#[test]
fn a_first_sync_survives_the_failure_of_each_step() {
    sweep(Scenario::Fill);
}

#[test]
fn a_sync_of_a_changed_lock_survives_the_failure_of_each_step() {
    sweep(Scenario::Change);
}

#[test]
fn a_sync_that_heals_survives_the_failure_of_each_step() {
    sweep(Scenario::Heal);
}

#[test]
fn a_download_that_is_kept_survives_the_failure_of_each_step() {
    sweep(Scenario::Large);
}

#[test]
fn a_blob_that_stays_survives_the_failure_of_each_step() {
    sweep(Scenario::Keep);
    sweep(Scenario::Fetch);
}

#[test]
fn a_collection_survives_the_failure_of_each_step() {
    sweep(Scenario::Collect);
}

#[test]
fn a_lock_survives_the_failure_of_each_step() {
    sweep(Scenario::Lock);
    sweep(Scenario::Update);
}

#[test]
fn leases_roots_and_times_survive_the_failure_of_each_step() {
    sweep(Scenario::Lease);
    sweep(Scenario::RemoveRoot);
    sweep(Scenario::Use);
}

#[test]
fn an_import_survives_the_failure_of_each_step() {
    sweep(Scenario::Import);
}

#[test]
fn a_pull_survives_the_failure_of_each_step() {
    sweep(Scenario::Pull);
    sweep(Scenario::HandOut);
    sweep(Scenario::Unpack);
}

#[test]
fn a_disk_in_another_form_survives_the_failure_of_each_step() {
    sweep(Scenario::Disk);
}

#[test]
fn another_programs_cache_survives_the_failure_of_each_step() {
    sweep(Scenario::Publish);
    sweep(Scenario::Withdraw);
}

#[test]
fn a_collection_that_fails_halfway_tells_what_is_gone_and_what_stays() {
    let world = World::of(Scenario::Change);
    let warning = "5 of 6 files removed, the rest stays for another time: cannot remove `";
    for trap in ["record-unlink:eio", "artifact-unlink:eio:2"] {
        world.begin();
        let ran = world.run_into(trap);
        assert!(ran.code == 0 && ran.stderr.contains(warning), "{trap}: {}", ran.stderr);
        world.ends_well(trap);
    }
}

#[test]
fn each_failpoint_is_reached() {
    let mut reached = inside::passed_in_a_late_collection();
    for scenario in Scenario::ALL {
        reached.extend(World::of(scenario).passed.into_keys());
    }
    let all: BTreeSet<String> = EDGES.iter().map(|edge| edge.id.to_owned()).collect();
    let missed: Vec<_> = all.difference(&reached).collect();
    assert!(missed.is_empty(), "no scenario passes {missed:?}");
}
