//! Collecting beside others, and ended before its time.

use std::thread;

use super::{holds, in_store_of, name_images, sync, world};
use crate::support::fixture::project_naming;
use crate::support::needs::needs;
use crate::support::process::output;
use crate::support::project::Ran;

#[test]
fn who_uses_the_store_is_waited_for_and_a_sync_does_not_wait() {
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    name_images(&project, &registry, &["app"]);
    sync(&project, &["--no-gc"]).exits(0);
    // Held with others, as a scan or a commit holds it.
    let guard = project.store().join("v1/guards/store");
    let guarded = |arguments: &[&str]| {
        let words = ["flock", "--shared", guard.to_str().unwrap()];
        Ran::of(&mut project.command_under(&words, arguments))
    };
    let told = guarded(&["gc", "--wait-timeout", "0s"]).exits(7).stderr;
    assert!(told.starts_with("error[store-busy]: waited 0 s for the store"), "{told}");
    let told = guarded(&["sync", "--platform", "linux/amd64", "--prune"]).exits(0).stderr;
    assert!(told.contains("nothing was removed: the store is in use"), "{told}");
    assert_eq!(holds(&project), (3, 2));
    project.run(&["gc", "--wait-timeout", "10s"]).exits(0);
    assert_eq!(holds(&project), (2, 1));
}

#[test]
fn syncs_and_collections_at_once_lose_nothing() {
    let (registry, project) = world();
    let other = project_naming(&[]);
    name_images(&project, &registry, &["app"]);
    name_images(&other, &registry, &["tool"]);
    project.run(&["lock"]).exits(0);
    other.run(&["lock"]).exits(0);
    for round in 0..6 {
        // Every other round begins with nothing of one of them.
        if round % 2 == 0 {
            in_store_of(
                &project,
                &other,
                &["roots", "remove", other.lock_path().to_str().unwrap()],
            );
        }
        thread::scope(|scope| {
            scope.spawn(|| sync(&project, &[]).exits(0));
            scope.spawn(|| project.run(&["gc"]).exits(0));
            scope.spawn(|| {
                let words = ["sync", "--platform", "linux/amd64"];
                in_store_of(&project, &other, &words).exits(0);
            });
            scope.spawn(|| project.run(&["gc"]).exits(0));
        });
        sync(&project, &["--check"]).exits(0);
        let words = ["sync", "--platform", "linux/amd64", "--check"];
        in_store_of(&project, &other, &words).exits(0);
        project.run(&["verify"]).exits(0);
    }
    assert_eq!(holds(&project), (3, 2));
}

#[test]
fn a_collection_killed_at_any_place_leaves_what_the_next_one_takes() {
    if !needs(&["strace"]) {
        return;
    }
    let (registry, project) = world();
    sync(&project, &[]).exits(0);
    let golden = project.artifacts();
    // Six artifacts of one image: as many records, as many files, and the run's own few.
    let places_max = 40;
    let mut place = 1;
    loop {
        name_images(&project, &registry, &["app"]);
        project.run(&["lock"]).exits(0);
        sync(&project, &["--no-gc"]).exits(0);
        let kill = format!("inject=unlinkat:signal=KILL:when={place}");
        let tracer = ["strace", "-f", "-qq", "-e", "trace=unlinkat", "-e", &kill];
        let status = output(&mut project.command_under(&tracer, &["gc"])).status;

        project.run(&["verify"]).exits(0);
        sync(&project, &["--check"]).exits(0);
        name_images(&project, &registry, &["app", "tool"]);
        sync(&project, &[]).exits(0);
        assert_eq!(project.artifacts(), golden, "killed at removal {place}");
        if status.success() {
            break;
        }
        place += 1;
        assert!(place < places_max, "the collection ends");
    }
    assert!(place > 10, "it was killed between records and files: {place}");
}
