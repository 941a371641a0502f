//! The program's own clock is wrong: what it writes then serves today, and what was written today then.

use crate::scene::Scene;
use crate::support::project::Ran;

/// Seconds since 1970: of 1970 itself, of ten years before and after these tests were written, of 2100.
const TIMES: [u64; 4] = [0, 1_479_000_000, 2_110_000_000, 4_102_444_800];

const COMMANDS: [&[&str]; 7] = [
    &["sync"],
    &["path", "app"],
    &["verify"],
    &["gc"],
    &["sync", "--prune"],
    &["roots", "list"],
    &["list"],
];

fn run_all(scene: &Scene, seconds: u64) {
    for arguments in COMMANDS {
        let mut command = scene.project.command(arguments);
        let ran = Ran::of(command.env("SANDBOX_IMAGES_FAILPOINTS_NOW", seconds.to_string()));
        assert_eq!(ran.code, 0, "{arguments:?} at {seconds}: {}", ran.stderr);
    }
}

#[test]
fn a_clock_that_is_wrong_by_decades_loses_nothing() {
    let scene = Scene::small();
    for seconds in TIMES {
        let during = format!("a clock of {seconds}");
        run_all(&scene, seconds);
        scene.project.run(&["gc"]).exits(0);
        scene.project.run(&["path", "app"]).exits(0);
        scene.heals(&during);
        run_all(&scene, seconds);
        scene.registry.clear_requests();
        scene.heals(&during);
        assert!(scene.registry.requests().is_empty(), "nothing was lost: {during}");
        scene.empty();
    }
}
