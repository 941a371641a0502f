//! Killed at any moment, by a signal that no program sees.

use std::thread;

use super::scene::{Moments, Scene, measured, times};
use crate::support::image::Layer;

#[test]
fn a_sync_that_is_killed_at_any_moment_is_finished_by_the_next() {
    let base = Layer::new("/lib 0644 random=300000");
    let scene = Scene::of(&[&base, &Layer::new("/app 0755 random=90000")]);
    let mut moments = Moments::of(|| scene.project.run(&["sync"]).exits(0));
    scene.empty();

    let (mut killed, kills) = (0_u64, times("SANDBOX_IMAGES_TEST_KILLS", 25));
    for index in 1..=kills {
        let mut child = scene.project.start(&["sync"]);
        let after = moments.pick();
        thread::sleep(after);
        child.kill().expect("a child can be killed");
        let met = !child.wait().expect("the program ends").success();
        moments.learn(met);
        killed += u64::from(met);
        scene.heals(&format!("kill {index}, at {after:?}"));
        // Every third sync goes on with a whole store, and finds nothing to do.
        if index % 3 != 0 {
            scene.empty();
        }
    }
    measured(&format!("{killed} of {kills} syncs were killed, at {moments:.1?}"));
    assert!(killed > 0);
}
