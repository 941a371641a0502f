//! Locks that two branches changed, merged by git: without a conflict where different images moved, and
//! repaired where git leaves one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sandbox_images::oci::digest::{DiffId, Digest};
use sandbox_images::oci::document::kind::Kind;
use sandbox_images::oci::document::layer_type::LayerType;
use sandbox_images::spec::lockfile::{
    Lock, LockedDocument, LockedImage, LockedLayer, LockedPlatform,
};
use sandbox_images::spec::manifest_file::ImageSet;
use sandbox_images::spec::source::ImageSource;

use crate::support::needs::needs;
use crate::support::process::{bounded, output};

/// Merges of each kind.
const ROUNDS: u64 = 150;

/// Images by name, each with the number of its pin.
type Pins = BTreeMap<String, u64>;

/// A generator of numbers that look random, the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn pin(&mut self) -> u64 {
        self.below(1 << 30) as u64
    }

    fn name_in(&mut self, pins: &Pins) -> String {
        pins.keys().nth(self.below(pins.len())).unwrap().clone()
    }
}

fn document(what: &str) -> LockedDocument {
    LockedDocument { digest: Digest::of(what), size: what.len() as u64 }
}

/// What the image is locked to at its pin.
fn image(name: &str, pin: u64) -> LockedImage {
    let platform = |platform: &str| {
        let layers = (0..=pin % 4).map(|layer| {
            let what = format!("{name} {pin} {platform} {layer}");
            LockedLayer {
                digest: Digest::of(&what),
                size: layer + 1,
                diff_id: DiffId(Digest::of(what + " tar")),
                layer_type: LayerType::all().next().unwrap(),
                erofs: None,
            }
        });
        LockedPlatform {
            manifest: document(&format!("{name} {pin} {platform} manifest")),
            config: document(&format!("{name} {pin} {platform} config")),
            fsmeta: None,
            layers: layers.collect(),
        }
    };
    let platforms =
        ["linux/amd64", "linux/arm64"].map(|name| (name.parse().unwrap(), platform(name)));
    LockedImage {
        source: ImageSource::Registry(format!("registry.example/team/{name}:1").parse().unwrap()),
        digest: Digest::of(format!("{name} {pin}")),
        media_type: Kind::OciIndex,
        size: pin,
        absent_platforms: BTreeSet::new(),
        platforms: platforms.into(),
    }
}

fn rendered(pins: &Pins) -> String {
    let mut lock = Lock::new();
    for (name, &pin) in pins {
        lock.insert(name.parse().unwrap(), image(name, pin));
    }
    lock.render()
}

/// The image set that wants these images.
fn image_set(pins: &Pins) -> ImageSet {
    let line = |name: &String| format!("{name} = \"registry.example/team/{name}:1\"\n");
    ImageSet::parse(&format!("[images]\n{}", pins.keys().map(line).collect::<Vec<_>>().concat()))
        .unwrap()
}

/// What git makes of two changes of `base`, and whether it found a conflict.
fn merged(base: &Pins, ours: &Pins, theirs: &Pins, style: &str) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    for (name, pins) in [("ours", ours), ("base", base), ("theirs", theirs)] {
        fs::write(folder.path().join(name), rendered(pins)).unwrap();
    }
    let mut git = bounded("git");
    git.current_dir(folder.path()).args(["merge-file", "-p", style, "ours", "base", "theirs"]);
    let made = output(&mut git);
    let conflicts = made.status.code().unwrap();
    assert!(conflicts < 128, "{made:?}");
    (String::from_utf8(made.stdout).unwrap(), conflicts > 0)
}

fn some_images(numbers: &mut Numbers) -> Pins {
    let count = 3 + numbers.below(20);
    (0..count).map(|_| (format!("image-{}", numbers.below(1000)), numbers.pin())).collect()
}

#[test]
fn images_that_two_branches_moved_merge_without_a_conflict() {
    if !needs(&["git"]) {
        return;
    }
    for round in 0..ROUNDS {
        let mut numbers = Numbers(round);
        let base = some_images(&mut numbers);
        let (mut ours, mut theirs, mut both) = (base.clone(), base.clone(), base.clone());
        for name in base.keys() {
            let side = match numbers.below(3) {
                0 => &mut ours,
                1 => &mut theirs,
                _ => continue,
            };
            let pin = numbers.pin();
            side.insert(name.clone(), pin);
            both.insert(name.clone(), pin);
        }
        let (text, is_conflicted) = merged(&base, &ours, &theirs, "--diff3");
        assert!(!is_conflicted, "round {round}:\n{text}");
        assert!(text == rendered(&both), "round {round}:\n{text}");
        let lock = Lock::parse(&text).unwrap();
        assert!(both.keys().all(|name| lock.is_consistent(name)), "round {round}");
    }
}

#[test]
fn a_conflict_is_repaired_to_what_a_fresh_lock_with_the_same_pins_is() {
    if !needs(&["git"]) {
        return;
    }
    let mut conflicts = 0;
    for round in 0..ROUNDS {
        let mut numbers = Numbers(ROUNDS + round);
        let base = some_images(&mut numbers);
        let (mut ours, mut theirs, mut both) = (base.clone(), base.clone(), base.clone());
        let mut moved_twice = BTreeSet::new();
        if numbers.below(2) == 0 {
            // Two images in one gap, whose names are next to each other.
            let before = numbers.name_in(&base);
            for (side, suffix) in [(&mut ours, "a"), (&mut theirs, "b")] {
                let (name, pin) = (format!("{before}-{suffix}"), numbers.pin());
                side.insert(name.clone(), pin);
                both.insert(name, pin);
            }
        } else {
            let name = numbers.name_in(&base);
            let pins = [numbers.pin(), numbers.pin()];
            ours.insert(name.clone(), pins[0]);
            theirs.insert(name.clone(), pins[1]);
            both.insert(name.clone(), pins[0]);
            moved_twice.insert(name.parse().unwrap());
        }
        let style = if numbers.below(2) == 0 { "--diff3" } else { "--quiet" };
        let (text, is_conflicted) = merged(&base, &ours, &theirs, style);
        if !is_conflicted {
            assert!(text == rendered(&both), "round {round}:\n{text}");
            continue;
        }
        conflicts += 1;
        let settled = Lock::parse_conflicted(&text, &image_set(&both)).unwrap();
        assert_eq!(settled.moved_twice, moved_twice, "round {round}");
        assert!(settled.lock.render() == rendered(&both), "round {round}:\n{text}");
    }
    assert!(conflicts > ROUNDS / 2, "only {conflicts} merges ended in a conflict");
}
