//! Ctrl-C and SIGTERM, whatever the program is doing.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::scene::Scene;
use crate::support::fixture::wait_until;
use crate::support::image::Layer;
use crate::support::needs::needs;
use crate::support::registry::fault::{Effect, Fault};

/// What is promised is 2 s; a machine with other work may take longer.
const END_MAX: Duration = Duration::from_secs(10);

/// A run of the program that writes what it says to a file.
struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    fn start(scene: &Scene, mut command: Command) -> Self {
        let said = scene.project.directory().join("said");
        let file = File::create(&said).expect("a file is made");
        let child = command.stdout(Stdio::null()).stderr(file).spawn().expect("the program starts");
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("what was said can be read")
    }

    /// The process of the program itself, which may be the only child of one that runs it.
    fn program(&self, is_wrapped: bool) -> Pid {
        let pid = self.child.id();
        if !is_wrapped {
            return Pid::from_child(&self.child);
        }
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let child = children.expect("Linux tells of children").trim().parse().expect("one child");
        Pid::from_raw(child).expect("no process has the number 0")
    }

    /// Sends the signal, and demands that the run ends soon with `code`.
    fn ends(mut self, during: &str, signal: (Signal, i32), is_wrapped: bool) {
        let (signal, code) = signal;
        let started = Instant::now();
        kill_process(self.program(is_wrapped), signal).expect("a child takes signals");
        let status = self.child.wait().expect("the program ends");
        let took = started.elapsed();
        writeln!(io::stderr(), "measured: {signal:?} while {during}: {took:.2?}")
            .expect("standard error takes a line");
        let said = self.said();
        assert_eq!(status.code(), Some(code), "while {during}: {said}");
        assert!(said.contains("interrupted; the store is consistent"), "while {during}: {said}");
        assert!(took < END_MAX, "while {during}: {took:?}");
    }
}

const SIGNALS: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

/// Makes a scene, disturbs it, lets the program come to where it is disturbed, and ends it there.
fn check<K>(
    during: &str,
    layer: &Layer,
    disturb: impl Fn(&Scene) -> K,
    reached: impl Fn(&Scene, &str) -> bool,
) {
    let scene = Scene::of(&[layer]);
    for signal in SIGNALS {
        let kept = disturb(&scene);
        let running = Running::start(&scene, scene.project.unbounded(&["sync"]));
        wait_until(during, || reached(&scene, &running.said()));
        running.ends(during, signal, false);
        drop(kept);
        scene.registry.clear_faults();
        scene.heals(during);
        scene.empty();
    }
}

fn small() -> Layer {
    Layer::new("/lib 0644 random=30000")
}

#[test]
fn while_resolving() {
    let disturb = |scene: &Scene| {
        fs::remove_file(scene.project.lock_path()).unwrap();
        scene.registry.fault(Fault::on("/manifests/", Effect::Silence));
    };
    check("resolving", &small(), disturb, |scene, _| {
        !scene.registry.requests_to("/manifests/").is_empty()
    });
}

#[test]
fn while_fetching_documents() {
    let disturb =
        |scene: &Scene| scene.registry.fault(Fault::on("/manifests/", Effect::StallAt(10)));
    check("fetching documents", &small(), disturb, |scene, _| {
        scene.registry.bytes_sent("/manifests/") >= 10
    });
}

#[test]
fn while_downloading_and_what_came_is_kept() {
    let layer = Layer::new("/lib 0644 random=20000000");
    let half = layer.blob.len() / 2;
    let scene = Scene::of(&[&layer]);
    let hex = layer.digest.strip_prefix("sha256:").unwrap();
    let kept = scene.project.store().join("v1/partial").join(hex);
    for signal in SIGNALS {
        scene.registry.fault(Fault::on(&layer.digest, Effect::StallAt(half)));
        let running = Running::start(&scene, scene.project.unbounded(&["sync"]));
        let size = || fs::metadata(&kept).map_or(0, |metadata| metadata.len());
        wait_until("half of it is kept", || size() == half as u64);
        running.ends("downloading", signal, false);
        assert_eq!(size(), half as u64);
        scene.registry.clear_faults();
        scene.heals("downloading");
        let requests = scene.registry.requests_to(&layer.digest);
        assert_eq!(requests[1].range, Some(format!("bytes={half}-")), "it goes on");
        scene.empty();
    }
}

