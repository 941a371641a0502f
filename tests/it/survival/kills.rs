//! Killed at any moment, by a signal that no program sees.

use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use super::scene::{Scene, times};
use crate::support::image::Layer;

/// Moments that are spread evenly and have nothing to do with each other: multiples of the golden ratio.
fn moment(index: u64, whole: Duration) -> Duration {
    const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
    let index = u32::try_from(index).expect("nobody kills that often");
    whole.mul_f64((f64::from(index) * GOLDEN_RATIO).fract())
}

#[test]
fn a_sync_that_is_killed_at_any_moment_is_finished_by_the_next() {
    let base = Layer::new("/lib 0644 random=300000");
    let scene = Scene::of(&[&base, &Layer::new("/app 0755 random=90000")]);
    let started = Instant::now();
    scene.project.start(&["sync"]).wait().expect("the program ends");
    let mut whole = started.elapsed();
    scene.empty();

    let (mut killed, kills) = (0_u64, times("SANDBOX_IMAGES_TEST_KILLS", 25));
    for index in 1..=kills {
        let mut child = scene.project.start(&["sync"]);
        let after = moment(index, whole);
        thread::sleep(after);
        child.kill().expect("a child can be killed");
        if child.wait().expect("the program ends").success() {
            // It was too quick: the machine had less other work than before.
            whole = whole.mul_f64(0.95);
        } else {
            whole = whole.mul_f64(1.02);
            killed += 1;
        }
        scene.heals(&format!("kill {index}, at {after:?}"));
        // Every third sync goes on with a whole store, and finds nothing to do.
        if index % 3 != 0 {
            scene.empty();
        }
    }
    writeln!(io::stderr(), "measured: {killed} of {kills} syncs were killed, in {whole:.1?}")
        .expect("standard error takes a line");
    assert!(killed > 0);
}
