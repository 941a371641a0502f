//! The power is cut at any moment: what is left is a store that may lack things and is wrong in nothing.

use std::fs;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use super::scene::{Moments, Scene, measured, times};
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::power::{FileSystem, POWER_NEEDS, PoweredDisk, wrong_artifacts};

/// What the store is doing when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// All is fetched and built.
    Fill,
    /// A damaged layer and a disk that is no file are moved aside and made again.
    Heal,
    /// All is deleted.
    Collect,
}

impl Work {
    const ALL: [Self; 3] = [Self::Fill, Self::Heal, Self::Collect];

    /// Most cuts come while the store is filled: there is most to be lost.
    fn of_round(round: u64) -> Self {
        match round % 5 {
            2 => Self::Heal,
            4 => Self::Collect,
            _ => Self::Fill,
        }
    }

    /// Makes the store what the work begins with.
    fn prepare(self, scene: &Scene, disk: &PoweredDisk) {
        if self == Self::Fill {
            disk.empty();
            return;
        }
        scene.project.run(&["sync"]).exits(0);
        let lock = scene.project.lock_path();
        let lock = lock.to_str().expect("paths of tests are UTF-8");
        if self == Self::Collect {
            scene.project.run(&["roots", "remove", lock]).exits(0);
            return;
        }
        let at = |kind: &str| {
            let folder = scene.project.store().join("v1/f1").join(kind).join("sha256");
            folder.join(&scene.project.stored(kind)[0])
        };
        let (layer, disk) = (at("layers"), at("disks"));
        fs::remove_file(&layer).expect("a layer is removed");
        fs::write(&layer, [7; 5000]).expect("a damaged layer is written");
        fs::remove_file(&disk).expect("a disk is removed");
        fs::create_dir(&disk).expect("a directory is made");
    }

    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Collect => &["gc"],
            Self::Fill | Self::Heal => &["sync"],
        }
    }
}

/// Does `work`, cuts the power at `after`, and demands that the store is good. Answers whether the work was
/// under way.
fn cut(scene: &Scene, disk: &PoweredDisk, work: Work, after: Duration) -> bool {
    let during = format!("a power cut after {after:?} of {work:?}");
    work.prepare(scene, disk);
    disk.settle();
    let wrong_before = wrong_artifacts(&scene.project);
    let mut command = scene.project.unbounded(work.command());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program starts");
    thread::sleep(after);
    disk.cut_power();
    let Output { status, stderr, .. } = child.wait_with_output().expect("the program ends");
    let said = String::from_utf8_lossy(&stderr);
    assert!(!said.contains("panicked"), "{during}: {said}");
    disk.return_power();

    let wrong = wrong_artifacts(&scene.project);
    assert!(wrong.is_subset(&wrong_before), "after {during}: {wrong:#?}");
    if status.success() && work != Work::Collect {
        let ran = scene.project.run(&["verify"]);
        assert_eq!(ran.code, 0, "{during}: what was announced is there: {}", ran.stderr);
    }
    scene.heals(&during);
    !status.success()
}

fn cuts(kind: FileSystem) {
    if !needs(&POWER_NEEDS) {
        return;
    }
    let base = Layer::new("/lib 0644 random=300000");
    let scene = Scene::of(&[&base, &Layer::new("/app 0755 random=90000")]);
    let disk = PoweredDisk::make(kind, &scene.project.store());
    let mut moments = Work::ALL.map(|work| {
        work.prepare(&scene, &disk);
        Moments::of(|| scene.project.run(work.command()).exits(0))
    });
    let (mut met, rounds) = (0_u64, times("SANDBOX_IMAGES_TEST_POWER_CUTS", 5));
    for round in 0..rounds {
        let work = Work::of_round(round);
        let moments = &mut moments[Work::ALL.iter().position(|&one| one == work).unwrap()];
        let after = moments.pick();
        let was_met = cut(&scene, &disk, work, after);
        moments.learn(was_met);
        met += u64::from(was_met);
    }
    let name = kind.name();
    measured(&format!("{met} of {rounds} power cuts on {name} met a running program"));
    assert!(met > 0);
}

#[test]
fn a_power_cut_on_ext4_leaves_nothing_wrong() {
    cuts(FileSystem::Ext4);
}

#[test]
fn a_power_cut_on_xfs_leaves_nothing_wrong() {
    cuts(FileSystem::Xfs);
}
