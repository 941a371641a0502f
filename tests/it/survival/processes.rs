//! Many processes on one store: each thing is made once, and who waits says for whom.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::scene::{Scene, times};
use crate::support::fixture::wait_until;
use crate::support::image::Layer;
use crate::support::registry::fault::{Effect, Fault};
use crate::support::store_tree::assert_golden;

const PROCESSES: usize = 16;

#[test]
fn sixteen_processes_fetch_everything_once() {
    let scene = Scene::small();
    for round in 0..times("SANDBOX_IMAGES_TEST_ROUNDS", 20) {
        let start = || {
            let mut command = scene.project.unbounded(&["sync"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let children: Vec<Child> = (0..PROCESSES).map(|_| start()).collect();
        for child in children {
            let output = child.wait_with_output().expect("the program ends");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "round {round}: {said}");
        }
        let mut fetched = BTreeMap::new();
        for request in scene.registry.requests().iter().filter(|request| request.method == "GET") {
            *fetched.entry(request.path.clone()).or_insert(0) += 1;
        }
        fetched.retain(|path, _| path.contains("/blobs/") || path.contains("/manifests/"));
        assert_eq!(fetched.len(), 5, "index, manifest, config and two layers: {fetched:?}");
        assert!(fetched.values().all(|&times| times == 1), "round {round}: {fetched:?}");
        assert_golden(&scene.project.store(), &scene.golden, &format!("round {round}"));
        scene.empty();
    }
}

#[test]
fn who_waits_for_a_stopped_process_names_it_and_gives_up() {
    let layer = Layer::new("/lib 0644 random=30000");
    let scene = Scene::of(&[&layer]);
    scene.registry.fault(Fault::on(&layer.digest, Effect::StallAt(1000)));
    let mut holder = scene.project.start(&["sync"]);
    wait_until("the layer is on its way", || scene.registry.bytes_sent(&layer.digest) >= 1000);
    let pid = Pid::from_child(&holder);
    kill_process(pid, Signal::STOP).expect("a child can be stopped");
    scene.registry.clear_faults();

    let ran = scene.project.run(&["sync", "--wait-timeout", "2s"]).exits(7);

    let named = format!("process {} (`sandbox-images sync`)", holder.id());
    let waiting: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("Waiting")).collect();
    let [line] = &waiting[..] else { panic!("it says so once\n{}", ran.stderr) };
    assert!(line.contains(&named) && line.ends_with("at most 2 s"), "{line}");
    assert!(ran.stderr.contains("error[store-busy]") && ran.stderr.contains("help:"));

    holder.kill().expect("a stopped process can be killed");
    holder.wait().expect("the program ends");
    scene.heals("the holder of a guard was stopped, and killed");
}
