//! A run that is killed leaves nothing half done, and the next one needs no advice.

use crate::support::fixture::{registry_and_project, two_platforms, wait_until};
use crate::support::image::Layer;
use crate::support::registry::fault::{Effect, Fault};

#[test]
fn a_sync_killed_in_the_middle_is_finished_by_the_next() {
    let whole = Layer::new("/etc/motd 0644 hello");
    let halted = Layer::new("/lib 0644 random=3000000");
    let (registry, project) = registry_and_project(&two_platforms(&[&whole, &halted]));
    project.run(&["lock"]).exits(0);

    // At several places of the body: before any of it, in its middle, before its last bytes.
    for sent in [0, halted.blob.len() / 2, halted.blob.len() - 10] {
        registry.clear_faults();
        registry.clear_requests();
        registry.fault(Fault::on(&halted.digest, Effect::StallAt(sent)));
        let mut child = project.start(&["sync"]);
        wait_until("the layer is on its way", || {
            registry.bytes_sent(&halted.digest) >= sent as u64
                && !registry.requests_to(&halted.digest).is_empty()
        });
        child.kill().expect("the program is killed");
        child.wait().expect("the program ends");
        assert!(project.stored("disks").is_empty());
    }

    registry.clear_faults();
    project.run(&["sync"]).exits(0);
    project.run(&["verify"]).exits(0);
    project.run(&["sync", "--check"]).exits(0);
}
