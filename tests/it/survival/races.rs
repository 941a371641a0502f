//! Syncs, collections, verifications and damage at once: nothing that is wanted is lost.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::process::{Child, Stdio};

use super::scene::{Scene, times};
use super::vandal::{Damage, Target, Vandal, listed, targets};

/// What races: who adds, who deletes, who looks, who mends.
const COMMANDS: [&[&str]; 8] = [
    &["sync"],
    &["sync", "--prune"],
    &["sync", "--frozen"],
    &["gc"],
    &["gc", "--max-size", "1KiB"],
    &["verify", "--deep"],
    &["verify", "--repair"],
    &["path", "app"],
];

/// Processes of a race.
const RACERS: usize = 6;

/// The codes that these commands are documented to end with when others are in their way.
const CODES: [i32; 5] = [0, 1, 4, 5, 7];

fn start(scene: &Scene, arguments: &'static [&'static str]) -> (&'static [&'static str], Child) {
    let mut command = scene.project.unbounded(arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    (arguments, child.expect("the program starts"))
}

#[test]
fn processes_and_damage_race_and_nothing_that_is_wanted_is_lost() {
    let scene = Scene::small();
    let races = times("SANDBOX_IMAGES_TEST_ROUNDS", 30);
    let mut vandal = Vandal::new(times("SANDBOX_IMAGES_TEST_SEED", 1));
    let mut struck = 0;
    for race in 0..races {
        let is_whole = race % 3 != 0;
        if is_whole {
            scene.project.run(&["sync"]).exits(0);
        } else {
            drop(fs::remove_dir_all(scene.project.store()));
        }
        let all = if is_whole { targets(&scene.project.store()) } else { Vec::new() };
        let (started, damages) = run(&scene, &mut vandal, &all);
        struck += damages.len();
        let after = format!("race {race} of {started:?}, with\n{}", listed(&damages));
        if is_whole {
            untouched_is_there(&scene, &all, &damages, &after);
        }
        if damages.iter().all(|damage| damage.is_plain) {
            let ran = scene.project.run(&["sync"]);
            assert_eq!(ran.code, 0, "{after}\n{}", ran.stderr);
        } else {
            let ran = scene.project.run(&["verify", "--deep", "--repair"]);
            assert_eq!(ran.code, 0, "{after}\n{}{}", ran.stdout, ran.stderr);
        }
        scene.heals(&after);
    }
    writeln!(io::stderr(), "measured: {races} races of {RACERS} processes, {struck} damages")
        .expect("standard error takes a line");
}

/// Starts processes and strikes in between, waits for all, and answers what ran and what was damaged.
fn run(
    scene: &Scene,
    vandal: &mut Vandal,
    all: &[Target],
) -> (Vec<&'static [&'static str]>, Vec<Damage>) {
    let mut children = Vec::new();
    let mut damages = Vec::new();
    for _ in 0..RACERS {
        let arguments = *vandal.one_of(&COMMANDS);
        children.push(start(scene, arguments));
        if !all.is_empty() && vandal.below(3) == 0 {
            let target = vandal.one_of(all).clone();
            damages.extend(vandal.strike(&target));
        }
    }
    let started = children.iter().map(|(arguments, _)| *arguments).collect();
    for (arguments, child) in children {
        let output = child.wait_with_output().expect("the program ends");
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().unwrap_or(-1);
        assert!(
            CODES.contains(&code) && !said.contains("panicked"),
            "{arguments:?}: {code}\n{said}"
        );
        assert!(code == 0 || said.contains("error["), "{arguments:?}: {code}\n{said}");
    }
    (started, damages)
}

/// Demands that what the vandal left alone is as it was: nobody deletes what a root keeps.
#[track_caller]
fn untouched_is_there(scene: &Scene, all: &[Target], damages: &[Damage], after: &str) {
    let hit: BTreeSet<&str> = damages.iter().map(|damage| &damage.target.artifact[..]).collect();
    let tree = crate::support::store_tree::store_tree(&scene.project.store());
    // What is derived from a damaged file may be on its way.
    let sound = all.iter().filter(|target| !hit.contains(&target.artifact[..]));
    for target in sound {
        for path in [&target.file, &target.record] {
            let name = path.strip_prefix(scene.project.store()).expect("it lies in the store");
            let name = name.to_str().expect("it is a name");
            assert_eq!(tree.get(name), scene.golden.get(name), "{name} after {after}");
        }
    }
}
