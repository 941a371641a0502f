//! An image in a registry, a project that has locked it, and the store that a quiet sync makes of it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::support::fixture::{registry_and_project, two_platforms};
use crate::support::image::Layer;
use crate::support::project::{Project, Ran};
use crate::support::registry::TestRegistry;
use crate::support::store_tree::{assert_golden, store_tree};

/// Where all that a test of survival needs is.
pub(crate) struct Scene {
    pub(crate) registry: TestRegistry,
    pub(crate) project: Project,
    /// What a sync that nothing disturbs makes.
    pub(crate) golden: BTreeMap<String, String>,
}

impl Scene {
    /// An image of these layers, locked, and a store that does not exist yet.
    pub(crate) fn of(layers: &[&Layer]) -> Self {
        let (registry, project) = registry_and_project(&two_platforms(layers));
        project.run(&["sync"]).exits(0);
        let golden = store_tree(&project.store());
        let scene = Self { registry, project, golden };
        scene.empty();
        scene
    }

    /// An image of two small layers.
    pub(crate) fn small() -> Self {
        let base = Layer::new("/etc/ 0755\n/etc/motd 0644 hello\n/lib 0644 random=30000");
        Self::of(&[&base, &Layer::new("/etc/motd whiteout\n/app 0755 random=9000")])
    }

    /// Removes the store, and what the registry remembers.
    pub(crate) fn empty(&self) {
        fs::remove_dir_all(self.project.store()).expect("the store is removed");
        self.registry.clear_requests();
    }

    /// Demands that the next sync needs no advice, and makes what a quiet one makes.
    #[track_caller]
    pub(crate) fn heals(&self, after: &str) {
        let ran = self.project.run(&["sync"]);
        assert_eq!(ran.code, 0, "sync after {after}: {}", ran.stderr);
        let ran = self.project.run(&["verify"]);
        assert_eq!(ran.code, 0, "verify after {after}: {}", ran.stderr);
        assert_golden(&self.project.store(), &self.golden, after);
    }
}

/// Moments of something that takes a while, spread evenly and with nothing to do with each other: multiples of
/// the golden ratio.
#[derive(Debug)]
pub(crate) struct Moments {
    whole: Duration,
    picked: u32,
}

impl Moments {
    /// Moments of `work`, which is done once to see how long it takes.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> Self {
        let started = Instant::now();
        work();
        Self { whole: started.elapsed(), picked: 0 }
    }

    /// The next moment, from the beginning.
    pub(crate) fn pick(&mut self) -> Duration {
        const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
        self.picked += 1;
        self.whole.mul_f64((f64::from(self.picked) * GOLDEN_RATIO).fract())
    }

    /// Learns whether the work was still under way at the last moment: how long it takes changes with what
    /// else the machine does.
    pub(crate) fn learn(&mut self, met: bool) {
        self.whole = self.whole.mul_f64(if met { 1.02 } else { 0.95 });
    }
}

/// Demands success, or a failure of exit code 1 that names something and says what to do.
#[track_caller]
pub(crate) fn succeeds_or_says_why(ran: &Ran, during: &str) {
    let Ran { code, stderr, .. } = ran;
    assert!(!stderr.contains("panicked"), "{during}: {stderr}");
    let says_why = *code == 1 && stderr.contains("error[") && stderr.contains("help:");
    assert!(*code == 0 || says_why, "{during}: exit code {code}\n{stderr}");
}

/// Tells what was measured, straight to the terminal: what tests print is shown only when they fail.
pub(crate) fn measured(text: &str) {
    writeln!(io::stderr(), "measured: {text}").expect("standard error takes a line");
}

/// How often a test does what it does: as the environment wishes, for long runs, or `usual` times.
pub(crate) fn times(variable: &str, usual: u64) -> u64 {
    let wish = env::var(variable).ok();
    wish.map_or(usual, |text| text.parse().expect("a number of times"))
}