#[test]
fn while_a_registry_wants_a_pause() {
    let layer = small();
    let pause = vec![("retry-after", "60".to_owned())];
    let disturb = |scene: &Scene| {
        let effect = Effect::Answer(429, pause.clone(), Vec::new());
        scene.registry.fault(Fault::on(&layer.digest, effect));
    };
    check("a registry wants a pause", &layer, disturb, |_, said| said.contains("Retrying"));
}

/// Holds a guard file as another process would.
fn hold(scene: &Scene, name: &str) -> File {
    let guards = scene.project.store().join("v1/guards");
    fs::create_dir_all(&guards).unwrap();
    let file = File::create(guards.join(name)).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn while_waiting_for_another_process() {
    let layer = small();
    let guard = format!("layer-{}", layer.diff_id.strip_prefix("sha256:").unwrap());
    check(
        "waiting for a layer",
        &layer,
        |scene| hold(scene, &guard),
        |_, said| said.contains("Waiting for layer"),
    );
    check(
        "waiting for the store",
        &layer,
        |scene| hold(scene, "store"),
        |_, said| said.contains("Waiting for the store"),
    );
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let scene = Scene::of(&[&small()]);
    let kept = hold(&scene, "store");
    let mut running = Running::start(&scene, scene.project.unbounded(&["sync"]));
    wait_until("it waits", || running.said().contains("Waiting for the store"));
    let pid = running.program(false);
    kill_process(pid, Signal::INT).expect("a child takes signals");
    // Two equal signals may become one; the second is of another kind.
    kill_process(pid, Signal::TERM).expect("a child takes signals");
    let code = running.child.wait().expect("the program ends").code().expect("it exits");
    assert!([130, 143].contains(&code), "{code}");
    assert!(!running.said().contains("interrupted"), "not even for its last words");
    drop(kept);
    scene.heals("two signals");
}

/// Ends the program while a tracer makes one of its system calls slow.
fn check_slow(during: &str, call: &str, layer: &Layer, reached: impl Fn(&Scene) -> bool) {
    if !needs(&["strace"]) {
        return;
    }
    let scene = Scene::of(&[layer]);
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:delay_enter=400000"));
    let wrapper = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    for signal in SIGNALS {
        let running = Running::start(&scene, scene.project.unbounded_under(&wrapper, &["sync"]));
        wait_until(during, || reached(&scene));
        running.ends(during, signal, true);
        scene.heals(during);
        scene.empty();
    }
}

#[test]
fn while_building() {
    let layer = Layer::new("/lib 0644 random=30000000");
    check_slow("building", "pwrite64", &layer, |scene| {
        scene.registry.bytes_sent(&layer.digest) > 1 << 20
    });
}

#[test]
fn while_a_disk_takes_its_time() {
    check_slow("in `fdatasync`", "fdatasync,fsync", &small(), |scene| {
        !scene.registry.requests_to("/manifests/").is_empty()
    });
}

#[test]
fn while_writing_a_disk_to_a_file_nothing_is_left_beside_it() {
    if !needs(&["strace"]) {
        return;
    }
    let scene = Scene::of(&[&small()]);
    scene.project.run(&["sync"]).exits(0);
    let folder = scene.project.files().join("disks");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("disk");
    let names = || -> Vec<_> {
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let path = file.to_str().expect("paths of tests are UTF-8");
    for call in ["fsync", "ftruncate"] {
        let (trace, inject) =
            (format!("trace={call}"), format!("inject={call}:delay_enter=1500000"));
        let wrapper = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        for signal in SIGNALS {
            fs::write(&file, "old").unwrap();
            let arguments = ["disk", "app", "--format", "raw", "-o", path];
            let command = scene.project.unbounded_under(&wrapper, &arguments);
            let running = Running::start(&scene, command);
            wait_until("it has begun", || names().len() > 1);
            running.ends("writing a disk", signal, true);
            assert_eq!(names(), ["disk"], "{call}");
            assert_eq!(fs::read(&file).unwrap(), b"old");
        }
    }
    fs::write(folder.join(".sandbox-images.part.left"), "left").unwrap();
    scene.project.run(&["disk", "app", "--format", "raw", "-o", path]).exits(0);
    assert_eq!(names(), ["disk"]);
}
