//! The power is cut at each failpoint.

use crate::scenario::Scenario;
use crate::scene::measured;
use crate::support::needs::needs;
use crate::support::power::{FileSystem, POWER_NEEDS, PoweredDisk, wrong_artifacts};
use crate::world::World;

fn cut_at_each_step(kind: FileSystem) {
    if !needs(&POWER_NEEDS) {
        return;
    }
    let mut cuts = 0;
    for scenario in [Scenario::Fill, Scenario::Change, Scenario::Heal, Scenario::Collect] {
        let world = World::of(scenario);
        let disk = PoweredDisk::make(kind, &world.stage.project.store());
        world.begin();
        let wrong_before = wrong_artifacts(&world.stage.project);
        for (id, &count) in &world.passed {
            for nth in [1, count.div_ceil(2), count] {
                let during = format!("a power cut at {id}, number {nth}, in {scenario:?}");
                world.begin();
                disk.settle();
                let ran = world.run_into(&format!("{id}:abort:{nth}"));
                assert!([-1, 137].contains(&ran.code), "{during}: {}", ran.stderr);
                disk.cut_power();
                disk.return_power();
                let wrong = wrong_artifacts(&world.stage.project);
                assert!(wrong.is_subset(&wrong_before), "after {during}: {wrong:#?}");
                world.ends_well(&during);
                cuts += 1;
            }
        }
    }
    measured(&format!("{cuts} power cuts at failpoints on {}", kind.name()));
}

#[test]
fn a_power_cut_at_each_step_on_ext4_leaves_nothing_wrong() {
    cut_at_each_step(FileSystem::Ext4);
}

#[test]
fn a_power_cut_at_each_step_on_xfs_leaves_nothing_wrong() {
    cut_at_each_step(FileSystem::Xfs);
}
