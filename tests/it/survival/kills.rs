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
    let whole = started.elapsed().mul_f64(1.1);
    scene.empty();

    let (mut killed, kills) = (0, times("SANDBOX_IMAGES_TEST_KILLS", 25));
    for index in 1..=kills {
        let mut child = scene.project.start(&["sync"]);
        let after = moment(index, whole);
        thread::sleep(after);
        child.kill().expect("a child can be killed");
        killed += u64::from(!child.wait().expect("the program ends").success());
        scene.heals(&format!("kill {index}, at {after:?}"));
        // Every third sync goes on with a whole store, and finds nothing to do.
        if index % 3 != 0 {
            scene.empty();
        }
    }
    writeln!(io::stderr(), "measured: {killed} of {kills} syncs of {whole:.1?} were killed")
        .expect("standard error takes a line");
    assert!(killed > 0);
}
